//! `issuers` and `issuer/REF`: what a mount's issuers are and how they may be used.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use landfast_pki::{PublicKey, SignatureAlgorithm};
use landfast_sdk::logical::{CommaList, Cx, Error, Page, Response};

use crate::Mount;
use crate::aia;
use crate::authority::Change;
use crate::crl::{self, Scope};
use crate::entry::issuer::{AiaEntry, IssuerEntry, NotAfterBehavior, Usage};
use crate::entry::role::{self, RoleEntry};
use crate::entry::time::StoredTime;
use crate::issuers::{self, LoadedIssuer};
use crate::metrics::RevokedBy;
use crate::mount::{Shared, take_up};
use crate::names;
use crate::paths::answer::object;
use crate::paths::{modified, urls};
use crate::role::Role;

/// Which issuer.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct IssuerRef {
    /// Issuer: an id, a name, or `default`.
    #[serde(deserialize_with = "names::reference")]
    #[schemars(extend("default" = "default"))]
    pub(crate) issuer_ref: String,
}

/// Bytes of an issuer in a list, about.
const SHOWN: usize = 300;

/// What an issuer may be told. A write puts defaults in place of what is not sent; a patch keeps the rest.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct IssuerRequest {
    /// Issuer: an id, a name, or `default`.
    #[serde(deserialize_with = "names::reference")]
    #[schemars(extend("default" = "default"))]
    issuer_ref: String,
    /// Where CRLs are fetched. One of the lists set makes the issuer's own lists replace those of `config/urls` altogether.
    crl_distribution_points: Option<CommaList>,
    /// Where delta CRLs are fetched.
    delta_crl_distribution_points: Option<CommaList>,
    /// Whether `{{issuer_id}}`, `{{cluster_path}}` and `{{cluster_aia_path}}` in the URLs are filled in when a certificate is made.
    #[schemars(extend("default" = false))]
    enable_aia_url_templating: Option<bool>,
    /// Name of the issuer, by which paths and roles may refer to it.
    issuer_name: Option<String>,
    /// Where the issuer's certificate is fetched.
    issuing_certificates: Option<CommaList>,
    /// What happens to a certificate that would outlive the issuer: `err` refuses, `truncate` shortens, `permit` lets it be.
    #[schemars(extend("default" = "err"))]
    leaf_not_after_behavior: Option<String>,
    /// Issuers that make up the chain, this one first; empty to have the chain found.
    manual_chain: Option<CommaList>,
    /// OCSP responders.
    ocsp_servers: Option<CommaList>,
    /// Algorithm for signing CRLs and OCSP answers, such as `ECDSAWithSHA384`; empty for the usual one of the key.
    #[schemars(extend("default" = ""))]
    revocation_signature_algorithm: Option<String>,
    /// What the issuer may be used for.
    #[schemars(extend("default" = ["read-only", "issuing-certificates", "crl-signing", "ocsp-signing"]))]
    usage: Option<CommaList>,
}

/// `LIST issuers`: needs no token, because a CA certificate is public.
pub(crate) async fn list(mount: Shared, _cx: Cx, page: Page) -> Result<Response, Error> {
    let issuers = issuers::all(&mount).await?;
    let default = issuers::config(&mount).await?;
    let ids = page.cut(issuers.ids());
    take_up(ids.len() * SHOWN).await;
    let mut info = Map::new();
    for issuer in ids.iter().filter_map(|id| issuers.by_id(id)) {
        let entry = &issuer.entry;
        let shown = json!({
            "issuer_name": entry.name,
            "is_default": entry.id == default.default,
            "serial_number": entry.serial_number,
            "key_id": entry.key_id,
        });
        info.insert(entry.id.clone(), shown);
    }
    Ok(Response::list_info(ids, info))
}

/// `GET issuer/REF`.
pub(crate) async fn read(mount: Shared, _cx: Cx, request: IssuerRef) -> Result<Response, Error> {
    Ok(shown(
        &issuers::load(&mount, &request.issuer_ref).await?.entry,
    ))
}

/// `GET issuer/REF/json`: the public part, without a token.
pub(crate) async fn json(mount: Shared, cx: Cx, request: IssuerRef) -> Result<Response, Error> {
    let issuer = issuers::load(&mount, &request.issuer_ref).await?;
    if let Some(unmodified) = modified::unless(&cx, issuer.entry.last_modified) {
        return Ok(unmodified);
    }
    Response::data(&json!({
        "certificate": issuer.entry.certificate,
        "ca_chain": issuer.entry.ca_chain,
        "issuer_id": issuer.entry.id,
        "issuer_name": issuer.entry.name,
    }))
}

/// `GET issuer/REF/der`.
pub(crate) async fn der(mount: Shared, cx: Cx, request: IssuerRef) -> Result<Response, Error> {
    let issuer = issuers::load(&mount, &request.issuer_ref).await?;
    if let Some(unmodified) = modified::unless(&cx, issuer.entry.last_modified) {
        return Ok(unmodified);
    }
    Ok(Response::raw(
        200,
        "application/pkix-cert",
        issuer.certificate.der().to_vec(),
    ))
}

/// `GET issuer/REF/pem`.
pub(crate) async fn pem(mount: Shared, cx: Cx, request: IssuerRef) -> Result<Response, Error> {
    let issuer = issuers::load(&mount, &request.issuer_ref).await?;
    if let Some(unmodified) = modified::unless(&cx, issuer.entry.last_modified) {
        return Ok(unmodified);
    }
    Ok(Response::raw(
        200,
        "application/pem-certificate-chain",
        issuer.entry.certificate.clone().into_bytes(),
    ))
}

/// `POST issuer/REF`: what is not sent returns to its default, the name included.
pub(crate) async fn write(
    mount: Shared,
    _cx: Cx,
    request: IssuerRequest,
) -> Result<Response, Error> {
    store(&mount, request, false).await
}

/// `PATCH issuer/REF`.
pub(crate) async fn patch(
    mount: Shared,
    _cx: Cx,
    request: IssuerRequest,
) -> Result<Response, Error> {
    store(&mount, request, true).await
}

/// `DELETE issuer/REF`: the issuer need not exist. Its key stays.
pub(crate) async fn delete(mount: Shared, _cx: Cx, request: IssuerRef) -> Result<Response, Error> {
    let reference = request.issuer_ref;
    let mut change = Change::begin(&mount).await?;
    let Some(issuer) = issuers::find(&mount, &reference).await? else {
        if change.issuers.unreadable().any(|(id, _)| id == reference) {
            change.commit(&[reference], &[]).await?;
        }
        return Ok(Response::null());
    };
    let mut warnings = Vec::new();
    let names = [issuer.id(), issuer.entry.name.as_str()];
    for name in names.into_iter().filter(|name| !name.is_empty()) {
        warnings.extend(roles_using(&mount, name).await?);
    }
    if change.issuers_config.default == issuer.id() {
        change.set_default_issuer("");
        warnings.push(format!(
            "Deleted issuer {} (via issuer_ref {reference}); this was configured as the \
             default issuer. Operations without an explicit issuer will not work until a \
             new default is configured.",
            issuer.id()
        ));
        warnings.extend(roles_using(&mount, names::DEFAULT).await?);
    }
    let gone = std::slice::from_ref(&issuer.entry.id);
    warnings.extend(crl::remove_issuers(&mount, change, gone).await?);
    Ok(Response::null().warn_all(warnings))
}

/// `POST issuer/REF/revoke`: the issuer signs no more certificates, and its parent's CRL lists it if the parent is here.
pub(crate) async fn revoke(mount: Shared, _cx: Cx, request: IssuerRef) -> Result<Response, Error> {
    let issuer = issuers::load(&mount, &request.issuer_ref).await?;
    if issuer.entry.revoked {
        // The answer to an earlier call may have been lost before the CRL was built.
        let parent = issuers::all(&mount)
            .await?
            .parent_of(&issuer.certificate)
            .is_some();
        if parent && !crl::lists(&mount, issuer.certificate.serial()).await? {
            crl::rebuild(&mount, Scope::All).await?;
        }
        return Ok(shown(&issuer.entry));
    }
    let now = mount.now();
    let mut change = Change::begin(&mount).await?;
    let Some(present) = change.issuer(issuer.id()) else {
        return Err(issuers::unknown(&request.issuer_ref));
    };
    let entry = IssuerEntry {
        revoked: true,
        revocation_time: now.as_second(),
        revocation_time_utc: StoredTime(now),
        usage: present.usage.without(Usage::ISSUING),
        ..present.clone()
    };
    change.set_issuer(entry.clone());
    change.revoke(&issuer.certificate, now).await?;
    let parent = change.issuers.parent_of(&issuer.certificate).is_some();
    let default = change.issuers_config.default == issuer.id();
    change.commit(&[], &[]).await?;
    mount.metrics.revoked.count(RevokedBy::Issuer);
    mount.crl.forget();
    // At once, whatever is set for certificates: this one stands for all that the issuer signed.
    let built = crl::rebuild(&mount, Scope::All).await?;

    let mut response = shown(&entry).warn_all(built);
    if issuer.is_self_signed() {
        response = response.warn(
            "This issuer is a self-signed (potentially root) certificate. This means it \
             may not be considered revoked if there is not an external, cross-signed \
             variant of this certificate. This issuer's serial number will not appear on \
             its own CRL.",
        );
    }
    if !parent {
        response = response.warn(
            "This issuer lacks another parent issuer within the mount. This means it will \
             not appear on any other CRLs and may not be considered revoked by clients. \
             Consider adding this issuer to its issuer's CRL as well if it is not \
             self-signed.",
        );
    }
    if default {
        response = response.warn(
            "This issuer is currently configured as the default issuer for this mount; \
             operations such as certificate issuance may not work until a new default \
             issuer is selected.",
        );
    }
    Ok(response)
}

/// An answer that shows an issuer.
fn shown(entry: &IssuerEntry) -> Response {
    let shown = Response::map(describe(entry));
    let told = u32::try_from(entry.revocation_signature_algorithm).unwrap_or(0);
    match SignatureAlgorithm::from_storage_number(told) {
        Some(SignatureAlgorithm::RsaPss(_)) => shown.warn(
            "Issuer uses a PSS Revocation Signature Algorithm. This algorithm will be downgraded to PKCS#1v1.5 signature scheme on OCSP responses, due to limitations in the OCSP library.",
        ),
        _ => shown,
    }
}

/// An issuer as the API shows it.
pub(crate) fn describe(entry: &IssuerEntry) -> Map<String, Value> {
    let stored = u32::try_from(entry.revocation_signature_algorithm).unwrap_or(0);
    let algorithm =
        SignatureAlgorithm::from_storage_number(stored).map_or("", SignatureAlgorithm::name);
    let mut shown = object(json!({
        "issuer_id": entry.id,
        "issuer_name": entry.name,
        "key_id": entry.key_id,
        "certificate": entry.certificate,
        "manual_chain": entry.manual_chain,
        "ca_chain": entry.ca_chain,
        "leaf_not_after_behavior": entry.not_after_behavior.as_str(),
        "usage": entry.usage.to_string(),
        "revocation_signature_algorithm": algorithm,
        "revoked": entry.revoked,
        "issuing_certificates": [],
        "crl_distribution_points": [],
        "delta_crl_distribution_points": [],
        "ocsp_servers": [],
    }));
    if entry.revoked {
        shown.insert("revocation_time".into(), entry.revocation_time.into());
        shown.insert(
            "revocation_time_rfc3339".into(),
            entry.revocation_time_utc.to_string().into(),
        );
    }
    if let Some(aia) = &entry.aia_uris {
        shown.extend(object(json!({
            "issuing_certificates": aia.issuing_certificates,
            "crl_distribution_points": aia.crl_distribution_points,
            "delta_crl_distribution_points": aia.delta_crl_distribution_points,
            "ocsp_servers": aia.ocsp_servers,
            "enable_aia_url_templating": aia.enable_templating,
        })));
    }
    shown
}

async fn store(mount: &Shared, request: IssuerRequest, patch: bool) -> Result<Response, Error> {
    let mut change = Change::begin(mount).await?;
    let issuer = issuers::load(mount, &request.issuer_ref).await?;
    let mut entry = issuer.entry.clone();
    request
        .apply(mount, &change, &issuer, &mut entry, patch)
        .await?;
    let mut warnings = Vec::new();
    if let Some(urls) = entry
        .aia_uris
        .as_ref()
        .filter(|urls| urls.enable_templating)
    {
        warnings.extend(aia::complaint(mount, urls, &entry.id).await?);
    }
    let told = u32::try_from(entry.revocation_signature_algorithm).unwrap_or(0);
    warnings.extend(
        SignatureAlgorithm::from_storage_number(told)
            .and_then(|told| other_hash(told, issuer.certificate.public_key())),
    );
    if entry.name != issuer.entry.name {
        entry.last_modified = StoredTime(mount.now());
    }
    let id = entry.id.clone();
    change.set_issuer(entry);
    change.commit(&[], &[]).await?;
    let stored = issuers::load(mount, &id).await?;
    Ok(shown(&stored.entry).warn_all(warnings))
}

impl IssuerRequest {
    /// Puts what was sent into `entry`, after checking it.
    async fn apply(
        &self,
        mount: &Mount,
        change: &Change<'_>,
        issuer: &LoadedIssuer,
        entry: &mut IssuerEntry,
        patch: bool,
    ) -> Result<(), Error> {
        let sent = self.issuer_name.as_deref().map(str::trim);
        if !patch && sent == Some("") {
            return Err(Error::bad_request("expected non-empty issuer name"));
        }
        let name = sent.or_else(|| (!patch).then_some(""));
        if let Some(name) = name {
            if !name.is_empty() && name != entry.name {
                issuers::check_name(&change.issuers, name, issuer.id())?;
            }
            name.clone_into(&mut entry.name);
        }
        let behavior = self
            .leaf_not_after_behavior
            .as_deref()
            .or_else(|| (!patch).then_some("err"));
        if let Some(behavior) = behavior {
            entry.not_after_behavior = NotAfterBehavior::parse(behavior).ok_or_else(|| {
                Error::bad_request(
                    "Unknown value for field `leaf_not_after_behavior`. Possible values are `err`, `truncate`, and `permit`.",
                )
            })?;
        }
        match &self.usage {
            Some(names) => entry.usage = usages(names, issuer)?,
            None if !patch => entry.usage = permitted(Usage::ALL, issuer)?,
            None => {}
        }
        let algorithm = self
            .revocation_signature_algorithm
            .as_deref()
            .or_else(|| (!patch).then_some(""));
        if let Some(algorithm) = algorithm {
            entry.revocation_signature_algorithm = algorithm_number(algorithm, issuer)?;
        }
        entry.aia_uris = self.aia(entry.aia_uris.take(), patch)?;
        self.chain(mount, change, entry, patch).await
    }

    /// The issuer's own URLs; none at all leaves those of the mount in force.
    fn aia(&self, present: Option<AiaEntry>, patch: bool) -> Result<Option<AiaEntry>, Error> {
        let before = present.unwrap_or_default();
        let mut aia = if patch {
            before.clone()
        } else {
            AiaEntry {
                other: before.other.clone(),
                ..AiaEntry::default()
            }
        };
        for (list, sent) in [
            (&mut aia.issuing_certificates, &self.issuing_certificates),
            (
                &mut aia.crl_distribution_points,
                &self.crl_distribution_points,
            ),
            (
                &mut aia.delta_crl_distribution_points,
                &self.delta_crl_distribution_points,
            ),
            (&mut aia.ocsp_servers, &self.ocsp_servers),
        ] {
            if let Some(sent) = sent {
                *list = Some(sent.0.clone());
            }
        }
        aia.enable_templating = self
            .enable_aia_url_templating
            .unwrap_or(aia.enable_templating);
        if !aia.enable_templating {
            urls::check(&aia)?;
        }
        if !patch {
            // A list that is cleared reads as empty, one that never was as null.
            for (list, before) in [
                (&mut aia.issuing_certificates, before.issuing_certificates),
                (
                    &mut aia.crl_distribution_points,
                    before.crl_distribution_points,
                ),
                (&mut aia.ocsp_servers, before.ocsp_servers),
            ] {
                if before.is_some() {
                    list.get_or_insert_default();
                }
            }
        }
        Ok((!aia.is_empty() || !aia.other.is_empty()).then_some(aia))
    }

    async fn chain(
        &self,
        mount: &Mount,
        change: &Change<'_>,
        entry: &mut IssuerEntry,
        patch: bool,
    ) -> Result<(), Error> {
        let Some(references) = &self.manual_chain else {
            if !patch {
                entry.manual_chain = None;
            }
            return Ok(());
        };
        let mut ids = Vec::with_capacity(references.len());
        for (position, reference) in references.iter().enumerate() {
            // The word means this issuer in the first place only.
            if position == 0 && reference == "self" {
                ids.push(entry.id.clone());
                continue;
            }
            let issuer = if reference.is_empty() {
                // As in the built-in engine, that is the first issuer whose name is empty.
                let mut all = change.issuers.iter();
                all.find(|issuer| issuer.entry.name.is_empty())
                    .cloned()
                    .ok_or_else(|| issuers::unknown(reference))?
            } else {
                issuers::load(mount, reference).await?
            };
            if position == 0 && issuer.id() != entry.id {
                return Err(Error::bad_request(format!(
                    "expected first cert in chain to be a self-reference, but was: {reference}/{}",
                    issuer.id()
                )));
            }
            ids.push(issuer.entry.id.clone());
        }
        entry.manual_chain = (!ids.is_empty()).then_some(ids);
        Ok(())
    }
}

/// The usages that a request names.
fn usages(names: &CommaList, issuer: &LoadedIssuer) -> Result<Usage, Error> {
    let usage = Usage::parse(names).ok_or_else(|| {
        Error::bad_request(format!(
            "Unable to parse specified usages: [{}] - valid values are crl-signing,issuing-certificates,ocsp-signing,read-only",
            names.join(" ")
        ))
    })?;
    permitted(usage, issuer)
}

/// Refuses what the issuer cannot be used for, also where a write sends no usage and so means all: signing CRLs if its certificate does not say so,
/// and issuing once it is revoked.
fn permitted(usage: Usage, issuer: &LoadedIssuer) -> Result<Usage, Error> {
    if usage.allows(Usage::CRL_SIGNING) && !issuers::may_sign_crls(&issuer.certificate) {
        return Err(Error::bad_request(
            "This issuer's underlying certificate lacks the CRLSign KeyUsage value; unable to set CRLSigningUsage on this issuer as a result.",
        ));
    }
    if issuer.entry.revoked && usage.allows(Usage::ISSUING) {
        return Err(Error::bad_request(
            "This issuer was revoked; unable to modify its usage to include certificate signing again. Reissue this certificate (preferably with a new key) and modify that entry instead.",
        ));
    }
    Ok(usage)
}

fn algorithm_number(name: &str, issuer: &LoadedIssuer) -> Result<i64, Error> {
    if name.is_empty() {
        return Ok(0);
    }
    let Some(algorithm) = SignatureAlgorithm::from_name(name) else {
        return Err(Error::bad_request(format!(
            "Unknown signature algorithm value: {name} - valid values are sha256withrsa, sha384withrsa, sha512withrsa, sha256withrsapss, sha384withrsapss, sha512withrsapss, ecdsawithsha256, ecdsawithsha384, ecdsawithsha512, ed25519, pureed25519, mldsa44, mldsa65, mldsa87"
        )));
    };
    let key = issuer.certificate.public_key();
    if other_hash(algorithm, key).is_none() {
        algorithm
            .fits(key)
            .map_err(|cause| Error::failed(cause.to_string()))?;
    }
    Ok(algorithm.storage_number().into())
}

/// A warning where an EC key is told to sign with another hash than that of its curve. It is kept, for whoever serves the mount after us.
fn other_hash(algorithm: SignatureAlgorithm, key: &PublicKey) -> Option<String> {
    let curve = key.curve()?;
    let own = SignatureAlgorithm::Ecdsa(curve.hash());
    (matches!(algorithm, SignatureAlgorithm::Ecdsa(_)) && algorithm != own).then(|| {
        format!(
            "revocation_signature_algorithm {}: a key on {curve} signs with {} here; leave the field empty for it",
            algorithm.name(),
            own.name()
        )
    })
}

/// A warning that roles name `issuer` as theirs.
async fn roles_using(mount: &Mount, issuer: &str) -> Result<Option<String>, Error> {
    let mut count = 0;
    for name in mount.storage().list(role::PREFIX).await? {
        let role = mount.load::<Role>(&RoleEntry::key(&name)).await?;
        count += u32::from(role.is_some_and(|role| role.entry.settings.issuer == issuer));
    }
    Ok((count > 0).then(|| format!("{count} roles reference {issuer}")))
}
