//! The `seal "awskms"` stanza: its keys, the environment that overrides them, and what is wrong with them.
//!
//! The keys and their precedence are those of the old built-in seal, so that its stanza works unchanged. Parsing is pure: it reads no file and
//! calls nothing.

use std::collections::BTreeMap;

use crate::config::{Author, Environment, ParseOptions};
use crate::error::Error;
use crate::guess::near;
use crate::keys::local;
use crate::stanza::is_of_the_server;

mod credentials;
mod key;
mod network;
mod roles_anywhere;

pub(crate) use credentials::can_sign;
pub use credentials::{AssumeRole, CredentialPlan, SecretText, Source, StaticKeys};
pub use key::KeyReference;
use key::check_region;
pub use network::Network;

/// Region used when nothing names one.
pub const DEFAULT_REGION: &str = "us-east-1";

/// Fallback Regions that one configuration may name. Each costs a client of its own, and shares the time of a call with all others.
const MOST_FALLBACKS: usize = 8;

/// Where the Region comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegionChoice {
    /// Settled by the stanza, the key's ARN or the environment.
    Known {
        /// Region name, for instance `eu-central-1`.
        name: String,
        /// Who said so, for messages.
        source: &'static str,
    },
    /// To be looked up: in the shared configuration files, then in instance metadata; [`DEFAULT_REGION`] if neither names one.
    Discover,
}

/// Another Region that holds a replica of the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    /// Region name.
    pub region: String,
    /// Its endpoint, when it is not the service's own.
    pub endpoint: Option<String>,
}

/// A parsed `seal "awskms"` stanza.
#[derive(Debug)]
pub struct AwsConfig {
    /// The key, used as `KeyId` literally as it was configured. Absent only with `key_not_required`.
    pub key: Option<KeyReference>,
    /// Where calls go.
    pub region: RegionChoice,
    /// Endpoint instead of the service's own.
    pub endpoint: Option<String>,
    /// Endpoint of the Security Token Service instead of the service's own.
    pub sts_endpoint: Option<String>,
    /// Use the FIPS 140 endpoints.
    pub use_fips: bool,
    /// The way to AWS.
    pub network: Network,
    /// Where credentials come from.
    pub credentials: CredentialPlan,
    /// Whether instance metadata may be asked, for credentials and for the Region.
    pub imds: bool,
    /// Whether the shared files of the user may be read.
    pub shared_files: bool,
    /// Regions to ask, in order, when the first cannot decrypt.
    pub fallbacks: Vec<Fallback>,
    /// Open a blob only with the key that it names.
    pub strict_key: bool,
    /// Skip looking the key up at the start.
    pub key_not_required: bool,
    /// Start although the key service cannot be reached.
    pub start_without_kms: bool,
    /// What the operator should know and may ignore.
    pub warnings: Vec<String>,
}

const KNOWN: [&str; 20] = [
    "access_key",
    "disallow_env_vars",
    "endpoint",
    "fallback_regions",
    "imds",
    "key_not_required",
    "kms_key_id",
    "region",
    "role_arn",
    "role_external_id",
    "role_session_name",
    "secret_key",
    "session_token",
    "shared_creds_filename",
    "shared_creds_profile",
    "start_without_kms",
    "strict_key",
    "sts_endpoint",
    "use_fips",
    "web_identity_token_file",
];

/// The keys of a stanza that hold a secret.
pub const SECRETS: [&str; 2] = ["secret_key", "session_token"];

/// The keys of a stanza that hold no secret, and are nobody's business all the same.
pub const CONFIDENTIAL: [&str; 1] = ["role_external_id"];

/// The keys of a stanza that whoever may not read the server's files may set. The key itself is not among them.
pub const OF_TENANTS: [&str; 10] = [
    "access_key",
    "endpoint",
    "region",
    "role_arn",
    "role_external_id",
    "role_session_name",
    "secret_key",
    "session_token",
    "sts_endpoint",
    "use_fips",
];

impl AwsConfig {
    /// Reads a stanza.
    ///
    /// # Errors
    /// A value that cannot be used, or no key id. No text repeats a credential.
    pub fn parse(
        stanza: &BTreeMap<String, String>,
        environment: &Environment,
        options: &ParseOptions<'_>,
    ) -> Result<Self, Error> {
        let mut reader = Reader {
            stanza,
            author: options.author,
            warnings: Vec::new(),
        };
        reader.warn_about_unknown_keys();
        let unknown = reader.warnings.clone();
        Self::read(reader, environment, options).map_err(|error| beside(error, &unknown))
    }

    fn read(
        mut reader: Reader<'_>,
        environment: &Environment,
        options: &ParseOptions<'_>,
    ) -> Result<Self, Error> {
        if matches!(
            options.author,
            Author::Tenant | Author::TenantWithServerIdentity
        ) {
            reader.refuse_references(options.author)?;
        }
        let network = Network::of(environment);
        let isolated = matches!(options.author, Author::Isolated | Author::Tenant)
            || reader.flag("disallow_env_vars", false)?;
        let nothing = Environment::empty();
        let environment = if isolated { &nothing } else { environment };

        let key_not_required = reader.flag("key_not_required", false)?;
        let key = reader.key(environment, options.key_id, key_not_required)?;
        let region = reader.region(environment, key.as_ref(), isolated)?;
        let use_fips = reader.flag("use_fips", environment.is_true("AWS_USE_FIPS_ENDPOINT"))?;
        let (endpoint, sts_endpoint) = reader.endpoints(environment)?;
        let fallbacks = reader.fallbacks(key.as_ref())?;
        if options.author == Author::TenantWithServerIdentity
            && fallbacks.iter().any(|other| other.endpoint.is_some())
        {
            return Err(Error::Config(
                "fallback_regions cannot name endpoints together with the server's identity"
                    .to_owned(),
            ));
        }
        let imds = !isolated && reader.flag("imds", true)?;
        if use_fips
            && (endpoint.is_some() || fallbacks.iter().any(|other| other.endpoint.is_some()))
        {
            return Err(Error::Config(
                "use_fips (or AWS_USE_FIPS_ENDPOINT) chooses an endpoint, and another one is named by endpoint, fallback_regions or a \
                 variable: leave one of them out; the URL of an endpoint of your own may be that of a FIPS endpoint"
                    .to_owned(),
            ));
        }
        let session = roles_anywhere::read(&mut reader, environment, use_fips, &network)?;
        let session = session.map(|session| match options.roles_anywhere {
            Some(open) => open(&session),
            None => Err(Error::Config(
                "Roles Anywhere sessions cannot be had here".to_owned(),
            )),
        });
        let credentials = CredentialPlan::read(
            &mut reader,
            environment,
            isolated,
            imds,
            session.transpose()?,
        )?;
        Ok(Self {
            use_fips,
            strict_key: reader.flag("strict_key", false)?,
            start_without_kms: reader.flag("start_without_kms", true)?,
            shared_files: !isolated,
            warnings: reader.warnings,
            key,
            region,
            network,
            endpoint,
            sts_endpoint,
            credentials,
            imds,
            fallbacks,
            key_not_required,
        })
    }
}

/// Keys that an error tells of which are not known, at most.
const MOST_TOLD: usize = 5;

/// A key that is not known may be the one that another rule misses: it is told with that rule.
fn beside(error: Error, unknown: &[String]) -> Error {
    match error {
        Error::Config(text) if !unknown.is_empty() => {
            let told = unknown.iter().take(MOST_TOLD).map(String::as_str);
            let texts: Vec<&str> = std::iter::once(text.as_str()).chain(told).collect();
            Error::Config(texts.join("; "))
        }
        error => error,
    }
}

/// The stanza while it is read.
struct Reader<'a> {
    stanza: &'a BTreeMap<String, String>,
    author: Author,
    warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    /// A value; an empty one counts as not set, as it did for the old seal.
    fn value(&self, key: &str) -> Option<&'a str> {
        self.stanza
            .get(key)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// A truth value in any spelling that Go's `strconv.ParseBool` takes: the server turns `true` into `1`. The words on and off
    /// read well for `imds`.
    fn flag(&self, key: &str, default: bool) -> Result<bool, Error> {
        match self.value(key) {
            None => Ok(default),
            Some("1" | "t" | "T" | "true" | "TRUE" | "True" | "on") => Ok(true),
            Some("0" | "f" | "F" | "false" | "FALSE" | "False" | "off") => Ok(false),
            Some(_) => Err(Error::Config(format!("{key} must be true or false"))),
        }
    }

    fn warn_about_unknown_keys(&mut self) {
        for key in self.stanza.keys() {
            let mut known = KNOWN.iter().chain(&roles_anywhere::KEYS);
            if known.any(|known| known == key) || is_of_the_server(key) {
                continue;
            }
            let all: Vec<&str> = KNOWN
                .iter()
                .chain(&roles_anywhere::KEYS)
                .copied()
                // In place of all others, and for the server's operator only.
                .chain((self.author == Author::Operator).then_some(local::STANZA_KEY))
                .collect();
            let hint = match near(key, &all) {
                Some(known) => format!("; did you mean {known:?}?"),
                None => String::new(),
            };
            self.warnings.push(format!(
                "{}'s key {key:?} is not known and has no effect{hint}",
                self.author.words()
            ));
        }
    }

    /// A tenant must not make the server read its files, and a credentials file could even name a program to run.
    fn refuse_references(&self, author: Author) -> Result<(), Error> {
        let endpoint = ["endpoint", "sts_endpoint"]
            .into_iter()
            .find(|key| self.value(key).is_some());
        if let (Author::TenantWithServerIdentity, Some(key)) = (author, endpoint) {
            return Err(Error::Config(format!(
                "{key} cannot be used together with the server's identity"
            )));
        }
        const FILES: [&str; 3] = [
            "shared_creds_filename",
            "shared_creds_profile",
            "web_identity_token_file",
        ];
        let named = FILES.iter().chain(&roles_anywhere::KEYS);
        if let Some(key) = named.into_iter().find(|key| self.value(key).is_some()) {
            return Err(Error::Config(format!(
                "{key} cannot be used here, for it names a file of the server"
            )));
        }
        let reference = |value: &str| value.starts_with("file://") || value.starts_with("env://");
        match self
            .stanza
            .iter()
            .find(|(_, value)| reference(value.trim()))
        {
            Some((key, _)) => Err(Error::Config(format!(
                "{key} must hold the value itself here, not a reference to it"
            ))),
            None => Ok(()),
        }
    }

    fn key(
        &mut self,
        environment: &Environment,
        option: Option<&str>,
        not_required: bool,
    ) -> Result<Option<KeyReference>, Error> {
        let from_stanza = self.value("kms_key_id").or(option);
        let from_environment =
            environment.first(&["AWSKMS_WRAPPER_KEY_ID", "VAULT_AWSKMS_SEAL_KEY_ID"]);
        if let (Some((name, value)), Some(stanza)) = (from_environment, from_stanza)
            && value != stanza
        {
            self.warnings.push(format!(
                "the environment variable {name} overrides kms_key_id"
            ));
        }
        match from_environment.map(|(_, value)| value).or(from_stanza) {
            Some(key) => KeyReference::parse(key).map(Some),
            None if not_required => Ok(None),
            None => Err(Error::Config(
                "key id not found in env or config for aws kms wrapper configuration".to_owned(),
            )),
        }
    }

    fn region(
        &mut self,
        environment: &Environment,
        key: Option<&KeyReference>,
        isolated: bool,
    ) -> Result<RegionChoice, Error> {
        let from_key = key.and_then(KeyReference::region);
        let named = [
            (self.value("region"), self.author.words()),
            (from_key, "the key's ARN"),
            (environment.var("AWS_REGION"), "AWS_REGION"),
            (environment.var("AWS_DEFAULT_REGION"), "AWS_DEFAULT_REGION"),
        ];
        let mut named = named
            .into_iter()
            .filter_map(|(name, source)| Some((name?, source)));
        let Some((name, source)) = named.next() else {
            if !isolated {
                return Ok(RegionChoice::Discover);
            }
            self.warnings
                .push(format!("no Region is configured: {DEFAULT_REGION} is used"));
            return Ok(RegionChoice::Known {
                name: DEFAULT_REGION.to_owned(),
                source: "the default",
            });
        };
        check_region(name)?;
        if let Some(other) = from_key.filter(|other| *other != name) {
            self.warnings.push(format!(
                "the key's ARN names Region {other}, but {source} chooses {name}: calls will fail unless the key is there too"
            ));
        }
        Ok(RegionChoice::Known {
            name: name.to_owned(),
            source,
        })
    }

    fn endpoints(
        &mut self,
        environment: &Environment,
    ) -> Result<(Option<String>, Option<String>), Error> {
        let from_environment = environment.var("AWS_KMS_ENDPOINT");
        if from_environment.is_some()
            && self
                .value("endpoint")
                .is_some_and(|other| Some(other) != from_environment)
        {
            self.warnings
                .push("the environment variable AWS_KMS_ENDPOINT overrides endpoint".to_owned());
        }
        let kms = from_environment
            .or_else(|| self.value("endpoint"))
            .or_else(|| endpoint(environment, "AWS_ENDPOINT_URL_KMS"));
        let sts = self
            .value("sts_endpoint")
            .or_else(|| endpoint(environment, "AWS_ENDPOINT_URL_STS"));
        let kms = kms
            .map(|url| check_endpoint("endpoint", url, &mut self.warnings))
            .transpose()?;
        let sts = sts
            .map(|url| check_endpoint("sts_endpoint", url, &mut self.warnings))
            .transpose()?;
        Ok((kms, sts))
    }

    fn fallbacks(&mut self, key: Option<&KeyReference>) -> Result<Vec<Fallback>, Error> {
        let Some(list) = self.value("fallback_regions") else {
            return Ok(Vec::new());
        };
        if key.is_some_and(|key| key.is_multi_region() == Some(false)) {
            return Err(Error::Config(
                "fallback_regions needs a multi-Region key (its id starts with mrk-): no other Region can decrypt for kms_key_id"
                    .to_owned(),
            ));
        }
        let entries: Vec<_> = list
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .take(MOST_FALLBACKS + 1)
            .collect();
        if entries.len() > MOST_FALLBACKS {
            return Err(Error::Config(format!(
                "fallback_regions names more than {MOST_FALLBACKS} Regions: name only those that hold a replica of the key"
            )));
        }
        let mut fallbacks: Vec<Fallback> = Vec::with_capacity(entries.len());
        for entry in entries {
            let (region, endpoint) = match entry.split_once('=') {
                Some((region, url)) => (
                    region.trim(),
                    Some(check_endpoint(
                        "fallback_regions",
                        url.trim(),
                        &mut self.warnings,
                    )?),
                ),
                None => (entry, None),
            };
            check_region(region)?;
            if fallbacks.iter().any(|known| known.region == region) {
                return Err(Error::Config(format!(
                    "fallback_regions names {region} more than once"
                )));
            }
            fallbacks.push(Fallback {
                region: region.to_owned(),
                endpoint,
            });
        }
        Ok(fallbacks)
    }
}

/// The endpoint of a service, or of all, unless none is to be taken from the environment.
fn endpoint<'a>(environment: &'a Environment, of_service: &str) -> Option<&'a str> {
    if environment.is_true("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
        return None;
    }
    environment
        .var(of_service)
        .or_else(|| environment.var("AWS_ENDPOINT_URL"))
}

fn check_endpoint(key: &str, url: &str, warnings: &mut Vec<String>) -> Result<String, Error> {
    let refuse = |why: &str| {
        Err(Error::Config(format!(
            "{key} must be a URL such as https://kms.example.internal: {why}"
        )))
    };
    let Ok(uri) = url.parse::<http::Uri>() else {
        return refuse("it cannot be parsed");
    };
    let Some(authority) = uri.authority() else {
        return refuse("it has no host");
    };
    if authority.as_str().contains('@') {
        return refuse("it must not hold a user or password");
    }
    let has_port = !authority.as_str().ends_with(authority.host());
    if has_port && authority.port_u16().is_none_or(|port| port == 0) {
        return refuse("its port is not a number from 1 to 65535");
    }
    // The parser drops a fragment without a word.
    if uri.query().is_some() || url.contains('#') {
        return refuse("it must not have a query or a fragment");
    }
    match uri.scheme_str() {
        Some("https") => {}
        Some("http") => {
            let loopback = network::is_loopback(authority.host());
            if !loopback {
                warnings.push(format!(
                    "{key} does not use TLS: what it protects crosses the network readable"
                ));
            }
        }
        _ => return refuse("its scheme is neither https nor http"),
    }
    Ok(url.to_owned())
}

#[cfg(test)]
mod tests;
