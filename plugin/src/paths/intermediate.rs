//! Intermediates: asking for one, and signing one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use landfast_pki::authority::{self, IntermediateOptions};
use landfast_pki::{Certificate, issue, pem};
use landfast_sdk::logical::{Cx, Error, Response};

use crate::authority::{Change, missing_aia};
use crate::crl::{self, Scope};
use crate::metrics::IssuedBy;
use crate::mount::Shared;
use crate::paths::answer::{Encoding, Issued, Shown, ShownKey, trimmed};
use crate::paths::ca::{
    self, Exported, FormFields, KeyFields, PowerFields, SubjectFields, ValidityFields,
};
use crate::paths::fields::{IssuerField, MISSING_ISSUER};
use crate::paths::issuers::IssuerRef;
use crate::signing::Authority;
use crate::{certificates, fault, keys};

/// What a certificate request may ask for besides names.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct CsrFields {
    /// Ask for a CA certificate in the request itself; some CAs want that.
    add_basic_constraints: bool,
}

/// What to sign.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct SignFields {
    /// The request in PEM.
    #[schemars(extend("default" = ""))]
    csr: String,
    /// Take subject and extensions from the request instead of from the fields.
    #[schemars(extend("default" = false))]
    use_csr_values: bool,
    /// Subject key identifier in hexadecimal, to match that of a certificate to be replaced; empty for that of the key.
    #[schemars(extend("default" = ""))]
    skid: String,
    /// Taken for compatibility and not used: the certificate is not an issuer of this mount.
    issuer_name: String,
    /// Size of the signature's hash, for an issuer with an RSA key: 256, 384 or 512; 0 for 256.
    #[schemars(extend("default" = 0))]
    signature_bits: i64,
    /// Sign with RSA-PSS, for an issuer with an RSA key.
    #[schemars(extend("default" = false))]
    use_pss: bool,
}

/// A certificate to cross-sign.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct SelfIssuedFields {
    /// A CA certificate in PEM whose subject is its issuer.
    certificate: String,
    /// Refuse a certificate whose key is of another type than the issuer's.
    #[schemars(extend("default" = false))]
    require_matching_certificate_algorithms: bool,
}

/// All fields of a request for an intermediate.
type RequestFields = (
    SubjectFields,
    ValidityFields,
    KeyFields,
    FormFields,
    CsrFields,
);

/// All fields for signing one.
type SigningFields = (
    SubjectFields,
    ValidityFields,
    FormFields,
    PowerFields,
    SignFields,
);

/// What is said of a new request.
#[derive(Serialize)]
struct Asked {
    csr: Shown,
    key_id: String,
    #[serde(flatten)]
    key: Option<ShownKey>,
}

/// `POST intermediate/generate/EXPORTED` and `issuers/generate/intermediate/EXPORTED`.
pub(crate) async fn generate(
    mount: Shared,
    _cx: Cx,
    (exported, fields): (Exported, RequestFields),
) -> Result<Response, Error> {
    request(&mount, &exported.exported, fields).await
}

/// What other paths have in themselves.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct UnusedExported {
    /// Has no effect here: the key is one that is here.
    exported: Option<String>,
}

/// `POST intermediate/cross-sign`: a request for a key that is here already.
pub(crate) async fn cross_sign(
    mount: Shared,
    _cx: Cx,
    (_, fields): (UnusedExported, RequestFields),
) -> Result<Response, Error> {
    request(&mount, "existing", fields).await
}

/// `POST root/sign-intermediate`.
pub(crate) async fn sign(
    mount: Shared,
    _cx: Cx,
    (issuer, fields): (IssuerField, SigningFields),
) -> Result<Response, Error> {
    if issuer.issuer_ref.is_empty() {
        return Err(Error::bad_request(MISSING_ISSUER));
    }
    issue_ca(&mount, &issuer.issuer_ref, fields).await
}

/// `POST issuer/REF/sign-intermediate`.
pub(crate) async fn sign_with(
    mount: Shared,
    _cx: Cx,
    (issuer, fields): (IssuerRef, SigningFields),
) -> Result<Response, Error> {
    issue_ca(&mount, &issuer.issuer_ref, fields).await
}

/// `POST root/sign-self-issued`.
pub(crate) async fn sign_self_issued(
    mount: Shared,
    _cx: Cx,
    (issuer, fields): (IssuerField, SelfIssuedFields),
) -> Result<Response, Error> {
    if issuer.issuer_ref.is_empty() {
        return Err(Error::bad_request(MISSING_ISSUER));
    }
    self_issued(&mount, &issuer.issuer_ref, &fields).await
}

/// `POST issuer/REF/sign-self-issued`.
pub(crate) async fn sign_self_issued_with(
    mount: Shared,
    _cx: Cx,
    (issuer, fields): (IssuerRef, SelfIssuedFields),
) -> Result<Response, Error> {
    self_issued(&mount, &issuer.issuer_ref, &fields).await
}

async fn request(mount: &Shared, exported: &str, fields: RequestFields) -> Result<Response, Error> {
    let (subject, times, key_fields, form_fields, csr_fields) = fields;
    let (choice, encoding) = key_fields.choose(mount, exported, &form_fields).await?;
    let key_name = key_fields.name();
    if let Some(name) = key_name {
        keys::check_name(&*keys::all(mount).await?, name, "")?;
    }
    let source = key_fields.source(mount, choice).await?;
    let request = ca::request(
        mount,
        subject,
        times,
        Some(&key_fields),
        PowerFields::default(),
    );
    let ttl = mount.lifetimes(request.ttl).await?;
    let (prepared, said) = authority::intermediate_csr(
        &request,
        source.key.public_key(),
        csr_fields.add_basic_constraints,
        ttl,
        mount.now(),
    )
    .map_err(|refusal| mount.refuse(refusal))?;
    source.check()?;
    let csr = source.key.sign(mount, prepared).await?;

    let mut change = Change::begin(mount).await?;
    if let Some(name) = key_name {
        keys::check_name(&change.keys, name, "")?;
    }
    let key = change
        .add_key(&source.key, key_name.unwrap_or_default())
        .await?;
    change.commit(&[], &[]).await?;
    // A key that comes in may be the one that an issuer waited for.
    let built = if key.existing {
        Vec::new()
    } else {
        crl::rebuild(mount, Scope::Forced)
            .await
            .unwrap_or_else(crl::not_built)
    };

    let own = encoding.text("CERTIFICATE REQUEST", csr.der());
    let shown = source.shown.as_deref();
    let asked = Asked {
        csr: encoding.first(own, shown, &[])?,
        key_id: key.id,
        key: shown.map(|key| encoding.key(key)).transpose()?,
    };
    let mut warnings = Vec::new();
    if let Some(missing) = missing_aia(mount).await? {
        warnings.push(format!(
            "{missing} Since this certificate is an intermediate, it might be useful to regenerate this certificate after fixing this problem for the root mount."
        ));
    }
    warnings.extend(said);
    warnings.extend(built);
    Ok(Response::data(&asked)?.warn_all(warnings))
}

async fn issue_ca(mount: &Shared, issuer: &str, fields: SigningFields) -> Result<Response, Error> {
    let (subject, validity, form_fields, power, sign) = fields;
    let encoding = form_fields.encoding().map_err(|_| {
        Error::bad_request("The \"format\" path parameter must be \"pem\" or \"der\"")
    })?;
    let signer = Authority::load(mount, issuer).await?;
    let csr = issue::read_csr(&sign.csr).map_err(|refusal| mount.refuse(refusal))?;
    let request = landfast_pki::authority::CaRequest {
        signature_bits: ca::signature_bits(sign.signature_bits),
        use_pss: sign.use_pss,
        ..ca::request(mount, subject, validity, None, power)
    };
    let ttl = mount.lifetimes(request.ttl).await?;
    let options = IntermediateOptions {
        use_csr_values: sign.use_csr_values,
        skid: &sign.skid,
    };
    let (prepared, warnings) = authority::sign_intermediate(
        &request,
        &csr,
        options,
        &signer.signing.rules,
        ttl,
        mount.now(),
        certificates::new_serial()?,
    )
    .map_err(|refusal| mount.refuse(refusal))?;
    let certificate = signer.sign(mount, prepared).await?;
    mount.save(vec![certificates::write(&certificate)]).await?;
    mount.metrics.issued.count(IssuedBy::SignIntermediate);
    let issued = chained(&certificate, &signer, encoding)?;
    Ok(Response::data(&issued)?.warn_all(warnings))
}

/// The certificate with its whole chain: here `ca_chain` starts with the new certificate itself.
fn chained(
    certificate: &Certificate,
    signer: &Authority,
    encoding: Encoding,
) -> Result<Issued, Error> {
    let mut above = Vec::new();
    for text in &signer.signing.loaded.entry.ca_chain {
        let der = pem::one(text.as_bytes(), &["CERTIFICATE"]).map_err(fault::failed)?;
        above.push(encoding.text("CERTIFICATE", &der));
    }
    let issuing = encoding.text("CERTIFICATE", signer.signing.loaded.certificate.der());
    let mut issued = encoding.issued(certificate, issuing, None, &above)?;
    issued.ca_chain = vec![encoding.text("CERTIFICATE", certificate.der())];
    issued.ca_chain.append(&mut above);
    Ok(issued)
}

async fn self_issued(
    mount: &Shared,
    issuer: &str,
    fields: &SelfIssuedFields,
) -> Result<Response, Error> {
    let blocks = pem::blocks(fields.certificate.as_bytes());
    let block = blocks
        .first()
        .ok_or_else(|| Error::bad_request("certificate could not be PEM-decoded"))?;
    let certificate = Certificate::from_der(&block.contents)
        .map_err(|cause| Error::bad_request(format!("error parsing certificate: {cause}")))?;
    let signer = Authority::load(mount, issuer).await?;
    let matching = fields.require_matching_certificate_algorithms;
    let (prepared, warnings) =
        authority::self_issued(&certificate, &signer.signing.rules, matching, mount.now())
            .map_err(|refusal| mount.refuse(refusal))?;
    let signed = signer.sign(mount, prepared).await?;
    mount.metrics.issued.count(IssuedBy::SignSelfIssued);
    let shown = json!({
        "certificate": trimmed(&signed.pem()),
        "issuing_ca": trimmed(&signer.signing.loaded.certificate.pem()),
    });
    Ok(Response::data(&shown)?.warn_all(warnings))
}
