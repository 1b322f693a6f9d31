//! `config/crl`, `crl/rotate`, and the CRLs for anybody to fetch.

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use landfast_sdk::logical::{Cx, Error, NoFields, Response, format_nanos, parse_duration_nanos};

use crate::Mount;
use crate::crl::{self, Form, Kind, Scope};
use crate::entry::{self, config::CrlConfig, issuer::AiaEntry};
use crate::issuers;
use crate::mount::Shared;
use crate::names;
use crate::paths::issuers::IssuerRef;
use crate::paths::modified;

/// What CRLs are like; what is not sent stays as it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("x-untold" = ["unified_crl", "unified_crl_on_existing_paths", "cross_cluster_revocation"]))]
pub(crate) struct CrlRequest {
    /// Whether certificates past their end may still be revoked.
    allow_expired_cert_revocation: Option<bool>,
    /// Leave rebuilding to the periodic call, shortly before a CRL runs out, instead of to each revocation.
    auto_rebuild: Option<bool>,
    /// How long before it runs out a CRL is rebuilt.
    #[schemars(extend("default" = "12h"))]
    auto_rebuild_grace_period: Option<String>,
    /// How often delta CRLs are rebuilt.
    #[schemars(extend("default" = "15m"))]
    delta_rebuild_interval: Option<String>,
    /// Empty the CRLs and build no further ones.
    disable: Option<bool>,
    /// Whether delta CRLs list what was revoked since the last complete CRL. Needs `auto_rebuild`.
    enable_delta: Option<bool>,
    /// How long a CRL is valid.
    #[schemars(extend("default" = "72h"))]
    expiry: Option<String>,
    /// Switch the OCSP responder off.
    ocsp_disable: Option<bool>,
    /// How long an OCSP answer is valid; 0 leaves the end out of the answer.
    #[schemars(extend("default" = "12h"))]
    ocsp_expiry: Option<String>,
    /// Of Vault, which shows these to all and has them in its Enterprise edition only; elsewhere they are unknown.
    #[schemars(skip)]
    unified_crl: Option<Value>,
    #[schemars(skip)]
    unified_crl_on_existing_paths: Option<Value>,
    #[schemars(skip)]
    cross_cluster_revocation: Option<Value>,
}

/// `GET config/crl`.
pub(crate) async fn read_config(mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    describe(&mount, &*crl::config(&mount).await?)
}

/// `POST config/crl`.
pub(crate) async fn write_config(
    mount: Shared,
    _cx: Cx,
    request: CrlRequest,
) -> Result<Response, Error> {
    if mount.is_on_vault() {
        request.refuse_clusters()?;
    }
    let before = crl::config(&mount).await?;
    let mut config = CrlConfig::clone(&before);
    request.apply(&mut config)?;
    check(&config)?;
    config.version = 2;
    mount.put(CrlConfig::KEY, entry::encode(&config)).await?;
    let mut warnings = Vec::new();
    let shown = |config: &CrlConfig| (config.disable, config.auto_rebuild && config.enable_delta);
    if shown(&before) != shown(&config) || before.auto_rebuild && !config.auto_rebuild {
        warnings = crl::rebuild(&mount, Scope::Forced).await?;
    }
    if shown(&config).1 && !shown(&before).1 && !delta_is_pointed_to(&mount).await? {
        warnings.push(UNFOUND_DELTA.to_owned());
    }
    Ok(describe(&mount, &config)?.warn_all(warnings))
}

/// What whoever turns delta CRLs on should know while nothing leads to them.
///
/// Source: RFC 5280 section 5.2.6; OpenSSL reads a delta CRL only by a freshestCRL, Java 17 and BouncyCastle read none.
const UNFOUND_DELTA: &str = "nothing says where the delta CRLs are: clients find them by the delta_crl_distribution_points of config/urls or of \
     an issuer, and without them go by the complete CRL alone, which lists a revocation only when it is rebuilt. Some clients, Java among \
     them, never read delta CRLs";

/// Whether any CRL says where its delta CRLs are.
async fn delta_is_pointed_to(mount: &Shared) -> Result<bool, Error> {
    let of_mount = mount.load_or_default::<AiaEntry>(AiaEntry::KEY).await?;
    let own = issuers::all(mount).await?;
    // An issuer's own URLs count once there is one of another kind.
    let own = own
        .iter()
        .filter_map(|issuer| issuer.entry.aia_uris.as_ref())
        .filter(|own| !own.is_empty());
    let lists = own
        .chain([&*of_mount])
        .filter_map(|urls| urls.delta_crl_distribution_points.as_ref());
    Ok(lists.flatten().any(|url| !url.is_empty()))
}

/// `GET crl/rotate`: rebuilds all CRLs now.
pub(crate) async fn rotate(mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    let warnings = crl::rebuild(&mount, Scope::All).await?;
    Ok(Response::data(&json!({ "success": true }))?.warn_all(warnings))
}

/// `GET crl/rotate-delta`.
pub(crate) async fn rotate_delta(mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    let response = Response::data(&json!({ "success": true }))?;
    if !crl::config(&mount).await?.enable_delta {
        return Ok(response.warn(
            "requested rebuild of delta CRL when delta CRL is not enabled; this is a no-op",
        ));
    }
    Ok(response.warn_all(crl::rebuild(&mount, Scope::Delta).await?))
}

/// `GET crl`.
pub(crate) async fn der(mount: Shared, cx: Cx, _: NoFields) -> Result<Response, Error> {
    raw(&mount, &cx, Kind::Complete, Form::Der).await
}

/// `GET crl/pem`.
pub(crate) async fn pem(mount: Shared, cx: Cx, _: NoFields) -> Result<Response, Error> {
    raw(&mount, &cx, Kind::Complete, Form::Text).await
}

/// `GET crl/delta`.
pub(crate) async fn delta_der(mount: Shared, cx: Cx, _: NoFields) -> Result<Response, Error> {
    raw(&mount, &cx, Kind::Delta, Form::Der).await
}

/// `GET crl/delta/pem`.
pub(crate) async fn delta_pem(mount: Shared, cx: Cx, _: NoFields) -> Result<Response, Error> {
    raw(&mount, &cx, Kind::Delta, Form::Text).await
}

/// `GET cert/crl`.
pub(crate) async fn cert(mount: Shared, cx: Cx, _: NoFields) -> Result<Response, Error> {
    cert_data(&mount, &cx, Kind::Complete).await
}

/// `GET cert/delta-crl`.
pub(crate) async fn cert_delta(mount: Shared, cx: Cx, _: NoFields) -> Result<Response, Error> {
    cert_data(&mount, &cx, Kind::Delta).await
}

/// `GET issuer/REF/crl`.
pub(crate) async fn issuer_json(
    mount: Shared,
    cx: Cx,
    request: IssuerRef,
) -> Result<Response, Error> {
    issuer_data(&mount, &cx, &request, Kind::Complete).await
}

/// `GET issuer/REF/crl/delta`.
pub(crate) async fn issuer_delta_json(
    mount: Shared,
    cx: Cx,
    request: IssuerRef,
) -> Result<Response, Error> {
    issuer_data(&mount, &cx, &request, Kind::Delta).await
}

/// `GET issuer/REF/crl/der`.
pub(crate) async fn issuer_der(
    mount: Shared,
    cx: Cx,
    request: IssuerRef,
) -> Result<Response, Error> {
    issuer_raw(&mount, &cx, &request, Kind::Complete, Form::Der).await
}

/// `GET issuer/REF/crl/pem`.
pub(crate) async fn issuer_pem(
    mount: Shared,
    cx: Cx,
    request: IssuerRef,
) -> Result<Response, Error> {
    issuer_raw(&mount, &cx, &request, Kind::Complete, Form::Pem).await
}

/// `GET issuer/REF/crl/delta/der`.
pub(crate) async fn issuer_delta_der(
    mount: Shared,
    cx: Cx,
    request: IssuerRef,
) -> Result<Response, Error> {
    issuer_raw(&mount, &cx, &request, Kind::Delta, Form::Der).await
}

/// `GET issuer/REF/crl/delta/pem`.
pub(crate) async fn issuer_delta_pem(
    mount: Shared,
    cx: Cx,
    request: IssuerRef,
) -> Result<Response, Error> {
    issuer_raw(&mount, &cx, &request, Kind::Delta, Form::Pem).await
}

/// Without a default issuer or its CRL the answer is empty, with the content type that a CRL would have had.
async fn raw(mount: &Mount, cx: &Cx, kind: Kind, form: Form) -> Result<Response, Error> {
    let found = match issuers::find(mount, names::DEFAULT).await? {
        Some(issuer) => crl::body(mount, issuer.id(), kind, form).await?,
        None => None,
    };
    let Some(body) = found else {
        return Ok(Response::raw(204, form.content_type(), Vec::new()));
    };
    if let Some(unmodified) = modified::unless(cx, crl::last_modified(mount, kind).await?) {
        return Ok(unmodified);
    }
    Ok(Response::raw_body(&body))
}

async fn cert_data(mount: &Mount, cx: &Cx, kind: Kind) -> Result<Response, Error> {
    let bytes = crl::of(mount, names::DEFAULT, kind).await?;
    if let Some(unmodified) = modified::unless(cx, crl::last_modified(mount, kind).await?) {
        return Ok(unmodified);
    }
    Response::data(
        &json!({ "certificate": text(&bytes.0), "revocation_time": 0, "revocation_time_rfc3339": "" }),
    )
}

async fn issuer_data(
    mount: &Mount,
    cx: &Cx,
    request: &IssuerRef,
    kind: Kind,
) -> Result<Response, Error> {
    let bytes = crl::of(mount, &request.issuer_ref, kind).await?;
    if let Some(unmodified) = modified::unless(cx, crl::last_modified(mount, kind).await?) {
        return Ok(unmodified);
    }
    Response::data(&json!({ "crl": landfast_pki::pem::encode(crl::LABEL, &bytes.0) }))
}

async fn issuer_raw(
    mount: &Mount,
    cx: &Cx,
    request: &IssuerRef,
    kind: Kind,
    form: Form,
) -> Result<Response, Error> {
    let body = crl::body_of(mount, &request.issuer_ref, kind, form).await?;
    if let Some(unmodified) = modified::unless(cx, crl::last_modified(mount, kind).await?) {
        return Ok(unmodified);
    }
    Ok(Response::raw_body(&body))
}

/// PEM without its final newline, which is how these paths show it.
fn text(der: &[u8]) -> String {
    landfast_pki::pem::encode(crl::LABEL, der)
        .trim_end()
        .to_owned()
}

impl CrlRequest {
    /// Refuses what takes several clusters.
    fn refuse_clusters(&self) -> Result<(), Error> {
        let on = |value: &Option<Value>| match value {
            Some(Value::Bool(on)) => *on,
            Some(Value::String(text)) => {
                matches!(text.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True")
            }
            Some(Value::Number(number)) => number.as_f64() != Some(0.0),
            _ => false,
        };
        for (name, sent) in [
            ("unified_crl", &self.unified_crl),
            (
                "unified_crl_on_existing_paths",
                &self.unified_crl_on_existing_paths,
            ),
            ("cross_cluster_revocation", &self.cross_cluster_revocation),
        ] {
            if on(sent) {
                return Err(Error::bad_request(format!(
                    "{name} can not be true: this engine keeps the revocations of one cluster, as Vault does without Enterprise; send false or leave it out"
                )));
            }
        }
        Ok(())
    }

    fn apply(self, config: &mut CrlConfig) -> Result<(), Error> {
        for (name, field, sent) in [
            ("expiry", &mut config.expiry, self.expiry),
            ("ocsp_expiry", &mut config.ocsp_expiry, self.ocsp_expiry),
            (
                "auto_rebuild_grace_period",
                &mut config.auto_rebuild_grace_period,
                self.auto_rebuild_grace_period,
            ),
            (
                "delta_rebuild_interval",
                &mut config.delta_rebuild_interval,
                self.delta_rebuild_interval,
            ),
        ] {
            let Some(sent) = sent else { continue };
            let nanos = parse_duration_nanos(&sent).map_err(|cause| {
                Error::bad_request(format!("given {name} could not be decoded: {cause}"))
            })?;
            if name == "ocsp_expiry" && nanos < 0 {
                return Err(Error::bad_request(format!(
                    "ocsp_expiry must be greater than or equal to 0 got: {}",
                    format_nanos(nanos)
                )));
            }
            // A CRL that ends before it begins can be used by nobody; the built-in engine lets it pass.
            if name == "expiry" && nanos <= 0 {
                return Err(Error::bad_request(format!(
                    "expiry must be greater than 0 got: {}",
                    format_nanos(nanos)
                )));
            }
            *field = sent;
        }
        for (field, sent) in [
            (
                &mut config.allow_expired_cert_revocation,
                self.allow_expired_cert_revocation,
            ),
            (&mut config.auto_rebuild, self.auto_rebuild),
            (&mut config.disable, self.disable),
            (&mut config.enable_delta, self.enable_delta),
            (&mut config.ocsp_disable, self.ocsp_disable),
        ] {
            *field = sent.unwrap_or(*field);
        }
        Ok(())
    }
}

fn check(config: &CrlConfig) -> Result<(), Error> {
    let length =
        |text: &str| SignedDuration::from_nanos(parse_duration_nanos(text).unwrap_or_default());
    let (expiry, grace) = (
        length(&config.expiry),
        length(&config.auto_rebuild_grace_period),
    );
    if config.auto_rebuild && grace >= expiry {
        return Err(Error::bad_request(format!(
            "CRL auto-rebuilding grace period ({}) must be strictly shorter than CRL expiry ({}) value when auto-rebuilding of CRLs is enabled",
            config.auto_rebuild_grace_period, config.expiry
        )));
    }
    if !config.enable_delta {
        return Ok(());
    }
    if length(&config.delta_rebuild_interval) >= expiry {
        return Err(Error::bad_request(format!(
            "CRL delta rebuild window ({}) must be strictly shorter than CRL expiry ({}) value when delta CRLs are enabled",
            config.delta_rebuild_interval, config.expiry
        )));
    }
    if !config.auto_rebuild {
        return Err(Error::bad_request(
            "Delta CRLs cannot be enabled when auto rebuilding is disabled as the complete CRL is always regenerated!",
        ));
    }
    Ok(())
}

fn describe(mount: &Mount, config: &CrlConfig) -> Result<Response, Error> {
    let mut shown = json!({
        "expiry": config.expiry,
        "disable": config.disable,
        "ocsp_disable": config.ocsp_disable,
        "ocsp_expiry": config.ocsp_expiry,
        "auto_rebuild": config.auto_rebuild,
        "auto_rebuild_grace_period": config.auto_rebuild_grace_period,
        "enable_delta": config.enable_delta,
        "delta_rebuild_interval": config.delta_rebuild_interval,
        "allow_expired_cert_revocation": config.allow_expired_cert_revocation,
    });
    if mount.is_on_vault() {
        for name in [
            "unified_crl",
            "unified_crl_on_existing_paths",
            "cross_cluster_revocation",
        ] {
            shown[name] = false.into();
        }
    }
    Response::data(&shown)
}
