//! Where Roles Anywhere answers: its public endpoints, and others.

use std::net::IpAddr;

use landfast_base::arn::Arn;
use landfast_base::region::Partition;

/// The beginnings of the Regions that have a FIPS endpoint of Roles Anywhere.
///
/// Source: AWS general reference, "IAM Roles Anywhere endpoints".
const FIPS: [&str; 3] = ["us-east-", "us-west-", "us-gov-"];

/// An endpoint of one's own: for Roles Anywhere, then for every service.
const URLS: [&str; 2] = ["AWS_ENDPOINT_URL_ROLESANYWHERE", "AWS_ENDPOINT_URL"];
/// Leaves [`URLS`] unread.
const IGNORED: &str = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS";
const USE_FIPS: &str = "AWS_USE_FIPS_ENDPOINT";
const USE_DUAL_STACK: &str = "AWS_USE_DUALSTACK_ENDPOINT";

/// Why there is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// A FIPS endpoint in a Region that has none.
    #[error(
        "Roles Anywhere has no FIPS endpoint in {0}, only in the Regions of the United States and of GovCloud; leave --fips and AWS_USE_FIPS_ENDPOINT out, or name an endpoint"
    )]
    NoFips(String),
    /// A URL that others could listen to.
    #[error("{0} takes an https:// URL, or http://127.0.0.1:PORT for the lab")]
    Url(&'static str),
    /// A switch that is neither on nor off.
    #[error("{0} must be true or false")]
    Switch(&'static str),
    /// An endpoint that was named, and a kind of the public ones.
    #[error(
        "{0} names an endpoint, and FIPS or dual stack asks for another one; unset one of them, or give the right URL as --endpoint"
    )]
    Both(&'static str),
}

/// What flags say of the endpoint; the environment is asked for the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// A URL.
    pub url: Option<&'a str>,
    /// A Region other than the trust anchor's.
    pub region: Option<&'a str>,
    /// One of the public endpoints.
    pub kind: EndpointKind,
}

/// Where the calls go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Scheme, host and optional port, without a path.
    pub url: String,
    /// The Region that the signature names.
    pub region: String,
}

/// Which of the service's endpoints is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointKind {
    /// The FIPS 140 endpoint, which exists in the United States and GovCloud only.
    pub fips: bool,
    /// The endpoint with IPv4 and IPv6.
    pub dual_stack: bool,
}

impl Endpoint {
    /// The endpoint that flags name, then the variables of AWS's SDKs (through
    /// `lookup`), then the public one of the trust anchor.
    ///
    /// Source: AWS SDKs and tools reference guide, "Service-specific endpoints" and
    /// "Dual-stack and FIPS endpoints".
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn choose(
        anchor: &Arn,
        wanted: Wanted<'_>,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, EndpointError> {
        let region = wanted.region.unwrap_or(&anchor.region);
        let given = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let switch = |name: &'static str| match given(name) {
            None => Ok(false),
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(true),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
            Some(_) => Err(EndpointError::Switch(name)),
        };
        if let Some(url) = wanted.url {
            return Self::at(url, region).ok_or(EndpointError::Url("--endpoint"));
        }
        let kind = EndpointKind {
            fips: wanted.kind.fips || switch(USE_FIPS)?,
            dual_stack: wanted.kind.dual_stack || switch(USE_DUAL_STACK)?,
        };
        let named = URLS.iter().find_map(|name| Some((*name, given(name)?)));
        match named {
            Some((name, url)) if !switch(IGNORED)? => {
                if kind != EndpointKind::default() {
                    return Err(EndpointError::Both(name));
                }
                Self::at(&url, region).ok_or(EndpointError::Url(name))
            }
            _ => Self::of(anchor, region, kind),
        }
    }

    /// The public endpoint for the trust anchor's Region and partition.
    ///
    /// Source: AWS general reference, "IAM Roles Anywhere endpoints".
    ///
    /// # Errors
    /// [`EndpointError`] for a FIPS endpoint where there is none.
    pub fn of(anchor: &Arn, region: &str, kind: EndpointKind) -> Result<Self, EndpointError> {
        if kind.fips && !FIPS.iter().any(|area| region.starts_with(area)) {
            return Err(EndpointError::NoFips(region.to_owned()));
        }
        let service = if kind.fips {
            "rolesanywhere-fips"
        } else {
            "rolesanywhere"
        };
        let partition = Partition::named(&anchor.partition);
        let suffix = if kind.dual_stack {
            partition.dual_stack_suffix
        } else {
            partition.dns_suffix
        };
        Ok(Self {
            url: format!("https://{service}.{region}.{suffix}"),
            region: region.to_owned(),
        })
    }

    /// An endpoint other than the public one; `None` if it could be listened to on its way.
    pub fn at(url: &str, region: &str) -> Option<Self> {
        is_safe(url).then(|| Self {
            url: url.trim_end_matches('/').to_owned(),
            region: region.to_owned(),
        })
    }

    /// The host with its port, as it stands in the `Host` header.
    pub fn host(&self) -> &str {
        let rest = self
            .url
            .split_once("://")
            .map_or(self.url.as_str(), |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }
}

/// Whether nobody can listen on the way to a URL: HTTPS, or plain HTTP to a
/// loopback address. A user name in it would end up in messages.
pub fn is_safe(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    let loopback = host
        .trim_matches(['[', ']'])
        .parse::<IpAddr>()
        .is_ok_and(|address| address.is_loopback());
    let plain = url.username().is_empty() && url.password().is_none();
    plain && (url.scheme() == "https" || (url.scheme() == "http" && loopback))
}

#[cfg(test)]
mod tests {
    use landfast_base::arn::ArnKind;

    use super::*;

    #[test]
    fn each_partition_has_its_endpoint() {
        let anchor = |partition: &str| {
            let text =
                format!("arn:{partition}:rolesanywhere:us-gov-west-1:111122223333:trust-anchor/x");
            Arn::parse_as(&text, ArnKind::TrustAnchor).unwrap()
        };
        let url = |partition: &str, fips, dual_stack| {
            let kind = EndpointKind { fips, dual_stack };
            Endpoint::of(&anchor(partition), "us-gov-west-1", kind)
                .unwrap()
                .url
        };
        assert_eq!(
            url("aws", false, false),
            "https://rolesanywhere.us-gov-west-1.amazonaws.com"
        );
        assert_eq!(
            url("aws-cn", false, false),
            "https://rolesanywhere.us-gov-west-1.amazonaws.com.cn"
        );
        assert_eq!(
            url("aws-eusc", false, false),
            "https://rolesanywhere.us-gov-west-1.amazonaws.eu"
        );
        assert_eq!(
            url("aws-us-gov", true, false),
            "https://rolesanywhere-fips.us-gov-west-1.amazonaws.com"
        );
        assert_eq!(
            url("aws", false, true),
            "https://rolesanywhere.us-gov-west-1.api.aws"
        );
        assert_eq!(
            url("aws-eusc", false, true),
            "https://rolesanywhere.us-gov-west-1.api.amazonwebservices.eu"
        );
    }

    #[test]
    fn the_host_keeps_its_port() {
        let endpoint = Endpoint {
            url: "http://127.0.0.1:8443/".into(),
            region: "r".into(),
        };
        assert_eq!(endpoint.host(), "127.0.0.1:8443");
    }

    #[test]
    fn a_session_is_not_asked_for_where_others_listen() {
        for good in [
            "https://vpce.example",
            "http://127.0.0.1:9912",
            "http://[::1]:9912/",
        ] {
            assert!(Endpoint::at(good, "r").is_some(), "{good}");
        }
        for bad in [
            "http://127.example:9912",
            "http://127.0.0.1.example",
            "http://localhost:9912",
            "http://192.0.2.1",
            "https://user:word@vpce.example",
            "ftp://127.0.0.1",
            "vpce.example",
            "",
        ] {
            assert!(Endpoint::at(bad, "r").is_none(), "{bad}");
        }
    }

    #[test]
    fn flags_win_over_variables_and_these_over_the_public_endpoint() {
        let text = "arn:aws:rolesanywhere:us-west-2:111122223333:trust-anchor/x";
        let anchor = Arn::parse_as(text, ArnKind::TrustAnchor).unwrap();
        let choose = |wanted: Wanted<'_>, variables: &[(&str, &str)]| {
            let found = Endpoint::choose(&anchor, wanted, |name| {
                let found = variables.iter().find(|(variable, _)| *variable == name);
                found.map(|(_, value)| (*value).to_owned())
            });
            found.map(|endpoint| endpoint.url)
        };
        let nothing = Wanted::default();
        let flag = Wanted {
            url: Some("https://flag.example/"),
            ..nothing
        };
        let one = ("AWS_ENDPOINT_URL_ROLESANYWHERE", "https://one.example");
        let all = ("AWS_ENDPOINT_URL", "http://127.0.0.1:9912");
        let (fips, dual) = (
            ("AWS_USE_FIPS_ENDPOINT", "true"),
            ("AWS_USE_DUALSTACK_ENDPOINT", "TRUE"),
        );
        let public = |part: &str| Ok(format!("https://rolesanywhere{part}"));
        for (wanted, variables, url) in [
            (nothing, &[][..], public(".us-west-2.amazonaws.com")),
            (nothing, &[all, one], Ok(one.1.into())),
            (nothing, &[all], Ok(all.1.into())),
            (nothing, &[fips], public("-fips.us-west-2.amazonaws.com")),
            (nothing, &[dual], public(".us-west-2.api.aws")),
            (
                nothing,
                &[("AWS_USE_FIPS_ENDPOINT", "False"), ("AWS_ENDPOINT_URL", "")],
                public(".us-west-2.amazonaws.com"),
            ),
            (
                nothing,
                &[all, ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")],
                public(".us-west-2.amazonaws.com"),
            ),
            (flag, &[one, all, fips], Ok("https://flag.example".into())),
            (nothing, &[all, fips], Err(EndpointError::Both(all.0))),
            (
                Wanted {
                    kind: EndpointKind {
                        fips: true,
                        dual_stack: false,
                    },
                    ..nothing
                },
                &[one],
                Err(EndpointError::Both(one.0)),
            ),
            (
                nothing,
                &[("AWS_USE_FIPS_ENDPOINT", "yes")],
                Err(EndpointError::Switch("AWS_USE_FIPS_ENDPOINT")),
            ),
            (
                nothing,
                &[("AWS_ENDPOINT_URL", "http://aws.example")],
                Err(EndpointError::Url("AWS_ENDPOINT_URL")),
            ),
        ] {
            assert_eq!(choose(wanted, variables), url, "{wanted:?} {variables:?}");
        }
    }

    #[test]
    fn fips_is_refused_where_it_does_not_exist() {
        let text = "arn:aws:rolesanywhere:us-east-1:111122223333:trust-anchor/x";
        let anchor = Arn::parse_as(text, ArnKind::TrustAnchor).unwrap();
        let kind = EndpointKind {
            fips: true,
            dual_stack: false,
        };
        let of = |region| Endpoint::of(&anchor, region, kind);
        for region in ["us-east-1", "us-west-2", "us-gov-east-1"] {
            assert!(of(region).is_ok(), "{region}");
        }
        for region in ["eu-central-1", "ca-central-1", "us-iso-east-1"] {
            let error = of(region).unwrap_err().to_string();
            assert!(error.contains(region), "{error}");
        }
    }
}
