//! `issue/ROLE`: a key and a certificate for it.

use schemars::JsonSchema;
use serde::Deserialize;

use landfast_pki::issue::Holder;
use landfast_pki::{KeySpec, KeyType, profile};
use landfast_sdk::logical::{Cx, Error, Response};

use crate::metrics::IssuedBy;
use crate::mount::Shared;
use crate::paths::by_role::ByRole;
use crate::paths::ca::ANY_IS_NO_TYPE;
use crate::paths::fields::{FormFields, IssuerField, IssuerRef, LeafFields, RoleRef};
use crate::paths::keeping::Keeping;
use crate::role::{self, Role};
use crate::signing::Authority;
use crate::{Mount, fault, pool};

/// The key to make, where the role leaves it open.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct KeyFields {
    /// Type of the key, for a role of key type `any`.
    #[schemars(extend("default" = "", "enum" = ["", "rsa", "ec", "ed25519", "mldsa"]))]
    key_type: Option<String>,
    /// Size of the key, for a role of key type `any`; 0 for the usual size of the type.
    #[schemars(extend("default" = 0))]
    key_bits: Option<i64>,
}

/// `POST issue/ROLE`: the role decides on the issuer, whatever the request says.
pub(crate) async fn issue(
    mount: Shared,
    cx: Cx,
    (role, _, fields, form, key): (RoleRef, IssuerField, LeafFields, FormFields, KeyFields),
) -> Result<Response, Error> {
    let role = role::load(&mount, &role.role).await?;
    let issuer = &role.entry.settings.issuer;
    make(&mount, &cx, &role, issuer, &fields, &form, &key).await
}

/// `POST issuer/REF/issue/ROLE`.
pub(crate) async fn issue_with(
    mount: Shared,
    cx: Cx,
    (issuer, role, fields, form, key): (IssuerRef, RoleRef, LeafFields, FormFields, KeyFields),
) -> Result<Response, Error> {
    let role = role::load(&mount, &role.role).await?;
    make(&mount, &cx, &role, &issuer.issuer_ref, &fields, &form, &key).await
}

async fn make(
    mount: &Shared,
    cx: &Cx,
    role: &Role,
    issuer: &str,
    fields: &LeafFields,
    form: &FormFields,
    key: &KeyFields,
) -> Result<Response, Error> {
    let (spec, key_ignored) = key_spec(mount, role, key)?;
    let encoding = form.encoding()?;
    let authority = Authority::load(mount, issuer).await?;
    let request = ByRole::load(mount, cx, role, fields, &authority).await?;
    if spec.kind == KeyType::Rsa {
        // What the rules refuse must not cost a second of key generation: another key stands in to find out.
        request.prepare(Holder::Key(
            authority.signing.rules.certificate().public_key(),
        ))?;
    }
    let key = pool::leaf_key(mount, spec).await?;
    let (prepared, mut warnings) = request.prepare(Holder::Key(key.public_key()))?;
    warnings.extend(key_ignored);
    let response = Keeping::by(IssuedBy::Issue, Some(&role.entry))
        .answer(mount, encoding, &authority, prepared, Some(&key))
        .await?;
    Ok(response.warn_all(warnings))
}

/// The key to make, and a warning when the request named one although the role decides.
fn key_spec(
    mount: &Mount,
    role: &Role,
    key: &KeyFields,
) -> Result<(KeySpec, Option<String>), Error> {
    let role = &role.entry.settings;
    // Whatever was sent, nothing included.
    let named = key.key_type.is_some() || key.key_bits.is_some();
    if role.key_type == "any" {
        let kind = key.key_type.as_deref().unwrap_or_default();
        if kind == "any" {
            return Err(Error::bad_request(ANY_IS_NO_TYPE));
        }
        let bits = key.key_bits.unwrap_or_default();
        let spec = profile::requested_key(kind, bits).map_err(|refusal| mount.refuse(refusal))?;
        return Ok((spec, None));
    }
    // Ed25519 has one size, whatever number the role has.
    let bits = if role.key_type == "ed25519" {
        0
    } else {
        role.key_bits
    };
    let spec = KeySpec::parse(&role.key_type, bits).map_err(fault::refused)?;
    let ignored = "parameters key_type and key_bits ignored as role had specific values";
    Ok((spec, named.then(|| ignored.to_owned())))
}
