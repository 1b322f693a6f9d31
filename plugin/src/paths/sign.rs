//! `sign/ROLE` and `sign-verbatim`: a certificate for a key that stays where it is.

use schemars::JsonSchema;
use serde::Deserialize;

use landfast_pki::issue::{self, Holder, LeafRequest};
use landfast_pki::verbatim::{self, VerbatimRequest};
use landfast_sdk::logical::{CommaList, Cx, Error, Response};

use crate::metrics::IssuedBy;
use crate::mount::Shared;
use crate::paths::by_role::ByRole;
use crate::paths::fields::{
    CsrField, FormFields, IssuerField, IssuerRef, LeafFields, MISSING_ISSUER, RoleRef,
};
use crate::paths::keeping::Keeping;
use crate::role::{self, Role};
use crate::signing::Authority;
use crate::{Mount, certificates};

/// `POST sign/ROLE`: the role decides on the issuer, whatever the request says.
pub(crate) async fn sign(
    mount: Shared,
    cx: Cx,
    (role, _, fields, form, csr): (RoleRef, IssuerField, LeafFields, FormFields, CsrField),
) -> Result<Response, Error> {
    let role = role::load(&mount, &role.role).await?;
    let issuer = &role.entry.settings.issuer;
    make(&mount, &cx, &role, issuer, &fields, &form, &csr).await
}

/// `POST issuer/REF/sign/ROLE`.
pub(crate) async fn sign_with(
    mount: Shared,
    cx: Cx,
    (issuer, role, fields, form, csr): (IssuerRef, RoleRef, LeafFields, FormFields, CsrField),
) -> Result<Response, Error> {
    let role = role::load(&mount, &role.role).await?;
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
    let csr = issue::read_csr(&csr.csr).map_err(|refusal| mount.refuse(refusal))?;
    let request = ByRole::load(mount, cx, role, fields, &authority).await?;
    let (prepared, warnings) = request.prepare(Holder::Csr(&csr))?;
    let response = Keeping::by(IssuedBy::Sign, Some(&role.entry))
        .answer(mount, encoding, &authority, prepared, None)
        .await?;
    Ok(response.warn_all(warnings))
}

/// What `sign-verbatim` takes besides.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct VerbatimFields {
    /// Key usages by name, where the CSR asks for none.
    #[schemars(extend("default" = ["DigitalSignature", "KeyAgreement", "KeyEncipherment"]))]
    key_usage: CommaList,
    /// Extended key usages by name, where the CSR asks for none.
    #[schemars(extend("default" = []))]
    ext_key_usage: CommaList,
    /// Extended key usages by OID, where the CSR asks for none.
    ext_key_usage_oids: CommaList,
    /// Size of the signature's hash: 256, 384 or 512; 0 to follow the issuer's key.
    #[schemars(extend("default" = 0))]
    signature_bits: i64,
    /// Sign with RSA-PSS when the issuer's key is RSA.
    #[schemars(extend("default" = false))]
    use_pss: bool,
    /// Put a critical basic constraints extension with CA false into the certificate; the role decides when not sent.
    #[schemars(extend("default" = false))]
    basic_constraints_valid_for_non_ca: Option<bool>,
}

impl Default for VerbatimFields {
    fn default() -> Self {
        Self {
            key_usage: ["DigitalSignature", "KeyAgreement", "KeyEncipherment"]
                .into_iter()
                .collect(),
            ext_key_usage: CommaList::default(),
            ext_key_usage_oids: CommaList::default(),
            signature_bits: 0,
            use_pss: false,
            basic_constraints_valid_for_non_ca: None,
        }
    }
}

/// A role where the path names none.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct UnusedRole {
    /// Has no effect here, whatever it is: name the role in the path.
    #[schemars(with = "Option<String>")]
    role: Option<serde::de::IgnoredAny>,
}

impl UnusedRole {
    /// Tells a caller who sent a role that it was not used.
    fn note(self, response: Response) -> Response {
        let note = "Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [role]";
        if self.role.is_some() {
            response.warn(note)
        } else {
            response
        }
    }
}

/// All fields of `sign-verbatim` that are not in its path.
type Verbatim = (LeafFields, FormFields, CsrField, VerbatimFields);

/// `POST sign-verbatim`.
pub(crate) async fn verbatim(
    mount: Shared,
    _cx: Cx,
    (issuer, unused, fields): (IssuerField, UnusedRole, Verbatim),
) -> Result<Response, Error> {
    if issuer.issuer_ref.is_empty() {
        return Err(Error::failed(MISSING_ISSUER));
    }
    let response = make_verbatim(&mount, None, &issuer.issuer_ref, &fields).await?;
    Ok(unused.note(response))
}

/// `POST sign-verbatim/ROLE`: the role decides on the issuer.
pub(crate) async fn verbatim_by_role(
    mount: Shared,
    _cx: Cx,
    (role, _, fields): (RoleRef, IssuerField, Verbatim),
) -> Result<Response, Error> {
    let role = role::load(&mount, &role.role).await?;
    make_verbatim(&mount, Some(&role), &role.entry.settings.issuer, &fields).await
}

/// `POST issuer/REF/sign-verbatim`.
pub(crate) async fn verbatim_with(
    mount: Shared,
    _cx: Cx,
    (issuer, unused, fields): (IssuerRef, UnusedRole, Verbatim),
) -> Result<Response, Error> {
    let response = make_verbatim(&mount, None, &issuer.issuer_ref, &fields).await?;
    Ok(unused.note(response))
}

/// `POST issuer/REF/sign-verbatim/ROLE`.
pub(crate) async fn verbatim_with_by_role(
    mount: Shared,
    _cx: Cx,
    (issuer, role, fields): (IssuerRef, RoleRef, Verbatim),
) -> Result<Response, Error> {
    let role = role::load(&mount, &role.role).await?;
    make_verbatim(&mount, Some(&role), &issuer.issuer_ref, &fields).await
}

async fn make_verbatim(
    mount: &Mount,
    role: Option<&Role>,
    issuer: &str,
    (fields, form, csr, verbatim): &Verbatim,
) -> Result<Response, Error> {
    let encoding = form.encoding()?;
    let authority = Authority::load(mount, issuer).await?;
    let csr = issue::read_csr(&csr.csr).map_err(|refusal| mount.refuse(refusal))?;
    let profile = role.map(Role::profile).transpose()?;
    let ttl = match role {
        Some(role) => role.lifetimes(mount, fields.ttl.0).await?,
        None => mount.lifetimes(fields.ttl.0).await?,
    };
    let request = VerbatimRequest {
        csr: &csr,
        fields: fields.fill(mount, LeafRequest::new(Holder::Csr(&csr), ttl)),
        role: profile,
        key_usage: verbatim.key_usage.0.clone(),
        ext_key_usage: verbatim.ext_key_usage.0.clone(),
        ext_key_usage_oids: verbatim.ext_key_usage_oids.0.clone(),
        signature_bits: u32::try_from(verbatim.signature_bits).unwrap_or(u32::MAX),
        use_pss: verbatim.use_pss,
        basic_constraints_valid_for_non_ca: verbatim.basic_constraints_valid_for_non_ca,
    };
    let (prepared, warnings) = verbatim::prepare(
        &request,
        &authority.signing.rules,
        mount.now(),
        certificates::new_serial()?,
    )
    .map_err(|refusal| mount.refuse(refusal))?;
    let response = Keeping::by(IssuedBy::SignVerbatim, role.map(|role| &role.entry))
        .answer(mount, encoding, &authority, prepared, None)
        .await?;
    Ok(response.warn_all(warnings))
}
