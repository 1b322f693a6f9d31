//! Making a root: a key, a certificate that it signs for itself, and an issuer of the two.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use landfast_pki::authority;
use landfast_pki::issue::AiaUrls;
use landfast_sdk::logical::{Cx, Error, NoFields, Response};

use crate::Mount;
use crate::authority::Change;
use crate::crl::{self, Scope};
use crate::entry::issuer::{AiaEntry, IssuerEntry};
use crate::metrics::IssuedBy;
use crate::mount::Shared;
use crate::paths::answer::Issued;
use crate::paths::ca::{
    self, Exported, FormFields, KeyFields, PowerFields, SubjectFields, ValidityFields,
};
use crate::{aia, certificates, issuers, keys};

/// The issuer to make.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct NameField {
    /// Name of the issuer.
    issuer_name: Option<String>,
}

/// All fields of a root.
type RootFields = (
    SubjectFields,
    ValidityFields,
    KeyFields,
    FormFields,
    PowerFields,
    NameField,
);

/// What is said of a new root.
#[derive(Serialize)]
struct Made {
    #[serde(flatten)]
    issued: Issued,
    issuer_id: String,
    issuer_name: String,
    key_id: String,
    key_name: String,
}

/// `POST root/generate/EXPORTED` and `issuers/generate/root/EXPORTED`.
pub(crate) async fn generate(
    mount: Shared,
    _cx: Cx,
    (exported, fields): (Exported, RootFields),
) -> Result<Response, Error> {
    make(&mount, &exported.exported, fields, false).await
}

/// `POST root/rotate/EXPORTED`: as generating, with the issuer named `next` when no name is given and that one is free.
pub(crate) async fn rotate(
    mount: Shared,
    _cx: Cx,
    (exported, fields): (Exported, RootFields),
) -> Result<Response, Error> {
    make(&mount, &exported.exported, fields, true).await
}

/// `DELETE root`: deletes all issuers and keys.
pub(crate) async fn delete(mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    let mut change = Change::begin(&mount).await?;
    let issuers: Vec<_> = change
        .issuers
        .iter()
        .map(|issuer| issuer.entry.id.clone())
        .collect();
    let keys: Vec<_> = change.keys.iter().map(|key| key.id.clone()).collect();
    change.set_default_issuer("");
    change.set_default_key("");
    change.commit(&issuers, &keys).await?;
    mount.crl.forget();
    let warnings = crl::rebuild(&mount, Scope::Forced)
        .await
        .unwrap_or_else(crl::not_built);
    Ok(Response::null()
        .warn(
            "DELETE /root deletes all keys and issuers; prefer the new DELETE \
             /key/:key_ref and DELETE /issuer/:issuer_ref for finer granularity, unless \
             removal of all keys and issuers is desired.",
        )
        .warn_all(warnings))
}

async fn make(
    mount: &Shared,
    exported: &str,
    fields: RootFields,
    rotate: bool,
) -> Result<Response, Error> {
    let (subject, validity, key_fields, form_fields, power, name) = fields;
    let (choice, encoding) = key_fields.choose(mount, exported, &form_fields).await?;
    let key_name = key_fields.name();
    let issuer_name = name.issuer_name.as_deref().map(str::trim);
    if issuer_name == Some("") {
        return Err(Error::bad_request("expected non-empty issuer name"));
    }
    check_names(mount, issuer_name, key_name).await?;
    let (urls, mut warnings) = urls(mount).await?;
    let source = key_fields.source(mount, choice).await?;
    let request = ca::request(mount, subject, validity, Some(&key_fields), power);
    let ttl = mount.lifetimes(request.ttl).await?;
    let public = source.key.public_key();
    let (prepared, said) = authority::root(
        &request,
        public,
        &urls,
        ttl,
        mount.now(),
        certificates::new_serial()?,
    )
    .map_err(|refusal| mount.refuse(refusal))?;
    source.check()?;
    let algorithm = prepared.algorithm();
    let certificate = source.key.sign(mount, prepared).await?;

    let mut change = Change::begin(mount).await?;
    // Another request may have taken a name while the key was made.
    let issuer_name = match issuer_name {
        None if rotate && change.issuers.find("next").is_none() => Some("next"),
        given => given,
    };
    check_names(mount, issuer_name, key_name).await?;
    let (issuer_name, key_name) = (
        issuer_name.unwrap_or_default(),
        key_name.unwrap_or_default(),
    );
    let key = change.add_key(&source.key, key_name).await?;
    let issuer = change.add_issuer(&certificate, issuer_name).await?;
    if let Some(entry) = change.issuer(&issuer.id).cloned() {
        // CRLs are signed the way the certificate is, PSS included.
        let number = algorithm.storage_number().into();
        change.set_issuer(IssuerEntry {
            revocation_signature_algorithm: number,
            ..entry
        });
    }
    change.store_certificate(&certificate);
    if change.issuers_config.default_follows_latest_issuer {
        change.set_default_issuer(&issuer.id);
    }
    let key_name = if key.existing {
        change
            .keys
            .find(&key.id)
            .map(|key| key.name.clone())
            .unwrap_or_default()
    } else {
        key_name.to_owned()
    };
    change.commit(&[], &[]).await?;
    mount.metrics.issued.count(IssuedBy::Root);
    let built = crl::rebuild(mount, Scope::Forced)
        .await
        .unwrap_or_else(crl::not_built);

    let own = encoding.text("CERTIFICATE", certificate.der());
    let made = Made {
        issued: encoding.issued(&certificate, own, source.shown.as_deref(), &[])?,
        issuer_id: issuer.id,
        issuer_name: issuer_name.to_owned(),
        key_id: key.id,
        key_name,
    };
    warnings.extend(said);
    warnings.extend(built);
    Ok(Response::data(&made)?.warn_all(warnings))
}

/// The mount's URLs. A root has no id yet, so URLs with its id in them are left out.
async fn urls(mount: &Mount) -> Result<(AiaUrls, Vec<String>), Error> {
    let entry = mount.load_or_default::<AiaEntry>(AiaEntry::KEY).await?;
    let named = [
        &entry.issuing_certificates,
        &entry.crl_distribution_points,
        &entry.delta_crl_distribution_points,
        &entry.ocsp_servers,
    ];
    let by_id = named
        .into_iter()
        .flatten()
        .flatten()
        .any(|url| url.contains("{{issuer_id}}"));
    if entry.enable_templating && by_id {
        return Ok((
            AiaUrls::default(),
            vec!["When generating root CA, found global AIA configuration with issuer_id template unsuitable for root generation. This AIA configuration has been ignored. To include AIA on this root CA, set the global AIA configuration to not include issuer_id and instead to refer to a static issuer name.".to_owned()],
        ));
    }
    let urls = aia::of_mount(mount).await.map_err(|error| match error {
        Error::Failed(text) => {
            let reason = text.strip_prefix("unable to fetch AIA URL information: ").unwrap_or(&text);
            Error::failed(format!(
                "unable to parse AIA URL information: {reason}\nUsing templated AIA URL's {{{{issuer_id}}}} field when generating root certificates is not supported."
            ))
        }
        other => other,
    })?;
    Ok((urls, Vec::new()))
}

async fn check_names(mount: &Mount, issuer: Option<&str>, key: Option<&str>) -> Result<(), Error> {
    if let Some(issuer) = issuer {
        issuers::check_name(&*issuers::all(mount).await?, issuer, "")?;
    }
    if let Some(key) = key {
        keys::check_name(&*keys::all(mount).await?, key, "")?;
    }
    Ok(())
}
