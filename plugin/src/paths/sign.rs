//! `sign/ROLE`: a certificate for a key that stays where it is.

use landfast_pki::issue::{self, Holder, LeafRequest};
use landfast_sdk::logical::{Cx, Error, Response};

use crate::mount::Shared;
use crate::paths::leaf::{
    self, Authority, CsrField, FormFields, IssuerField, IssuerRef, Keeping, LeafFields, RoleRef,
};
use crate::role::Role;
use crate::{Mount, identity, pki};

/// `POST sign/ROLE`: the role decides on the issuer, whatever the request says.
pub(crate) async fn sign(
    mount: Shared,
    cx: Cx,
    (role, _, fields, form, csr): (RoleRef, IssuerField, LeafFields, FormFields, CsrField),
) -> Result<Response, Error> {
    let role = leaf::role(&mount, &role.role).await?;
    make(&mount, &cx, &role, &role.entry.issuer, &fields, &form, &csr).await
}

/// `POST issuer/REF/sign/ROLE`.
pub(crate) async fn sign_with(
    mount: Shared,
    cx: Cx,
    (issuer, role, fields, form, csr): (IssuerRef, RoleRef, LeafFields, FormFields, CsrField),
) -> Result<Response, Error> {
    let role = leaf::role(&mount, &role.role).await?;
    make(&mount, &cx, &role, &issuer.issuer_ref, &fields, &form, &csr).await
}

async fn make(
    mount: &Mount,
    cx: &Cx,
    role: &Role,
    issuer: &str,
    fields: &LeafFields,
    form: &FormFields,
    csr: &CsrField,
) -> Result<Response, Error> {
    let encoding = form.encoding()?;
    let authority = Authority::load(mount, issuer).await?;
    let csr = issue::read_csr(&csr.csr).map_err(pki::refusal)?;
    let profile = role
        .profile
        .as_ref()
        .map_err(|refusal| pki::refusal(refusal.clone()))?;
    let identity = identity::of(mount, cx, &role.entry).await?;
    let ttl = leaf::mount_ttl(
        mount,
        fields.ttl.0,
        role.entry.ttl_duration,
        role.entry.max_ttl_duration,
    )
    .await?;
    let request = LeafRequest {
        identity: identity.as_ref(),
        display_name: &cx.display_name,
        ..fields.fill(LeafRequest::new(Holder::Csr(&csr), ttl))
    };
    let (prepared, warnings) = issue::prepare(
        profile,
        &authority.signing.rules,
        &request,
        mount.now(),
        leaf::serial()?,
    )
    .map_err(pki::refusal)?;
    let certificate = authority.sign(prepared)?;
    let response = Keeping::by(&role.entry)
        .answer(mount, encoding, &certificate, &authority.signing, None)
        .await?;
    Ok(response.warn_all(warnings))
}
