//! What counts as a URL in the mount's settings.

/// Whether `text` is a URL by the measure of the built-in engine: a scheme, a host, and percent signs only where they escape. An
/// opaque one such as `urn:x` is none. Nothing is resolved.
pub(crate) fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    let mut letters = scheme.bytes();
    let scheme_fits = letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    scheme_fits && has_host(authority) && !tail.chars().any(char::is_control) && escapes_fit(tail)
}

fn has_host(authority: &str) -> bool {
    let address = authority
        .rsplit_once('@')
        .map_or(authority, |(_user, address)| address);
    let (host, port) = match address.strip_prefix('[') {
        Some(literal) => match literal.split_once(']') {
            Some((host, "")) => (host, ""),
            Some((host, port)) if port.starts_with(':') => (host, &port[1..]),
            _ => return false,
        },
        None => address.split_once(':').unwrap_or((address, "")),
    };
    !host.is_empty()
        && port.bytes().all(|digit| digit.is_ascii_digit())
        && escapes_fit(host)
        && !host.contains([' ', '"', '<', '>', '\\', '^', '`', '{', '|', '}'])
        && !authority.chars().any(char::is_control)
}

fn escapes_fit(text: &str) -> bool {
    let is_hex = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let bytes = text.as_bytes();
    bytes
        .iter()
        .enumerate()
        .all(|(at, &byte)| byte != b'%' || is_hex(bytes.get(at + 1)) && is_hex(bytes.get(at + 2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_a_scheme_and_a_host() {
        for good in [
            "http://x",
            "https://a.example:8200/v1/pki/ca",
            "ldap://h/cn=x?cACertificate",
            "http://[::1]/",
            "http://x/{{y}}",
            "http://x/ü",
            "http://user@h/",
            "ftp://h",
            "http://x/%20",
        ] {
            assert!(is_url(good), "{good}");
        }
        for bad in [
            "",
            "zz",
            "urn:x",
            "http:",
            "http://",
            "http:///x",
            "://x",
            "1http://x",
            "http://a b",
            "/v1/pki",
            "mailto:a@b",
            "http://{{x}}/y",
            "a b:c",
            " http://x",
            "http://x:port/",
            "http://x/%zz",
            "file:///x",
            "//x/y",
            "x:1",
            "http://[::1",
        ] {
            assert!(!is_url(bad), "{bad}");
        }
    }
}
