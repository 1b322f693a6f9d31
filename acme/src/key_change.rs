//! Change of an account's key (RFC 8555 section 7.3.5): the new key signs that it takes over, the old one signs that.

use serde::Deserialize;

use crate::{AccountKey, Flattened, KeyRef, Problem, jws, text};

/// Checks the inner request of a change against the outer one, whose signature by the old key was checked before, and gives the new
/// key.
///
/// Whether another account has the new key is the caller's to find out (answer 409 with its URL in `Location`).
///
/// # Errors
/// What [`Flattened::header`] and [`Flattened::verify`] say of the inner request, and [`Kind::Malformed`](crate::Kind::Malformed) if
/// it is signed for another URL, account or old key, has a nonce, names its key by `kid`, or if the new key is the old one.
pub fn open(
    inner: &Flattened,
    outer_url: &str,
    account_url: &str,
    old_key: &AccountKey,
) -> Result<AccountKey, Problem> {
    let header = inner.header()?;
    let KeyRef::Jwk(new_key) = header.key else {
        return Err(Problem::malformed(
            "the inner JWS must have the new key as 'jwk' in its header",
        ));
    };
    if header.nonce.is_some() {
        return Err(Problem::malformed("the inner JWS must have no nonce"));
    }
    jws::check_url("the inner 'protected'", header.url.as_deref(), outer_url)
        .map_err(|problem| Problem::malformed(problem.detail))?;
    let payload = inner.verify(&new_key, header.algorithm)?;
    let change: Change = text::json("inner payload", &payload)?;
    if change.account != account_url {
        return Err(Problem::malformed(format!(
            "the inner 'account' is {}, but the request is signed by {account_url}",
            text::shown(&change.account)
        )));
    }
    if change.old_key != *old_key {
        return Err(Problem::malformed(
            "the inner 'oldKey' is not the account's key",
        ));
    }
    if new_key == *old_key {
        return Err(Problem::malformed(
            "the new key is the key that the account has",
        ));
    }
    Ok(new_key)
}

/// What the new key signs.
#[derive(Deserialize)]
struct Change {
    /// The URL of the account.
    account: String,
    /// The key that it has.
    #[serde(rename = "oldKey")]
    old_key: AccountKey,
}

#[cfg(test)]
mod tests;
