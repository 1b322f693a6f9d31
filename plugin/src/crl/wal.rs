//! `delta-wal/`: the revocations that no complete CRL lists yet.
//!
//! The built-in engine builds its delta CRLs from this list, and only when the last revocation is another than the one it built the last delta CRL
//! for. Ours come from the revocations themselves; the list is kept for the way back.

use std::collections::HashSet;

use landfast_pki::SerialNumber;
use landfast_sdk::logical::{Error, Write};
use serde_json::json;

use crate::entry;
use crate::entry::config::CrlConfig;
use crate::mount::Mount;

/// What the list holds at the start of a build.
#[derive(Debug, Default)]
pub(super) struct Pending {
    serials: Vec<String>,
    last_revoked: Option<Vec<u8>>,
}

/// What is to be written with the revocation of `serial` under these settings: with delta CRLs, the list learns of it.
pub(crate) fn noted(config: &CrlConfig, serial: &SerialNumber) -> Vec<Write> {
    if !(config.auto_rebuild && config.enable_delta) {
        return Vec::new();
    }
    let last = json!({ "serial": serial.colon() });
    vec![
        Write::put(format!("{PREFIX}{}", serial.dash()), b"{}\n".as_slice()),
        Write::put(LAST_REVOKED, entry::encode(&last)),
    ]
}

/// Reads the list; to be done before the revocations are read, so that nothing is struck off that a build did not see.
///
/// # Errors
/// When storage fails.
pub(super) async fn pending(mount: &Mount, config: &CrlConfig) -> Result<Pending, Error> {
    if !config.enable_delta {
        return Ok(Pending::default());
    }
    Ok(Pending {
        serials: mount.storage().list(PREFIX).await?,
        last_revoked: mount.storage().get(LAST_REVOKED).await?,
    })
}

impl Pending {
    /// The serial numbers of the list.
    pub(super) fn serials(&self) -> HashSet<Vec<u8>> {
        let serials = self.serials.iter();
        serials
            .filter_map(|name| Some(SerialNumber::parse(name).ok()?.as_bytes().to_vec()))
            .collect()
    }

    /// What is to be written with CRLs: a complete CRL lists what is in `listed`, and each delta CRL what had come until now where `all` were built.
    pub(super) fn built(self, listed: &HashSet<Vec<u8>>, all: bool) -> Vec<Write> {
        let struck = self.serials.into_iter().filter(|name| {
            SerialNumber::parse(name).is_ok_and(|serial| listed.contains(serial.as_bytes()))
        });
        let mut writes: Vec<_> = struck
            .map(|name| Write::delete(format!("{PREFIX}{name}")))
            .collect();
        if let (true, Some(last)) = (all, self.last_revoked) {
            writes.push(Write::put(LAST_BUILD, last));
        }
        writes
    }
}

const PREFIX: &str = "delta-wal/";
const LAST_REVOKED: &str = "delta-wal/last-revoked-serial";
const LAST_BUILD: &str = "delta-wal/last-build-serial";
