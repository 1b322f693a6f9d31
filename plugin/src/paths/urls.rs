//! `config/urls`: where the certificates of the mount say that issuers, CRLs and OCSP are found.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use landfast_sdk::logical::{CommaList, Cx, Error, NoFields, Response};

use crate::entry;
use crate::entry::issuer::AiaEntry;
use crate::mount::Shared;
use crate::url::is_url;
use crate::{aia, issuers};

/// The URLs to set; a list that is not sent stays as it is.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct UrlsRequest {
    /// Where CRLs are fetched: the CRL distribution points of a certificate.
    crl_distribution_points: Option<CommaList>,
    /// Where delta CRLs are fetched: the freshest CRL extension.
    delta_crl_distribution_points: Option<CommaList>,
    /// Whether `{{issuer_id}}`, `{{cluster_path}}` and `{{cluster_aia_path}}` in the URLs are filled in when a certificate is made.
    #[schemars(extend("default" = false))]
    enable_templating: Option<bool>,
    /// Where the issuer's certificate is fetched: the CA issuers of authority information access.
    issuing_certificates: Option<CommaList>,
    /// OCSP responders of authority information access.
    ocsp_servers: Option<CommaList>,
}

/// `GET config/urls`.
pub(crate) async fn read(mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    describe(&*mount.load_or_default(AiaEntry::KEY).await?)
}

/// `POST config/urls`.
pub(crate) async fn write(mount: Shared, _cx: Cx, request: UrlsRequest) -> Result<Response, Error> {
    let mut urls = (*mount.load_or_default::<AiaEntry>(AiaEntry::KEY).await?).clone();
    for (list, sent) in [
        (&mut urls.issuing_certificates, request.issuing_certificates),
        (
            &mut urls.crl_distribution_points,
            request.crl_distribution_points,
        ),
        (
            &mut urls.delta_crl_distribution_points,
            request.delta_crl_distribution_points,
        ),
        (&mut urls.ocsp_servers, request.ocsp_servers),
    ] {
        // A list that was never sent is stored as empty, not as null, which is how the built-in engine reads it back.
        let list = list.get_or_insert_default();
        if let Some(sent) = sent {
            *list = sent.0;
        }
    }
    urls.enable_templating = request.enable_templating.unwrap_or(urls.enable_templating);
    let mut warning = None;
    if !urls.enable_templating {
        check(&urls)?;
    } else if let Some(issuer) = issuers::all(&mount).await?.iter().next() {
        // Any issuer will do to try them on; an empty mount has nothing that could fail to issue.
        warning = aia::complaint(&mount, &urls, issuer.id()).await?;
    }
    mount.put(AiaEntry::KEY, entry::encode(&urls)).await?;
    let response = describe(&urls)?;
    Ok(match warning {
        Some(warning) => response.warn(warning),
        None => response,
    })
}

/// Refuses the first thing in the lists that is no URL. Empty elements pass, as in the built-in engine.
///
/// # Errors
/// Names the list and the element.
pub(crate) fn check(urls: &AiaEntry) -> Result<(), Error> {
    for (name, list) in [
        ("issuing_certificates", &urls.issuing_certificates),
        ("crl_distribution_points", &urls.crl_distribution_points),
        (
            "delta_crl_distribution_points",
            &urls.delta_crl_distribution_points,
        ),
        ("ocsp_servers", &urls.ocsp_servers),
    ] {
        if let Some(bad) = list
            .iter()
            .flatten()
            .find(|url| !url.is_empty() && !is_url(url))
        {
            return Err(Error::BadRequest(format!(
                "invalid URL found in Authority Information Access (AIA) parameter {name}: {bad}"
            )));
        }
    }
    Ok(())
}

fn describe(urls: &AiaEntry) -> Result<Response, Error> {
    let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    Response::data(&json!({
        "issuing_certificates": list(&urls.issuing_certificates),
        "crl_distribution_points": list(&urls.crl_distribution_points),
        "delta_crl_distribution_points": list(&urls.delta_crl_distribution_points),
        "ocsp_servers": list(&urls.ocsp_servers),
        "enable_templating": urls.enable_templating,
    }))
}
