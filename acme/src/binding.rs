//! External account binding (RFC 8555 section 7.3.4): who asks for an account shows a key that was given to it elsewhere.

use landfast_base::Secret;

use crate::crypto::Mac;
use crate::jws::{self, Flattened, RawHeader};
use crate::{AccountKey, Kind, Problem, text};

/// The member `externalAccountBinding` of a request for an account: a JWS by a message authentication code. Its header is read, its
/// tag is not checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    signed: Flattened,
    mac: Mac,
    kid: String,
    url: Option<String>,
}

impl Binding {
    /// Reads the header, so that the key can be looked up by [`kid`](Self::kid).
    ///
    /// # Errors
    /// [`Kind::Malformed`] for a header without `kid`, with another algorithm than HS256, HS384 and HS512, or with a nonce or key.
    pub fn read(signed: Flattened) -> Result<Self, Problem> {
        let raw: RawHeader = signed.raw_header()?;
        raw.refuse_extensions()?;
        let Some(kid) = raw.kid.filter(|kid| !kid.is_empty()) else {
            return Err(Problem::malformed(
                "invalid header: got missing required field 'kid' in eab 'protected'",
            ));
        };
        let Some(mac) = Mac::from_name(&raw.alg) else {
            let detail = format!(
                "invalid header: unexpected value for 'algo' in eab 'protected': {} is not supported, use HS256, HS384 or HS512",
                text::shown(&raw.alg)
            );
            return Err(Problem::malformed(detail));
        };
        if raw.nonce.is_some() {
            return Err(Problem::malformed(
                "nonce should not be provided in eab 'protected'",
            ));
        }
        if raw.jwk.is_some() {
            return Err(Problem::malformed(
                "'jwk' should not be provided in eab 'protected': the key belongs into its payload",
            ));
        }
        Ok(Self {
            signed,
            mac,
            kid,
            url: raw.url,
        })
    }

    /// The name of the key that was given out. It is what the client says, of any length and content.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Checks that who has `mac_key` binds `outer_key`, the key of the request around this, and at `outer_url`, its URL.
    ///
    /// # Errors
    /// [`Kind::Unauthorized`] if the tag is not that of the key or the URL another, [`Kind::Malformed`] if the payload is another key.
    pub fn verify(
        &self,
        outer_url: &str,
        outer_key: &AccountKey,
        mac_key: &Secret<Vec<u8>>,
    ) -> Result<(), Problem> {
        jws::check_url("eab 'protected'", self.url.as_deref(), outer_url)?;
        let (payload, tag) = self.signed.signed()?;
        // Whoever has no key could make the tag of an empty one.
        let known = !mac_key.expose().is_empty();
        if !known || !self.mac.verify(mac_key, &self.signed.signing_input(), &tag) {
            return Err(Problem::new(
                Kind::Unauthorized,
                "failed to verify eab: the signature is not that of the key with this 'kid'",
            ));
        }
        let bound = AccountKey::parse(&payload)?;
        if bound == *outer_key {
            Ok(())
        } else {
            Err(Problem::malformed(
                "eab payload does not match outer JWK key",
            ))
        }
    }
}

#[cfg(test)]
mod tests;
