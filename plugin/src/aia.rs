//! Where a certificate says that its issuer, CRLs and OCSP are found: the issuer's own URLs, else the mount's, with templates
//! filled in (OpenBao pki: AIA templating).

use std::sync::Arc;

use landfast_pki::Refusal;
use landfast_pki::issue::{AiaUrls, Issuer};
use landfast_pki::validity::LeafNotAfter;
use landfast_sdk::logical::Error;

use crate::Mount;
use crate::entry::config::ClusterConfig;
use crate::entry::issuer::{AiaEntry, NotAfterBehavior};
use crate::issuers::LoadedIssuer;
use crate::url::is_url;

/// The issuer as the rules refer to it, with its URLs; encoded once and kept until one of its parts changes.
///
/// # Errors
/// As [`of`].
pub(crate) async fn signing(
    mount: &Mount,
    issuer: &Arc<LoadedIssuer>,
) -> Result<Arc<Signing>, Error> {
    let urls = mount.load_or_default::<AiaEntry>(AiaEntry::KEY).await?;
    let cluster = mount
        .load_or_default::<ClusterConfig>(ClusterConfig::KEY)
        .await?;
    let made_from_these = |kept: &Signing| {
        Arc::ptr_eq(&kept.loaded, issuer)
            && Arc::ptr_eq(&kept.urls, &urls)
            && Arc::ptr_eq(&kept.cluster, &cluster)
    };
    // Not a storage key: nothing invalidates it, the comparison does.
    let key = format!("signing {}", issuer.id());
    let (ticket, kept) = mount.kept::<Signing>(&key);
    if let Some(kept) = kept.filter(|kept| made_from_these(kept)) {
        return Ok(kept);
    }
    let aia =
        fill(own(issuer).unwrap_or(&urls), &cluster, issuer.id()).map_err(crate::fault::refusal)?;
    let leaf_not_after = match issuer.entry.not_after_behavior {
        NotAfterBehavior::Err => LeafNotAfter::Err,
        NotAfterBehavior::Truncate => LeafNotAfter::Truncate,
        NotAfterBehavior::Permit => LeafNotAfter::Permit,
    };
    let signing = Arc::new(Signing {
        rules: Issuer::new(issuer.certificate.clone(), &aia, leaf_not_after).below(issuer.chain()),
        loaded: Arc::clone(issuer),
        urls,
        cluster,
    });
    mount.keep(ticket, &key, &signing);
    Ok(signing)
}

/// See [`signing`].
pub(crate) struct Signing {
    /// What the rules work from.
    pub(crate) rules: Issuer,
    /// What was loaded.
    pub(crate) loaded: Arc<LoadedIssuer>,
    urls: Arc<AiaEntry>,
    cluster: Arc<ClusterConfig>,
}

/// The URLs that certificates of `issuer` carry. Its own replace the mount's altogether, as soon as it has any.
///
/// # Errors
/// When storage fails, or a template needs an address that `config/cluster` does not have.
pub(crate) async fn of(mount: &Mount, issuer: &LoadedIssuer) -> Result<AiaUrls, Error> {
    match own(issuer) {
        Some(own) => render(mount, own, issuer.id()).await,
        None => {
            render(
                mount,
                &*mount.load_or_default::<AiaEntry>(AiaEntry::KEY).await?,
                issuer.id(),
            )
            .await
        }
    }
}

fn own(issuer: &LoadedIssuer) -> Option<&AiaEntry> {
    issuer.entry.aia_uris.as_ref().filter(|own| !own.is_empty())
}

/// The mount's URLs for an issuer that has no id yet.
///
/// # Errors
/// As [`of`], or a template needs the id.
pub(crate) async fn of_mount(mount: &Mount) -> Result<AiaUrls, Error> {
    render(
        mount,
        &*mount.load_or_default::<AiaEntry>(AiaEntry::KEY).await?,
        "",
    )
    .await
}

/// What to warn of when `urls` are set that could not be used for the issuer `issuer_id` as things stand.
///
/// # Errors
/// When storage fails.
pub(crate) async fn complaint(
    mount: &Mount,
    urls: &AiaEntry,
    issuer_id: &str,
) -> Result<Option<String>, Error> {
    let cluster = mount
        .load_or_default::<ClusterConfig>(ClusterConfig::KEY)
        .await?;
    let refused = fill(urls, &cluster, issuer_id).err();
    Ok(refused.map(|refusal| {
        let text = refusal.to_string();
        let reason = text.strip_prefix("unable to fetch AIA URL information: ").unwrap_or(&text);
        format!("issuance may fail: {reason}\n\nConsider setting the cluster-local address if it is not already set.")
    }))
}

/// Names the first URL that is none once its templates are filled in.
fn not_a_url(urls: &AiaUrls) -> Option<String> {
    let lists = [
        ("issuing_certificates", &urls.issuing_certificates),
        ("crl_distribution_points", &urls.crl_distribution_points),
        (
            "delta_crl_distribution_points",
            &urls.delta_crl_distribution_points,
        ),
        ("ocsp_servers", &urls.ocsp_servers),
    ];
    lists.into_iter().find_map(|(name, list)| {
        let bad = list.iter().find(|url| !is_url(url))?;
        Some(format!(
            "error validating templated {name}; invalid URI: {bad}"
        ))
    })
}

async fn render(mount: &Mount, urls: &AiaEntry, issuer_id: &str) -> Result<AiaUrls, Error> {
    let cluster = mount
        .load_or_default::<ClusterConfig>(ClusterConfig::KEY)
        .await?;
    fill(urls, &cluster, issuer_id).map_err(|refusal| Error::Failed(refusal.to_string()))
}

fn fill(urls: &AiaEntry, cluster: &ClusterConfig, issuer_id: &str) -> Result<AiaUrls, Refusal> {
    if urls.is_empty() {
        return Ok(AiaUrls::default());
    }
    let list = |list: &Option<Vec<String>>| {
        let urls_of = list.iter().flatten().filter(|url| !url.is_empty());
        urls_of
            .map(|url| {
                if urls.enable_templating {
                    fill_one(url, cluster, issuer_id)
                } else {
                    Ok(url.clone())
                }
            })
            .collect::<Result<Vec<_>, _>>()
    };
    let filled = AiaUrls {
        issuing_certificates: list(&urls.issuing_certificates)?,
        crl_distribution_points: list(&urls.crl_distribution_points)?,
        delta_crl_distribution_points: list(&urls.delta_crl_distribution_points)?,
        ocsp_servers: list(&urls.ocsp_servers)?,
    };
    // Without templates each URL was looked at when it came in.
    let bad = urls.enable_templating.then(|| not_a_url(&filled)).flatten();
    bad.map_or(Ok(filled), |text| Err(Refusal::AiaUrl(text)))
}

fn fill_one(url: &str, cluster: &ClusterConfig, issuer_id: &str) -> Result<String, Refusal> {
    let mut filled = url.to_owned();
    for (place, value, lack) in [
        (
            "{{cluster_path}}",
            cluster.path.as_str(),
            Refusal::AiaCluster("path"),
        ),
        (
            "{{cluster_aia_path}}",
            cluster.aia_path.as_str(),
            Refusal::AiaCluster("aia_path"),
        ),
        ("{{issuer_id}}", issuer_id, Refusal::AiaIssuer),
    ] {
        if filled.contains(place) {
            if value.is_empty() {
                return Err(lack);
            }
            filled = filled.replace(place, value);
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(templating: bool, url: &str) -> AiaEntry {
        AiaEntry {
            issuing_certificates: Some(vec![url.to_owned()]),
            enable_templating: templating,
            ..AiaEntry::default()
        }
    }

    #[test]
    fn templates_are_filled_only_where_they_are_enabled() {
        let cluster = ClusterConfig {
            path: "https://c/v1/pki".into(),
            aia_path: "http://aia".into(),
            ..ClusterConfig::default()
        };
        let url = "{{cluster_path}}?{{cluster_aia_path}}&{{issuer_id}}&{{other}}";
        let filled = fill(&urls(true, url), &cluster, "id").unwrap();
        assert_eq!(
            filled.issuing_certificates,
            ["https://c/v1/pki?http://aia&id&{{other}}"]
        );
        assert_eq!(
            fill(&urls(false, url), &cluster, "id")
                .unwrap()
                .issuing_certificates,
            [url]
        );
    }

    /// OpenBao 2.7.2 stores such a template with a warning, and refuses to sign with it.
    #[test]
    fn what_does_not_become_a_url_is_refused_on_use() {
        let refused = fill(&urls(true, "no url"), &ClusterConfig::default(), "id").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "unable to fetch AIA URL information: error validating templated issuing_certificates; invalid URI: no url"
        );
    }

    #[test]
    fn a_missing_value_is_named() {
        let cluster = ClusterConfig::default();
        for (url, text) in [
            (
                "{{cluster_path}}",
                "lack local cluster address information (path)",
            ),
            (
                "{{cluster_aia_path}}",
                "lack local cluster address information (aia_path)",
            ),
            ("{{issuer_id}}", "lack an issuer"),
        ] {
            assert!(
                fill(&urls(true, url), &cluster, "")
                    .unwrap_err()
                    .to_string()
                    .contains(text),
                "{url}"
            );
        }
    }
}
