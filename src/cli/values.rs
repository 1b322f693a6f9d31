//! Values of flags: ARNs, addresses, durations, shares of a life, kinds of keys.

use std::time::Duration;

use landfast_base::arn::{Arn, ArnKind};
use landfast_base::region::is_region;
use landfast_node::vault;
use landfast_pki::KeySpec;
use landfast_rolesanywhere::tags;

/// Reads permissions such as `640`.
pub(super) fn permissions(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o777)
        .ok_or_else(|| "permissions are three octal digits, such as 640".to_owned())
}

/// Reads a Region, which becomes part of a host name.
pub(super) fn region(text: &str) -> Result<String, String> {
    if is_region(text) {
        Ok(text.to_owned())
    } else {
        Err("a Region such as us-west-2".to_owned())
    }
}

/// Reads the address of a server.
pub(super) fn address(text: &str) -> Result<String, String> {
    if vault::is_address(text) {
        Ok(text.to_owned())
    } else {
        Err("a URL such as https://vault.example:8200".to_owned())
    }
}

/// Reads where to listen.
pub(super) fn listener(text: &str) -> Result<std::net::SocketAddr, String> {
    text.parse()
        .map_err(|_| "an IP address and a port, such as 127.0.0.1:9911 or [::1]:9911".to_owned())
}

/// Reads a role's ARN.
pub(super) fn role(text: &str) -> Result<Arn, String> {
    Arn::parse_as(text, ArnKind::Role).map_err(|error| error.to_string())
}

/// Reads a profile's ARN.
pub(super) fn profile(text: &str) -> Result<Arn, String> {
    Arn::parse_as(text, ArnKind::Profile).map_err(|error| error.to_string())
}

/// Reads a trust anchor's ARN.
pub(super) fn trust_anchor(text: &str) -> Result<Arn, String> {
    Arn::parse_as(text, ArnKind::TrustAnchor).map_err(|error| error.to_string())
}

/// Reads a role session name.
pub(super) fn session_name(text: &str) -> Result<String, String> {
    if tags::is_session_name(text) {
        Ok(text.to_owned())
    } else {
        Err("2 to 64 letters, digits and _ + = , . @ -".into())
    }
}

/// A duration as the servers write them: a number with s, m, h or d.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.char_indices().last() {
        Some((end, 's')) => (&text[..end], 1),
        Some((end, 'm')) => (&text[..end], 60),
        Some((end, 'h')) => (&text[..end], 3600),
        Some((end, 'd')) => (&text[..end], 86_400),
        _ => (text, 1),
    };
    let seconds = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        // A century is more than any certificate lives, and safe to add to a date.
        .filter(|seconds| *seconds <= 100 * 366 * 86_400);
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| "a number with a unit, such as 90s, 30m, 72h or 7d".into())
}

/// Reads a server's id for logins with an AWS identity.
pub(super) fn server_id(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err("letters, digits and signs, as in a host name or URL".into())
    }
}

/// Reads a share of a life.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let share = match text.split_once('/') {
        Some((part, whole)) => number(part).zip(number(whole)).map(|(p, w)| p / w),
        None => number(text),
    };
    share
        .filter(|share| *share > 0.0 && *share < 1.0)
        .ok_or_else(|| "a share of the life between 0 and 1, such as 2/3 or 0.5".into())
}

/// Reads the kind of a new key.
pub(super) fn key_kind(text: &str) -> Result<KeySpec, String> {
    let (kind, bits) = match text {
        "ec" | "ec-256" => ("ec", 256),
        "ec-521" => ("ec", 521),
        "rsa" | "rsa-2048" => ("rsa", 2048),
        "rsa-3072" => ("rsa", 3072),
        "rsa-4096" => ("rsa", 4096),
        "mldsa-44" => ("mldsa", 44),
        "mldsa-65" => ("mldsa", 65),
        "mldsa-87" => ("mldsa", 87),
        "ec-384" => {
            return Err(
                "Roles Anywhere wants SHA-256 with every curve, which P-384 keys do not sign here: use ec or ec-521".into(),
            );
        }
        "mldsa" | "ml-dsa" => {
            return Err("say which parameter set: mldsa-44, mldsa-65 or mldsa-87".into());
        }
        _ => {
            return Err(
                "one of ec, ec-521, rsa, rsa-3072, rsa-4096, mldsa-44, mldsa-65, mldsa-87".into(),
            );
        }
    };
    KeySpec::parse(kind, bits).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use landfast_pki::KeyType;

    use super::*;

    #[test]
    fn durations_have_a_unit_and_an_end() {
        let seconds = |text| duration(text).map(|duration| duration.as_secs()).ok();
        assert_eq!(seconds("90s"), Some(90));
        assert_eq!(seconds("30m"), Some(1800));
        assert_eq!(seconds("72h"), Some(259_200));
        assert_eq!(seconds("7d"), Some(604_800));
        assert_eq!(seconds("3600"), Some(3600));
        for bad in [
            "",
            "h",
            "-1h",
            "1y",
            "1.5h",
            "99999999999999999999h",
            "40000d",
            "1é",
        ] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_share_lies_between_nothing_and_all() {
        assert_eq!(share("0.5"), Ok(0.5));
        assert!((share("2/3").unwrap() - 2.0 / 3.0).abs() < 1e-9);
        for bad in ["0", "1", "3/2", "1/0", "x", "", "NaN", "-1/2"] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_that_sign_no_session_are_refused_at_once() {
        assert_eq!(key_kind("ec").unwrap().bits, 256);
        assert_eq!(key_kind("rsa").unwrap().bits, 2048);
        assert!(key_kind("ec-384").unwrap_err().contains("ec-521"));
        assert!(key_kind("ed25519").is_err());
        for set in [44, 65, 87] {
            let spec = key_kind(&format!("mldsa-{set}")).unwrap();
            assert_eq!((spec.kind, spec.bits), (KeyType::MlDsa, set));
        }
        for bad in ["mldsa", "mldsa-64", "ML-DSA-65"] {
            assert!(key_kind(bad).unwrap_err().contains("mldsa-65"), "{bad}");
        }
    }
}
