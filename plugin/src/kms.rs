//! The mount's way to AWS KMS: its sessions, the keys that sign there, and a limit on how many signatures are asked for at a time.
//!
//! The connection is the mount's `config/kms`, read by the rules of the seal stanza. Who may write that path may not read the server's files: no
//! value may name one, and a connection without credentials of its own goes to AWS and nowhere else, and only where an option of the mount lets it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use landfast_pki::{Curve, KeyType, PublicKey, SignatureAlgorithm, digest_for};
use landfast_sdk::logical::Error;
use landfast_unseal::aws::{AwsSigner, Limits, Session};
use landfast_unseal::config::{AwsConfig, KeyReference, OpenRolesAnywhere};
use landfast_unseal::{Author, Class, Digest, Environment, KmsSigner, ParseOptions, SigningScheme};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::entry::key::KmsPlace;
use crate::entry::kms::KmsConfig;
use crate::entry::other::Other;
use crate::mount::{Mount, internal};

mod gate;
mod sessions;
#[cfg(test)]
mod tests;

use gate::Gate;
use sessions::Sessions;

/// One signature with all its retries, once it is its turn. More than the session's own limit, which leaves out finding credentials.
const SIGNING: Duration = Duration::from_millis(if cfg!(test) { 300 } else { 15_000 });

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
    current: ArcSwapOption<Connection>,
    /// Held while a connection is made anew.
    making: Mutex<()>,
}

/// What follows from one state of `config/kms`.
struct Connection {
    config: Arc<KmsConfig>,
    /// Whether it may use the identity of the server's process where it has no credentials.
    lends_identity: bool,
    /// By Region; the empty name is for the Region that the configuration settles.
    sessions: Mutex<Sessions<Arc<Session>>>,
    gate: Gate,
    /// Before the gate, for OCSP answers by [`Asker`]: whatever is asked, most of the signatures are left for issuing.
    known: Gate,
    strangers: Gate,
}

/// What an OCSP client asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// A certificate that is on record.
    Known,
    /// Any other serial number, such as one that was made up.
    Stranger,
}

/// Finds keys that sign outside of the process: in AWS KMS, unless [`Mount::use_key_service`] says otherwise.
#[async_trait]
pub trait KeyService: Send + Sync {
    /// Looks a key up by the name that an operator gave it, in a Region if one is given.
    ///
    /// # Errors
    /// There is no such key, or the service could not be used.
    async fn open(
        &self,
        key: &KeyReference,
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

/// A key that signs in AWS KMS.
#[derive(Debug)]
pub(crate) struct KmsKey {
    pub(crate) place: KmsPlace,
    pub(crate) public: PublicKey,
}

impl Mount {
    /// A session with AWS KMS in `region`, or in the Region of the mount's configuration. Everybody shares it until `config/kms` changes,
    /// so hold it for one piece of work and ask again for the next.
    ///
    /// # Errors
    /// When storage fails, or the configuration cannot be used.
    pub(crate) async fn kms_session(&self, region: Option<&str>) -> Result<Arc<Session>, Error> {
        let connection = self.kms_connection().await?;
        connection
            .session(region)
            .await
            .map_err(|error| failed(&error))
    }

    async fn kms_connection(&self) -> Result<Arc<Connection>, Error> {
        let config = self.load_or_default::<KmsConfig>(KmsConfig::KEY).await?;
        let fits =
            |known: &Arc<Connection>| Arc::ptr_eq(&known.config, &config) || known.config == config;
        if let Some(known) = self.kms.current.load_full().filter(fits) {
            return Ok(known);
        }
        let _alone = self.kms.making.lock().await;
        if let Some(known) = self.kms.current.load_full().filter(fits) {
            return Ok(known);
        }
        let made = Arc::new(Connection {
            gate: Gate::new(config.signatures(), WAITING, PATIENCE),
            known: Gate::new(config.signatures() / 4, ASKERS, ASKING),
            strangers: Gate::new(config.signatures() / 16, ASKERS, ASKING),
            config,
            lends_identity: self.lends_identity(),
            sessions: Mutex::default(),
        });
        self.kms.current.store(Some(Arc::clone(&made)));
        Ok(made)
    }
}

impl Connection {
    async fn session(&self, region: Option<&str>) -> Result<Arc<Session>, landfast_unseal::Error> {
        let mut sessions = self.sessions.lock().await;
        if let Some(known) = sessions.get(region.unwrap_or_default()) {
            return Ok(Arc::clone(known));
        }
        if !self.lends_identity && !self.config.has_credentials() {
            return Err(landfast_unseal::Error::Config(NOT_LENT.to_owned()));
        }
        let config = parse(&self.config, region)?;
        let session = Arc::new(Session::open(config, Limits::default()).await?);
        sessions.keep(region.unwrap_or_default(), Arc::clone(&session));
        tokio::spawn(landfast_unseal::aws::log_identity(Arc::clone(&session)));
        Ok(session)
    }
}

#[async_trait]
impl KeyService for Connection {
    async fn open(
        &self,
        key: &KeyReference,
        region: Option<&str>,
    ) -> Result<Arc<dyn KmsSigner>, landfast_unseal::Error> {
        let session = self.session(key.region().or(region)).await?;
        Ok(Arc::new(AwsSigner::open(session, key).await?))
    }

    async fn known(
        &self,
        place: &KmsPlace,
        public: &PublicKey,
    ) -> Result<Arc<dyn KmsSigner>, landfast_unseal::Error> {
        let session = self.session(Some(&place.region)).await?;
        Ok(Arc::new(AwsSigner::known(
            session,
            place.key_id.clone(),
            public.spki_der().to_vec(),
            schemes(public),
        )))
    }
}

/// Looks up the key that an operator names. It is the only time that its public half is fetched.
///
/// # Errors
/// 400 when the name means no key that can sign certificates or that this identity may use, 503 when AWS KMS does not answer.
pub(crate) async fn adopt(
    mount: &Mount,
    name: &str,
    region: Option<&str>,
) -> Result<KmsKey, Error> {
    let bad = |error: landfast_unseal::Error| match failed(&error) {
        Error::Failed(text) => Error::BadRequest(text),
        other => other,
    };
    let reference = KeyReference::parse(name).map_err(bad)?;
    let region = region.map(str::trim).filter(|region| !region.is_empty());
    if let (Some(in_name), Some(region)) = (reference.region(), region)
        && in_name != region
    {
        return Err(Error::BadRequest(format!(
            "kms_region is {region}, but kms_key_id names a key in {in_name}: leave kms_region out"
        )));
    }
    let connection = mount.kms_connection().await?;
    let work = async {
        match mount.key_service.get() {
            Some(service) => service.open(&reference, region).await,
            None => connection.open(&reference, region).await,
        }
    };
    let signer = match timeout(SIGNING, work).await {
        Ok(signer) => signer.map_err(bad)?,
        Err(_) => return Err(late("GetPublicKey", name)),
    };
    let public = PublicKey::from_spki_der(signer.public_key_der()).map_err(|cause| {
        internal(
            "AWS KMS gave a public key that cannot be read",
            format_args!("{}: {cause}", signer.key_id()),
        )
    })?;
    let usable = !schemes(&public).is_empty()
        && schemes(&public)
            .iter()
            .all(|scheme| signer.schemes().contains(scheme));
    if !usable {
        return Err(Error::BadRequest(format!(
            "{name} cannot be a CA's key: its key spec must be RSA_2048 or more, ECC_NIST_P256, ECC_NIST_P384 or ECC_NIST_P521"
        )));
    }
    let key_id = signer.key_id().to_owned();
    let in_answer = KeyReference::parse(&key_id)
        .ok()
        .and_then(|key| key.region().map(str::to_owned));
    let region = match (in_answer, reference.region().or(region)) {
        (Some(region), _) => region,
        (None, Some(region)) => region.to_owned(),
        (None, None) => {
            let session = connection.session(None).await;
            session.map_err(|error| failed(&error))?.region().to_owned()
        }
    };
    Ok(KmsKey {
        place: KmsPlace {
            key_id,
            region,
            other: Other::default(),
        },
        public,
    })
}

/// Does `work`, the signing of an OCSP answer, when it is the asker's turn. Answers get a quarter of the mount's signatures at the most, and
/// those about serial numbers that are not on record a sixteenth.
///
/// # Errors
/// 503 when too many wait, or when the turn does not come in time; those of `work`.
pub(crate) async fn in_turn<T>(
    mount: &Mount,
    asker: Asker,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let connection = mount.kms_connection().await?;
    let gate = match asker {
        Asker::Known => &connection.known,
        Asker::Stranger => &connection.strangers,
    };
    let _turn = gate.pass().await?;
    work.await
}

/// Has AWS KMS sign, within the mount's limit, and holds the answer against the public key.
///
/// # Errors
/// 503 when AWS KMS does not answer or too many wait already, else an error value with cause and next step.
pub(crate) async fn sign(
    mount: &Mount,
    key: &KmsKey,
    algorithm: SignatureAlgorithm,
    message: &[u8],
) -> Result<Vec<u8>, Error> {
    let signed = ask(mount, key, algorithm, message).await;
    if let Err(error) = &signed {
        tracing::warn!(key = %key.place.key_id, %error, "AWS KMS did not sign");
    }
    signed
}

async fn ask(
    mount: &Mount,
    key: &KmsKey,
    algorithm: SignatureAlgorithm,
    message: &[u8],
) -> Result<Vec<u8>, Error> {
    let (Some(scheme), Some(digest)) = (scheme(algorithm), digest_for(algorithm, message)) else {
        return Err(Error::Failed(format!(
            "keys in AWS KMS do not sign with {algorithm}"
        )));
    };
    let connection = mount.kms_connection().await?;
    let _permit = connection.gate.pass().await?;
    let work = async {
        let signer = match mount.key_service.get() {
            Some(service) => service.known(&key.place, &key.public).await?,
            None => connection.known(&key.place, &key.public).await?,
        };
        signer.sign_digest(scheme, &digest).await
    };
    let signature = match timeout(SIGNING, work).await {
        Ok(signature) => signature.map_err(|error| failed(&error))?,
        Err(_) => return Err(late("Sign", &key.place.key_id)),
    };
    key.public
        .verify(algorithm, message, &signature)
        .map_err(|_| {
            Error::Failed(format!(
                "AWS KMS answered with a signature that is not by the key {}: nothing was issued. Look at what stands between this server \
                 and AWS KMS",
                key.place.key_id
            ))
        })?;
    Ok(signature)
}

/// Reads the settings of a connection.
///
/// # Errors
/// The fault, which repeats no credential.
pub(crate) fn parse(
    config: &KmsConfig,
    region: Option<&str>,
) -> Result<AwsConfig, landfast_unseal::Error> {
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
        AwsConfig::parse(stanza, &Environment::of_process(), &options)
    })
}

/// A failure of AWS KMS as an answer: 503 where the same request may succeed a little later, else an error value. The text names cause, key,
/// Region, principal and next step.
pub(crate) fn failed(error: &landfast_unseal::Error) -> Error {
    match error.class() {
        Class::Throttled | Class::Outage => unavailable(format!(
            "AWS KMS cannot be used at the moment, try again later: {error}"
        )),
        Class::Config => Error::Failed(error.to_string()),
        _ => Error::Failed(format!("AWS KMS refuses: {error}")),
    }
}

/// Whether a failure is one of [`failed`] that passes by itself.
pub(crate) fn passes(error: &Error) -> bool {
    matches!(error, Error::Status { code: 503, .. })
}

/// 503.
pub(crate) fn unavailable(message: String) -> Error {
    Error::Status { code: 503, message }
}

fn late(operation: &str, key: &str) -> Error {
    unavailable(format!(
        "AWS KMS cannot be used at the moment, try again later: {operation}: no answer within {SIGNING:?} (key {key}); check the network path to \
         AWS KMS and to the source of credentials"
    ))
}

/// What a key of AWS KMS with this public half signs with: an EC key has the hash of its curve and no other.
fn schemes(public: &PublicKey) -> Vec<SigningScheme> {
    const HASHES: [Digest; 3] = [Digest::Sha256, Digest::Sha384, Digest::Sha512];
    match (public.key_type(), public.curve()) {
        (KeyType::Ec, Some(curve)) => vec![SigningScheme::Ecdsa(match curve {
            Curve::P256 => Digest::Sha256,
            Curve::P384 => Digest::Sha384,
            Curve::P521 => Digest::Sha512,
        })],
        (KeyType::Rsa, _) if public.bits() >= 2048 => HASHES
            .map(SigningScheme::RsaPkcs1)
            .into_iter()
            .chain(HASHES.map(SigningScheme::RsaPss))
            .collect(),
        _ => Vec::new(),
    }
}

fn scheme(algorithm: SignatureAlgorithm) -> Option<SigningScheme> {
    use landfast_pki::Hash;
    let digest = |hash| match hash {
        Hash::Sha256 => Digest::Sha256,
        Hash::Sha384 => Digest::Sha384,
        Hash::Sha512 => Digest::Sha512,
    };
    Some(match algorithm {
        SignatureAlgorithm::RsaPkcs1(hash) => SigningScheme::RsaPkcs1(digest(hash)),
        SignatureAlgorithm::RsaPss(hash) => SigningScheme::RsaPss(digest(hash)),
        SignatureAlgorithm::Ecdsa(hash) => SigningScheme::Ecdsa(digest(hash)),
        SignatureAlgorithm::Ed25519 => return None,
    })
}
