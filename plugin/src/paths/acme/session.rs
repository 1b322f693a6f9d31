//! Signed requests (RFC 8555 section 6): who asks, and what.

use landfast_acme::AccountKey;
use landfast_acme::jws::{Flattened, KeyRef};
use landfast_acme::problem::{Kind, Problem};
use landfast_sdk::logical::{Cx, Error, Response};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::answer::{Answer, index, told, with_nonce};
use crate::Mount;
use crate::acme::accounts::{self, Account};
use crate::acme::directory::{self, Directory, Place};
use crate::acme::{Refused, because};

/// A signed request as the host passes it on: a JWS in flattened JSON (RFC 7515 section 7.2.2).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Signed {
    /// The protected header, in base64url.
    protected: Option<String>,
    /// The payload, in base64url.
    payload: Option<String>,
    /// The signature, in base64url.
    signature: Option<String>,
}

/// A request whose signature was checked.
pub(super) struct Session {
    /// Where it was sent.
    pub(super) directory: Directory,
    /// Who sent it.
    pub(super) who: Who,
    /// The URL that it was signed for, which is the one that it was sent to.
    pub(super) url: String,
    payload: Vec<u8>,
}

/// Who signed a request.
pub(super) enum Who {
    /// An account, and its URL as the client wrote it.
    Account(Box<Account>, String),
    /// A key.
    Key(AccountKey),
}

impl Session {
    /// The account; it may be used.
    ///
    /// # Errors
    /// A key without an account signed, or the account was given up.
    pub(super) fn account(&self) -> Result<&Account, Refused> {
        match &self.who {
            Who::Account(account, _) => {
                accounts::check(&self.directory, account)?;
                Ok(account)
            }
            Who::Key(_) => Err(because(
                Kind::Malformed,
                "cannot process request without a 'kid'",
            )),
        }
    }

    /// Whether the client only wants to read (POST-as-GET, RFC 8555 section 6.3).
    pub(super) fn only_reads(&self) -> bool {
        self.payload.is_empty()
    }

    /// What the client says.
    ///
    /// # Errors
    /// It is no JSON object of that shape.
    pub(super) fn payload<T: DeserializeOwned>(&self) -> Result<T, Refused> {
        serde_json::from_slice(&self.payload).map_err(|cause| {
            because(
                Kind::Malformed,
                format_args!("failed to json unmarshal 'payload': {cause}"),
            )
        })
    }

    /// Refuses anything but a reading.
    ///
    /// # Errors
    /// As said.
    pub(super) fn expect_reading(&self) -> Result<(), Refused> {
        // An empty object was taken here by the built-in engine.
        if self.only_reads() || self.payload == b"{}" {
            return Ok(());
        }
        Err(because(Kind::Malformed, "unexpected request parameters"))
    }
}

/// Opens a signed request, has `handler` do what it asks for, and answers with a new nonce whatever came of it.
///
/// # Errors
/// ACME is off, or this node may not write.
pub(super) async fn serve<F>(
    mount: &Mount,
    cx: &Cx,
    signed: Signed,
    handler: F,
) -> Result<Response, Error>
where
    F: AsyncFnOnce(Session) -> Result<Answer, Refused>,
{
    let outcome = match open(mount, &cx.path, signed).await {
        Ok(session) => handler(session).await,
        Err(refused) => Err(refused),
    };
    let mut answer = with_nonce(mount, told(outcome)?)?;
    if let (Some(root), Some(place)) = (directory::root(mount).await?, Place::of(&cx.path)) {
        answer = answer.header(
            "Link",
            index(&format!("{root}/{}directory", place.directory)),
        );
    }
    Ok(answer.into_response())
}

async fn open(mount: &Mount, path: &str, signed: Signed) -> Result<Session, Refused> {
    let directory = Directory::load(mount, path).await?;
    let missing = |name: &str| {
        because(
            Kind::Malformed,
            format_args!("missing required field '{name}'"),
        )
    };
    let signed = Flattened::new(
        signed.protected.ok_or_else(|| missing("protected"))?,
        signed.payload.ok_or_else(|| missing("payload"))?,
        signed.signature.ok_or_else(|| missing("signature"))?,
    );
    let header = signed.header()?;
    redeem(mount, header.nonce.as_deref().unwrap_or_default()).await?;
    let url = directory.url_of(path);
    header.check_url(&url)?;
    let (who, payload) = match header.key {
        KeyRef::Kid(kid) => {
            let id = kid.rsplit('/').next().unwrap_or_default();
            let account = accounts::load(mount, &directory, id).await?;
            let payload = signed.verify(&account.key()?, header.algorithm)?;
            (Who::Account(Box::new(account), kid), payload)
        }
        KeyRef::Jwk(key) => {
            let payload = signed.verify(&key, header.algorithm)?;
            (Who::Key(key), payload)
        }
    };
    Ok(Session {
        directory,
        who,
        url,
        payload,
    })
}

/// Takes the nonce. Only the node that may write gives nonces out, so one that it did not may be known there.
async fn redeem(mount: &Mount, nonce: &str) -> Result<(), Refused> {
    let taken: Result<(), Problem> = mount.acme.nonces()?.redeem(nonce, mount.now());
    match taken {
        Ok(()) => mount.acme.nonce_came_back(),
        Err(problem) => {
            mount.only_where_written().await?;
            return Err(problem.into());
        }
    }
    Ok(())
}
