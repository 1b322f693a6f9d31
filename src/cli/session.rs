//! What `credential-process`, `update` and `serve` share: which session, and
//! with which certificate.

use std::path::{Path, PathBuf};

use clap::Args;
use landfast_base::arn::Arn;
use landfast_node::cache::{self, Cache};
use landfast_node::provider::Options;
use landfast_node::session::{Endpoint, EndpointKind, SessionRequest, Wanted};
use landfast_node::{http, identity};
use landfast_rolesanywhere::session::{DURATIONS, USUAL_DURATION};

use super::helper::NotHere;
use super::log::Detail;
use super::{Failure, values};

/// Where a node has its private key, unless it lies in the certificate's file.
const PRIVATE_KEY: &str = "/etc/iam/pki/server.key";

/// The flags of `aws_signing_helper` that name a session, with the same names.
#[derive(Args, Debug)]
pub(super) struct SessionArguments {
    /// The IAM role to assume
    #[arg(long, value_name = "ARN", value_parser = values::role)]
    role_arn: Arn,

    /// The Roles Anywhere profile
    #[arg(long, value_name = "ARN", value_parser = values::profile)]
    profile_arn: Arn,

    /// The Roles Anywhere trust anchor
    #[arg(long, value_name = "ARN", value_parser = values::trust_anchor)]
    trust_anchor_arn: Arn,

    /// The node's certificate in PEM, leaf first
    #[arg(long, value_name = "FILE", default_value = "/etc/iam/pki/server.pem")]
    certificate: PathBuf,

    /// The certificate's private key in PEM [default: the certificate's file if
    /// that holds a key, else /etc/iam/pki/server.key]
    #[arg(long, value_name = "FILE")]
    private_key: Option<PathBuf>,

    /// Intermediate certificates to send along, in PEM
    #[arg(long, value_name = "FILE")]
    intermediates: Option<PathBuf>,

    /// A file with the passphrase of an encrypted private key (PKCS#8, PBKDF2
    /// and AES-CBC)
    #[arg(long, value_name = "FILE", env = "LANDFAST_PKCS8_PASSWORD_FILE")]
    pkcs8_password_file: Option<PathBuf>,

    /// The session's length in seconds, 900 to 43200; profile and role must
    /// allow it
    #[arg(long, value_name = "SECONDS", default_value_t = USUAL_DURATION, value_parser = clap::value_parser!(u32).range(DURATION_START..=DURATION_END))]
    session_duration: u32,

    /// The role session name, if the profile accepts one; EKS hybrid nodes
    /// give the node name
    #[arg(long, value_name = "NAME", value_parser = values::session_name)]
    role_session_name: Option<String>,

    /// The Region of the endpoint; without it, that of the trust anchor
    #[arg(long, value_parser = values::region)]
    region: Option<String>,

    /// An endpoint other than the public one, such as a VPC endpoint; without
    /// it AWS_ENDPOINT_URL_ROLESANYWHERE or AWS_ENDPOINT_URL
    #[arg(long, value_name = "URL", conflicts_with_all = ["fips", "dual_stack"])]
    endpoint: Option<String>,

    /// Use the FIPS 140 endpoint (United States and GovCloud), as
    /// AWS_USE_FIPS_ENDPOINT=true does
    #[arg(long)]
    fips: bool,

    /// Use the endpoint with IPv4 and IPv6, as AWS_USE_DUALSTACK_ENDPOINT=true
    /// does
    #[arg(long)]
    dual_stack: bool,

    /// The CAs of the endpoint in PEM, in place of the public ones; without it
    /// AWS_CA_BUNDLE
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// Taken for configurations that give it: the proxy of HTTPS_PROXY is used
    /// with it and without
    #[arg(long, hide = true)]
    with_proxy: bool,

    /// Do not verify the endpoint's certificate: for laboratories only
    #[arg(long)]
    no_verify_ssl: bool,

    /// Keep sessions here between calls
    #[arg(long, value_name = "DIR", env = "LANDFAST_CACHE_DIR")]
    cache_dir: Option<PathBuf>,

    /// Ask AWS at every call
    #[arg(long)]
    no_cache: bool,

    /// Tell what is done, on standard error; secrets are never told
    #[arg(long)]
    debug: bool,

    #[command(flatten)]
    not_here: NotHere,
}

const DURATION_START: i64 = *DURATIONS.start() as i64;
const DURATION_END: i64 = *DURATIONS.end() as i64;

impl SessionArguments {
    /// Sends to standard error what `--debug` asks for, and else as much as
    /// `usual`. To be called before anything is done.
    pub(super) fn log(&self, usual: Detail) {
        super::log::to_stderr(if self.debug { Detail::All } else { usual });
    }

    /// Checks what one flag says against the others, and makes a provider's options of it.
    pub(super) fn options(&self) -> Result<Options, Failure> {
        self.not_here.refuse()?;
        let request = SessionRequest {
            trust_anchor: self.trust_anchor_arn.clone(),
            profile: self.profile_arn.clone(),
            role: self.role_arn.clone(),
            duration: Some(self.session_duration),
            session_name: self.role_session_name.clone(),
        };
        request.check().map_err(Failure::Usage)?;
        let endpoint = endpoint(
            self.endpoint.as_deref(),
            &self.trust_anchor_arn,
            self.region.as_deref(),
            EndpointKind {
                fips: self.fips,
                dual_stack: self.dual_stack,
            },
        )?;
        Ok(Options {
            certificate: self.certificate.clone(),
            private_key: self.private_key(),
            intermediates: self.intermediates.clone(),
            passphrase: self.pkcs8_password_file.clone(),
            request,
            endpoint,
            authorities: authorities(self.ca_file.as_deref()),
            skip_verify: self.no_verify_ssl,
            cache: self.cache(),
        })
    }

    fn private_key(&self) -> PathBuf {
        match &self.private_key {
            Some(path) => path.clone(),
            None if identity::holds_key(&self.certificate) => self.certificate.clone(),
            None => PRIVATE_KEY.into(),
        }
    }

    fn cache(&self) -> Option<Cache> {
        if self.no_cache {
            return None;
        }
        let path = |name| std::env::var_os(name).map(PathBuf::from);
        let directory = self.cache_dir.clone().or_else(|| {
            cache::default_directory(path("XDG_CACHE_HOME").as_deref(), path("HOME").as_deref())
        });
        directory.map(Cache::new)
    }
}

/// The endpoint that a flag names, or a variable, or the public one of the trust anchor.
pub(super) fn endpoint(
    url: Option<&str>,
    anchor: &Arn,
    region: Option<&str>,
    kind: EndpointKind,
) -> Result<Endpoint, Failure> {
    let wanted = Wanted { url, region, kind };
    Endpoint::choose(anchor, wanted, |name| std::env::var(name).ok())
        .map_err(|error| Failure::Usage(error.to_string()))
}

/// The authorities of the endpoint that a flag names, or the variable.
pub(super) fn authorities(flag: Option<&Path>) -> Option<PathBuf> {
    flag.map(Path::to_owned)
        .or_else(|| http::ca_bundle(|name| std::env::var(name).ok()))
}
