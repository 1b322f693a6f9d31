//! Where the services answer.

use aws_sdk_kms::config::endpoint as kms_rules;
use aws_sdk_sts::config::endpoint as sts_rules;

use super::config::Network;
use crate::error::Error;

/// Where the Security Token Service has FIPS endpoints.
///
/// Source: AWS general reference, "AWS Security Token Service endpoints and quotas".
const STS_FIPS: [&str; 3] = ["us-east-", "us-west-", "us-gov-"];

/// Which of the endpoints of a service is meant.
#[derive(Debug, Clone, Copy)]
pub(super) struct EndpointKind {
    pub(super) fips: bool,
    pub(super) dual_stack: bool,
}

/// The URL of AWS KMS in a Region, by the rules of the SDK.
///
/// # Errors
/// There is none of this kind.
pub(super) async fn kms(
    region: &str,
    own: Option<&str>,
    kind: EndpointKind,
) -> Result<String, Error> {
    if kind.fips && region.starts_with("cn-") {
        return Err(Error::Config(format!(
            "use_fips: AWS KMS has no FIPS endpoint in {region}: leave use_fips out"
        )));
    }
    let refuse =
        |why: String| Error::Config(format!("AWS KMS has no such endpoint in {region}: {why}"));
    let place = kms_rules::Params::builder()
        .region(region)
        .set_endpoint(own.map(str::to_owned))
        .use_fips(kind.fips)
        .use_dual_stack(kind.dual_stack)
        .build()
        .map_err(|error| refuse(error.to_string()))?;
    let rules = kms_rules::DefaultResolver::new();
    let found = kms_rules::ResolveEndpoint::resolve_endpoint(&rules, &place).await;
    let found = found.map_err(|error| refuse(error.to_string()))?;
    Ok(found.url().to_owned())
}

/// The URL of the Security Token Service in a Region. One of its own is taken as it is.
///
/// # Errors
/// There is none of this kind; the text says what to do.
pub(super) async fn sts(
    region: &str,
    own: Option<&str>,
    kind: EndpointKind,
) -> Result<String, String> {
    if let Some(own) = own {
        return Ok(own.to_owned());
    }
    if kind.fips && !STS_FIPS.iter().any(|area| region.starts_with(area)) {
        return Err(format!(
            "use_fips: the Security Token Service has no FIPS endpoint in {region}, only in the Regions of the United States and of GovCloud: \
             name one of those by sts_endpoint, such as https://sts-fips.us-east-1.amazonaws.com, or leave use_fips out"
        ));
    }
    let refuse =
        |why: String| format!("the Security Token Service has no such endpoint in {region}: {why}");
    let place = sts_rules::Params::builder()
        .region(region)
        .use_fips(kind.fips)
        .use_dual_stack(kind.dual_stack)
        .build()
        .map_err(|error| refuse(error.to_string()))?;
    let rules = sts_rules::DefaultResolver::new();
    let found = sts_rules::ResolveEndpoint::resolve_endpoint(&rules, &place).await;
    let found = found.map_err(|error| refuse(error.to_string()))?;
    Ok(found.url().to_owned())
}

/// A URL for messages, with the proxy that leads to it.
pub(super) fn way(url: &str, network: &Network) -> String {
    let proxy = url.parse().ok();
    match proxy.and_then(|uri| network.proxy_for(&uri)) {
        Some(proxy) => format!("{url} by the proxy {proxy}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_kind_has_its_url_or_is_refused_with_the_next_step() {
        let kind = |fips, dual_stack| EndpointKind { fips, dual_stack };
        for (region, fips, dual_stack, at_kms, at_sts) in [
            (
                "eu-central-1",
                false,
                false,
                "kms.eu-central-1.amazonaws.com",
                "sts.eu-central-1.amazonaws.com",
            ),
            (
                "us-east-1",
                true,
                false,
                "kms-fips.us-east-1.amazonaws.com",
                "sts-fips.us-east-1.amazonaws.com",
            ),
            (
                "eu-central-1",
                false,
                true,
                "kms.eu-central-1.api.aws",
                "sts.eu-central-1.api.aws",
            ),
            (
                "cn-north-1",
                false,
                false,
                "kms.cn-north-1.amazonaws.com.cn",
                "sts.cn-north-1.amazonaws.com.cn",
            ),
        ] {
            let kind = kind(fips, dual_stack);
            let url = kms(region, None, kind).await.expect(region);
            assert_eq!(url, format!("https://{at_kms}"));
            let url = sts(region, None, kind).await.expect(region);
            assert_eq!(url, format!("https://{at_sts}"));
        }
        let text = kms("cn-north-1", None, kind(true, false)).await;
        let text = text.expect_err("there is none").to_string();
        assert!(
            text.contains("cn-north-1") && text.contains("leave use_fips out"),
            "{text}"
        );
        let text = sts("eu-central-1", None, kind(true, false)).await;
        let text = text.expect_err("there is none");
        assert!(
            text.contains("eu-central-1") && text.contains("sts_endpoint"),
            "{text}"
        );
        let own = sts("eu-central-1", Some("https://x"), kind(true, false)).await;
        assert_eq!(own.as_deref(), Ok("https://x"));
        let own = kms("eu-central-1", Some("https://x"), kind(true, false)).await;
        assert!(own.is_err(), "the rules know no such thing");
    }
}
