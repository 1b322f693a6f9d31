//! Paths of the built-in engine that are not here yet: each says so, and what to do instead.

use landfast_sdk::logical::{Cx, Error, NoFields, Response};

use crate::mount::Shared;
use crate::paths::tidy;

/// `tidy`.
pub(crate) async fn tidying(_mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    Err(Error::bad_request(tidy::NOT_YET))
}

/// `tidy-cancel`.
pub(crate) async fn cancelling(_mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    Err(Error::bad_request(
        "there is no run to cancel: this engine does not tidy yet",
    ))
}

/// `eab`.
pub(crate) async fn external_accounts(
    _mount: Shared,
    _cx: Cx,
    _: NoFields,
) -> Result<Response, Error> {
    Err(missing(
        "this engine has no ACME server yet, and so no external accounts. Issue by a role, as `issue/` and `sign/` do",
    ))
}

/// `cel/`.
pub(crate) async fn cel(_mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    Err(missing(
        "this engine has no CEL roles yet. Write a role below `roles/`: its name rules, templates and bounds cover most of what CEL is used for",
    ))
}

/// `issuer/REF/resign-crls`.
pub(crate) async fn resign_crls(_mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    Err(missing(
        "this engine does not sign the CRLs of other clusters yet. `crl/rotate` builds the mount's own; `issuer/REF/crl` has them",
    ))
}

/// `issuer/REF/sign-revocation-list`.
pub(crate) async fn sign_revocation_list(
    _mount: Shared,
    _cx: Cx,
    _: NoFields,
) -> Result<Response, Error> {
    Err(missing(
        "this engine signs no list that the caller makes. `revoke` puts a certificate on the mount's own CRL, `crl/rotate` builds it anew",
    ))
}

/// 404, as where a server lacks the path, with a text of its own.
fn missing(text: &str) -> Error {
    Error::NotFound(text.to_owned())
}
