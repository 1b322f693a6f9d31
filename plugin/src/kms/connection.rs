//! A mount's connection to its key service: what follows from one state of `config/kms`.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use landfast_pki::{Curve, KeyType, PublicKey};
use landfast_unseal::keys::{Place, Service, Settings};
use landfast_unseal::{
    Author, Digest, Environment, KmsSigner, Limits, OpenRolesAnywhere, ParseOptions, SigningScheme,
};
use tokio::sync::Mutex;

use super::gate::Gate;
use super::sessions::Sessions;
use crate::entry::key::KmsPlace;
use crate::entry::kms::KmsConfig;

/// How long a signature waits for its turn, and how many may wait.
const PATIENCE: Duration = Duration::from_secs(10);
const WAITING: usize = 1000;

/// The same for answers to those who only ask, whom nothing identifies.
const ASKING: Duration = Duration::from_secs(2);
const ASKERS: usize = 64;

/// Why a connection without credentials is not made: the right to write a mount's settings is no right to the server's identity.
pub(crate) const NOT_LENT: &str = "config/kms has no credentials, and the server's AWS identity is not lent to this mount: write access_key and \
     secret_key to config/kms, or lend it with the right to sys/mounts: `secrets tune -options=use_server_identity=true MOUNT`, then \
     `plugin reload -mounts=MOUNT`";

/// See [`lend_roles_anywhere`].
static ROLES_ANYWHERE: OnceLock<OpenRolesAnywhere> = OnceLock::new();

/// Says, once for the process, who opens sessions of IAM Roles Anywhere: mounts that use the server's identity have one if the server's
/// environment names it. The server makes mounts by themselves, so nothing can be handed to each.
pub fn lend_roles_anywhere(open: OpenRolesAnywhere) {
    let _ = ROLES_ANYWHERE.set(open);
}

/// The connection as it is configured now. It holds no connection open before the first use.
#[derive(Default)]
pub(crate) struct Kms {
    pub(super) current: ArcSwapOption<Connection>,
    /// Held while a connection is made anew.
    pub(super) making: Mutex<()>,
}

/// What follows from one state of `config/kms`.
pub(super) struct Connection {
    pub(super) config: Arc<KmsConfig>,
    /// Whether it may use the identity of the server's process where it has no credentials.
    lends_identity: bool,
    /// By Region; the empty name is for the Region that the configuration settles.
    pub(super) sessions: Mutex<Sessions<Arc<dyn Service>>>,
    pub(super) gate: Gate,
    /// Before the gate, for OCSP answers by [`Asker`](crate::ocsp::Asker): whatever is asked, most of the signatures are left for issuing.
    pub(super) known: Gate,
    pub(super) strangers: Gate,
}

/// Finds keys that sign outside of the process: in the service that `config/kms` reaches, unless
/// [`Mount::use_key_service`](crate::Mount::use_key_service) says otherwise.
#[async_trait]
pub trait KeyService: Send + Sync {
    /// Looks a key up by the name that an operator gave it, in a Region if one is given.
    ///
    /// # Errors
    /// There is no such key, or the service could not be used.
    async fn open(
        &self,
        key: &Place,
        region: Option<&str>,
    ) -> Result<Arc<dyn KmsSigner>, landfast_unseal::Error>;

    /// A key that was looked up once. Calls nothing.
    ///
    /// # Errors
    /// The service's own.
    async fn known(
        &self,
        place: &KmsPlace,
        public: &PublicKey,
    ) -> Result<Arc<dyn KmsSigner>, landfast_unseal::Error>;
}

impl Connection {
    /// A connection that nobody used yet.
    pub(super) fn new(config: Arc<KmsConfig>, lends_identity: bool) -> Self {
        Self {
            gate: Gate::new(config.signatures(), WAITING, PATIENCE),
            known: Gate::new(config.signatures() / 4, ASKERS, ASKING),
            strangers: Gate::new(config.signatures() / 16, ASKERS, ASKING),
            config,
            lends_identity,
            sessions: Mutex::default(),
        }
    }

    /// The session in `region`, opened at its first use.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub(super) async fn session(
        &self,
        region: Option<&str>,
    ) -> Result<Arc<dyn Service>, landfast_unseal::Error> {
        let mut sessions = self.sessions.lock().await;
        if let Some(known) = sessions.get(region.unwrap_or_default()) {
            return Ok(Arc::clone(known));
        }
        if !self.lends_identity && !self.config.has_credentials() {
            return Err(landfast_unseal::Error::Config(NOT_LENT.to_owned()));
        }
        let settings = parse(&self.config, region)?;
        let session = settings.connect(Limits::default()).await?;
        sessions.keep(region.unwrap_or_default(), Arc::clone(&session));
        let speaker = Arc::clone(&session);
        tokio::spawn(async move { speaker.log_identity().await });
        Ok(session)
    }
}

#[async_trait]
impl KeyService for Connection {
    async fn open(
        &self,
        key: &Place,
        region: Option<&str>,
    ) -> Result<Arc<dyn KmsSigner>, landfast_unseal::Error> {
        let session = self.session(key.region().or(region)).await?;
        session.signer(key).await
    }

    async fn known(
        &self,
        place: &KmsPlace,
        public: &PublicKey,
    ) -> Result<Arc<dyn KmsSigner>, landfast_unseal::Error> {
        let session = self.session(Some(&place.region)).await?;
        Ok(session.known_signer(&place.key_id, public.spki_der(), schemes(public)))
    }
}

/// Reads the settings of a connection.
///
/// # Errors
/// The fault, which repeats no credential.
pub(crate) fn parse(
    config: &KmsConfig,
    region: Option<&str>,
) -> Result<Settings, landfast_unseal::Error> {
    let author = if config.has_credentials() {
        Author::Tenant
    } else {
        Author::TenantWithServerIdentity
    };
    let options = ParseOptions {
        key_id: None,
        author,
        // Only the server's own environment can name such a session: from whoever writes a mount's configuration those keys are refused.
        roles_anywhere: ROLES_ANYWHERE.get().copied(),
    };
    config.with_stanza(region, |stanza| {
        Settings::of_service(stanza, &Environment::of_process(), &options)
    })
}

/// What a key of the service with this public half signs with: an EC key has the hash of its curve and no other.
pub(super) fn schemes(public: &PublicKey) -> Vec<SigningScheme> {
    const HASHES: [Digest; 3] = [Digest::Sha256, Digest::Sha384, Digest::Sha512];
    match (public.key_type(), public.curve()) {
        (KeyType::Ec, Some(curve)) => vec![SigningScheme::Ecdsa(match curve {
            // AWS KMS has no such keys.
            Curve::P224 => return Vec::new(),
            Curve::P256 => Digest::Sha256,
            Curve::P384 => Digest::Sha384,
            Curve::P521 => Digest::Sha512,
        })],
        (KeyType::Rsa, _) if public.bits() >= 2048 => HASHES
            .map(SigningScheme::RsaPkcs1)
            .into_iter()
            .chain(HASHES.map(SigningScheme::RsaPss))
            .collect(),
        (KeyType::MlDsa, _) => vec![SigningScheme::MlDsa],
        _ => Vec::new(),
    }
}
