//! CRLs as they are sent, encoded once: they are large, seldom change, and are fetched by everybody.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use landfast_sdk::logical::{Error, RawBody};

use super::{DER_TYPE, Kind, LABEL, PEM_TYPE, current, release};
use crate::entry::crl::CrlBook;
use crate::mount::{Mount, take_up};

/// Where all CRLs lie: whatever changes there, all bodies are forgotten.
pub(super) const FOLDER: &str = "crls/";
/// Bodies that are kept at most.
const MOST: usize = 8;
/// A CRL of more bytes than this takes milliseconds to encode.
const LARGE: usize = 256 << 10;

/// How a CRL is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    /// As it is.
    Der,
    /// In PEM, with a final newline.
    Pem,
    /// In PEM without the final newline, as some paths show it.
    Text,
}

impl Form {
    /// The content type.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Der => DER_TYPE,
            Self::Pem | Self::Text => PEM_TYPE,
        }
    }

    fn encode(self, der: &[u8]) -> RawBody {
        let pem = || landfast_pki::pem::encode(LABEL, der);
        match self {
            Self::Der => RawBody::new(200, self.content_type(), der),
            Self::Pem => RawBody::new(200, self.content_type(), pem().as_bytes()),
            Self::Text => RawBody::new(200, self.content_type(), pem().trim_end().as_bytes()),
        }
    }
}

/// By issuer, kind and form.
#[derive(Debug, Default)]
struct Bodies(Mutex<HashMap<(String, Kind, Form), Arc<RawBody>>>);

/// The present CRL of an issuer as the body of an answer; `None` when none was built yet.
///
/// # Errors
/// When storage fails.
pub(crate) async fn body(
    mount: &Mount,
    issuer_id: &str,
    kind: Kind,
    form: Form,
) -> Result<Option<Arc<RawBody>>, Error> {
    // Taken before the CRL is read: if one comes meanwhile, these are forgotten, and what was read goes with them.
    let bodies: Arc<Bodies> = mount
        .derive(FOLDER, async { Ok(Bodies::default()) })
        .await?;
    let key = (issuer_id.to_owned(), kind, form);
    let known = {
        let kept = bodies.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&key).cloned()
    };
    if let Some(known) = known {
        // It is copied only, which takes less than to read or write as much.
        take_up(known.size() / 8).await;
        return Ok(Some(known));
    }
    let Some(bytes) = current(mount, issuer_id, kind).await? else {
        return Ok(None);
    };
    let encode = || Arc::new(form.encode(&bytes.0));
    let large = bytes.0.len() > LARGE;
    let body = mount.heavy.run_if(large, encode).await;
    if large {
        // Nobody needs it twice.
        let book = mount.load_or_default::<CrlBook>(CrlBook::KEY).await?;
        release(mount, &book, issuer_id, kind);
    }
    let mut kept = bodies.0.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.len() >= MOST {
        kept.clear();
    }
    kept.insert(key, Arc::clone(&body));
    Ok(Some(body))
}
