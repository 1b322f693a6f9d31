//! `cel/issue/ROLE` and `cel/sign/ROLE`: certificates that the program of a role decides on.

use schemars::JsonSchema;
use serde::Deserialize;

use landfast_cel::{GivenUp, Inputs, Wanted};
use landfast_pki::blueprint;
use landfast_pki::issue::{self, Holder};
use landfast_pki::{Csr, KeySpec, KeyType, Refusal};
use landfast_sdk::logical::{Caller, Cx, Error, Response, Sent, Ttl};

use crate::cel_role;
use crate::metrics::IssuedBy;
use crate::mount::Shared;
use crate::paths::answer;
use crate::paths::fields::RoleRef;
use crate::paths::keeping::Keeping;
use crate::signing::Authority;
use crate::{Mount, certificates, pool};

/// Fields with a meaning of their own. The program reads them too, as it reads any other.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct CelFields {
    /// For the program: start of validity, RFC 3339.
    not_before: Option<String>,
    /// For the program: end of validity, RFC 3339; not together with `ttl`.
    not_after: String,
    /// For the program: seconds before now at which validity starts.
    #[schemars(extend("default" = 30))]
    not_before_duration: Option<i64>,
    /// For the program: lifetime; not together with `not_after`.
    ttl: Ttl,
    /// Leave self-signed certificates out of `ca_chain`.
    #[schemars(extend("default" = false))]
    remove_roots_from_chain: bool,
    /// For the program: size of the signature's hash.
    #[schemars(extend("default" = 0))]
    signature_bits: Option<i64>,
    /// For the program: sign with RSA-PSS when the issuer's key is RSA.
    #[schemars(extend("default" = false))]
    use_pss: Option<bool>,
}

/// The key to make.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct CelKeyFields {
    /// For the program: type of the key.
    #[schemars(extend("default" = "", "enum" = ["", "rsa", "ec", "ed25519"]))]
    key_type: Option<String>,
    /// For the program: size of the key.
    #[schemars(extend("default" = 0))]
    key_bits: Option<i64>,
}

/// The CSR; the program has it as `parsed_csr`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct CelCsrField {
    /// The PKCS#10 request as PEM.
    #[schemars(extend("default" = ""))]
    csr: Option<String>,
}

/// `POST cel/issue/ROLE`.
pub(crate) async fn issue(
    mount: Shared,
    _cx: Cx,
    (role, fields, _, sent): (RoleRef, CelFields, CelKeyFields, Sent),
) -> Result<Response, Error> {
    let wanted = decide(&mount, &role, &sent, None).await?;
    let authority = authority(&mount, &wanted, &fields).await?;
    let (spec, signature_bits) = key_spec(&wanted).map_err(|why| {
        let place = "invalid cel response for key type, key bits, or signature bits";
        Error::Failed(format!("{place}: {why}"))
    })?;
    let mut plan = wanted.blueprint.clone();
    plan.signature_bits = signature_bits;
    let prepare = |holder| {
        let rules = &authority.signing.rules;
        blueprint::prepare(
            &plan,
            holder,
            rules,
            mount.now(),
            certificates::new_serial()?,
        )
        .map_err(|refusal| mount.refuse(refusal))
    };
    if spec.kind == KeyType::Rsa {
        // What the rules refuse must not cost a second of key generation: another key stands in to find out.
        let rules = &authority.signing.rules;
        prepare(Holder::Key(rules.certificate().public_key()))?;
    }
    let key = pool::leaf_key(&mount, spec).await?;
    let (prepared, warnings) = prepare(Holder::Key(key.public_key()))?;
    let kept = keeping(IssuedBy::CelIssue, &wanted)
        .keep(&mount, &authority, prepared)
        .await?;
    let response = answer::of_program(
        &kept.certificate,
        &authority.signing.loaded,
        Some(&key),
        fields.remove_roots_from_chain,
    )?;
    Ok(kept
        .leased(response)
        .warn_all(wanted.warnings)
        .warn_all(warnings))
}

/// `POST cel/sign/ROLE`.
pub(crate) async fn sign(
    mount: Shared,
    _cx: Cx,
    (role, fields, csr, sent): (RoleRef, CelFields, CelCsrField, Sent),
) -> Result<Response, Error> {
    let csr = csr.csr.as_deref().map(read_csr).transpose()?;
    let wanted = decide(&mount, &role, &sent, Some(csr.as_ref())).await?;
    let authority = authority(&mount, &wanted, &fields).await?;
    let csr = csr.ok_or_else(|| Error::Failed(Refusal::CsrNoPem.to_string()))?;
    let (prepared, warnings) = blueprint::prepare(
        &wanted.blueprint,
        Holder::Csr(&csr),
        &authority.signing.rules,
        mount.now(),
        certificates::new_serial()?,
    )
    .map_err(|refusal| mount.refuse(refusal))?;
    let kept = keeping(IssuedBy::CelSign, &wanted)
        .keep(&mount, &authority, prepared)
        .await?;
    let response = answer::of_program(
        &kept.certificate,
        &authority.signing.loaded,
        None,
        fields.remove_roots_from_chain,
    )?;
    Ok(kept
        .leased(response)
        .warn_all(wanted.warnings)
        .warn_all(warnings))
}

/// Reads a CSR for a program, which takes no other label than the usual one.
fn read_csr(text: &str) -> Result<Csr, Error> {
    let failed = |why: &str| Error::Failed(format!("failed to parse CSR: {why}"));
    if !text.contains("-----BEGIN CERTIFICATE REQUEST-----") {
        return Err(failed("invalid CSR format"));
    }
    issue::read_csr(text).map_err(|refusal| match refusal {
        Refusal::CsrNoPem | Refusal::CsrEmpty => failed("invalid CSR format"),
        _ => failed("failed to parse CSR"),
    })
}

/// Has the program of the role decide.
async fn decide(
    mount: &Mount,
    role: &RoleRef,
    sent: &Sent,
    csr: Option<Option<&Csr>>,
) -> Result<Wanted, Error> {
    let role = cel_role::load(mount, &role.role).await?;
    // From here on a task of its own, so that it is known when the client goes.
    tokio::task::yield_now().await;
    let caller = Caller::present();
    let asked = caller.clone();
    let inputs = Inputs {
        request: &sent.0,
        now: mount.now(),
        csr,
        given_up: GivenUp::by(move || asked.has_gone()),
    };
    let decide = || {
        if caller.has_gone() {
            return Err(Error::failed("nobody waits for the decision any more"));
        }
        role.compiled()
            .and_then(|program| program.run(&inputs))
            .map_err(|fault| Error::Failed(fault.to_string()))
    };
    mount.programs.run(decide).await
}

/// The issuer that the program names, once the request makes sense.
async fn authority(mount: &Mount, wanted: &Wanted, fields: &CelFields) -> Result<Authority, Error> {
    let issuer = match wanted.issuer_ref.as_str() {
        "" => crate::names::DEFAULT,
        named => named,
    };
    let authority = Authority::load(mount, issuer).await?;
    if !fields.ttl.0.is_zero() && !fields.not_after.is_empty() {
        return Err(Error::Failed(Refusal::TtlAndNotAfter.to_string()));
    }
    Ok(authority)
}

/// The key to make, and the size of the hash that goes with it under an RSA issuer.
fn key_spec(wanted: &Wanted) -> Result<(KeySpec, u32), landfast_pki::Error> {
    let kind = match wanted.key_type.as_str() {
        "" => "rsa",
        named => named,
    };
    let bits = i64::try_from(wanted.key_bits).unwrap_or(i64::MAX);
    // Ed25519 has one size, whatever the number.
    let spec = KeySpec::parse(kind, if kind == "ed25519" { 0 } else { bits })?;
    let asked = wanted.blueprint.signature_bits;
    // What is no hash means the usual one.
    let usable = matches!(asked, 256 | 384 | 512) && spec.kind != KeyType::Ed25519;
    Ok((spec, if usable { asked } else { 0 }))
}

fn keeping(by: IssuedBy, wanted: &Wanted) -> Keeping {
    Keeping::new(by, wanted.no_store, wanted.generate_lease)
}
