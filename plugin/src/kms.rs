//! The mount's way to a key service: its sessions, the keys that sign there, and a limit on how many signatures are asked for at a time.
//!
//! The connection is the mount's `config/kms`, read by the rules of the seal stanza. Who may write that path may not read the server's files: no
//! value may name one, and a connection without credentials of its own goes to the service's own endpoint and nowhere else, and only where an
//! option of the mount lets it.

use std::sync::Arc;
use std::time::Duration;

use landfast_pki::{PublicKey, SignatureAlgorithm, digest_for};
use landfast_sdk::logical::Error;
use landfast_unseal::keys::{Place, Service};
use landfast_unseal::{Class, Digest, SigningScheme};
use tokio::time::timeout;

use crate::entry::key::KmsPlace;
use crate::entry::kms::{KIND, KmsConfig, SERVICE};
use crate::entry::other::Other;
use crate::fault::{internal, unavailable};
use crate::mount::Mount;
use crate::ocsp::Asker;

mod connection;
mod gate;
mod sessions;
#[cfg(test)]
mod tests;

use connection::{Connection, schemes};
pub use connection::{KeyService, lend_roles_anywhere};
pub(crate) use connection::{Kms, NOT_LENT, parse};

/// One signature with all its retries, once it is its turn. More than the session's own limit, which leaves out finding credentials.
const SIGNING: Duration = Duration::from_millis(if cfg!(test) { 300 } else { 15_000 });

/// A key that signs in the key service.
#[derive(Debug)]
pub(crate) struct KmsKey {
    pub(crate) place: KmsPlace,
    pub(crate) public: PublicKey,
}

impl Mount {
    /// A session with the key service in `region`, or in the Region of the mount's configuration. Everybody
    /// shares it until `config/kms` changes, so hold it for one piece of work and ask again for the next.
    ///
    /// # Errors
    /// When storage fails, or the configuration cannot be used.
    pub(crate) async fn kms_session(
        &self,
        region: Option<&str>,
    ) -> Result<Arc<dyn Service>, Error> {
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
        let made = Arc::new(Connection::new(config, self.lends_identity()));
        self.kms.current.store(Some(Arc::clone(&made)));
        Ok(made)
    }
}

/// Looks up the key that an operator names. It is the only time that its public half is fetched.
///
/// # Errors
/// 400 when the name means no key that can sign certificates or that this identity may use, 503 when the key service does not answer.
pub(crate) async fn adopt(
    mount: &Mount,
    name: &str,
    region: Option<&str>,
) -> Result<KmsKey, Error> {
    let bad = |error: landfast_unseal::Error| match failed(&error) {
        Error::Failed(text) => Error::BadRequest(text),
        other => other,
    };
    let reference = Place::of(KIND, name).map_err(bad)?;
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
            &format!("{SERVICE} gave a public key that cannot be read"),
            format_args!("{}: {cause}", signer.key_id()),
        )
    })?;
    let usable = !schemes(&public).is_empty()
        && schemes(&public)
            .iter()
            .all(|scheme| signer.schemes().contains(scheme));
    if !usable {
        return Err(Error::BadRequest(format!(
            "{name} cannot be a CA's key: its key spec must be RSA_2048 or more, ECC_NIST_P256, ECC_NIST_P384, ECC_NIST_P521, or ML_DSA_44, ML_DSA_65, ML_DSA_87"
        )));
    }
    let key_id = signer.key_id().to_owned();
    let in_answer = Place::of(KIND, &key_id)
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

/// Has the key service sign, within the mount's limit, and holds the answer against the public key.
///
/// # Errors
/// 503 when the key service does not answer or too many wait already, else an error value with cause and next step.
pub(crate) async fn sign(
    mount: &Mount,
    key: &KmsKey,
    algorithm: SignatureAlgorithm,
    message: &[u8],
) -> Result<Vec<u8>, Error> {
    let signed = ask(mount, key, algorithm, message).await;
    if let Err(error) = &signed {
        tracing::warn!(key = %key.place.key_id, %error, "{SERVICE} did not sign");
    }
    signed
}

async fn ask(
    mount: &Mount,
    key: &KmsKey,
    algorithm: SignatureAlgorithm,
    message: &[u8],
) -> Result<Vec<u8>, Error> {
    let digest = digest_for(algorithm, &key.public, message);
    let (Some(scheme), Some(digest)) = (scheme(algorithm), digest) else {
        return Err(Error::Failed(format!(
            "keys in {SERVICE} do not sign with {algorithm}"
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
                "{SERVICE} answered with a signature that is not by the key {}: nothing was issued. Look at what stands between this \
                 server and {SERVICE}",
                key.place.key_id
            ))
        })?;
    Ok(signature)
}

/// A failure of the key service as an answer: 503 where the same request may succeed a little later, else an
/// error value. The text names cause, key, Region, principal and next step.
pub(crate) fn failed(error: &landfast_unseal::Error) -> Error {
    match error.class() {
        Class::Throttled | Class::Outage => unavailable(format!(
            "{SERVICE} cannot be used at the moment, try again later: {error}"
        )),
        Class::Config => Error::Failed(error.to_string()),
        _ => Error::Failed(format!("{SERVICE} refuses: {error}")),
    }
}

fn late(operation: &str, key: &str) -> Error {
    unavailable(format!(
        "{SERVICE} cannot be used at the moment, try again later: {operation}: no answer within {SIGNING:?} (key {key}); check the network path \
         to {SERVICE} and to the source of credentials"
    ))
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
        SignatureAlgorithm::MlDsa(_) => SigningScheme::MlDsa,
        SignatureAlgorithm::Ed25519 => return None,
    })
}
