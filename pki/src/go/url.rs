//! URIs by the rules of `net/url`, and domains by those of `crypto/x509`.

/// Whether Go reads `uri` as the URI of a subject alternative name: a reference of RFC 3986 whose host, if it has one, is a domain.
pub fn is_uri(uri: &str) -> bool {
    parts(uri).is_some()
}

/// Whether `host` may be the host of a URI name.
pub fn is_host(host: &str) -> bool {
    is_domain(host, false)
}

/// Whether `text` is a domain: labels of printable ASCII between dots, none of them empty, at most 253 octets. A constraint may be empty, or
/// start with a dot.
pub(super) fn is_domain(text: &str, constraint: bool) -> bool {
    if text.is_empty() {
        return constraint;
    }
    let labels = match text.strip_prefix('.') {
        Some(rest) if constraint => rest,
        _ => text,
    };
    text.len() <= 253
        && labels.bytes().all(|b| (33..=126).contains(&b))
        && labels.split('.').all(|label| !label.is_empty())
}

fn parts(uri: &str) -> Option<()> {
    if !uri.is_ascii() || uri.bytes().any(|b| b < 0x20 || b == 0x7f) {
        return None;
    }
    let (rest, fragment) = uri.split_once('#').unwrap_or((uri, ""));
    escapes(fragment)?;
    let (scheme, rest) = scheme(rest)?;
    let rest = rest.split_once('?').map_or(rest, |(path, _)| path);
    if !rest.starts_with('/') {
        if scheme {
            // Opaque: nothing in it is looked at.
            return Some(());
        }
        let first = rest.split('/').next().unwrap_or_default();
        if first.contains(':') {
            return None;
        }
    }
    let path = match rest.strip_prefix("//") {
        Some(after) if scheme || !after.starts_with('/') => {
            let end = after.find('/').unwrap_or(after.len());
            authority(&after[..end])?;
            &after[end..]
        }
        _ => rest,
    };
    escapes(path)
}

/// Whether there is a scheme, and what follows it. `None` for a colon with nothing before it.
fn scheme(text: &str) -> Option<(bool, &str)> {
    for (at, b) in text.bytes().enumerate() {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return None,
            b':' => return Some((true, &text[at + 1..])),
            _ => break,
        }
    }
    Some((false, text))
}

fn authority(text: &str) -> Option<()> {
    let host = match text.rsplit_once('@') {
        Some((user, host)) => {
            let known = |b: u8| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&b);
            if !user.bytes().all(known) {
                return None;
            }
            escapes(user)?;
            host
        }
        None => text,
    };
    let name = match host.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.rsplit_once(']')?;
            is_port(port).then_some(())?;
            let (address, zone) = address.split_once("%25").unwrap_or((address, ""));
            escapes(zone)?;
            address
        }
        None => {
            if let Some(colon) = host.rfind(':') {
                is_port(&host[colon..]).then_some(())?;
            }
            host
        }
    };
    // An escape in a host stands for an octet outside ASCII, which a domain of a certificate does not have.
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"".contains(&b);
    if !name.bytes().all(allowed) {
        return None;
    }
    (host.is_empty() || is_host(host)).then_some(())
}

fn is_port(text: &str) -> bool {
    text.is_empty()
        || text
            .strip_prefix(':')
            .is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
}

/// Each percent sign is followed by two hexadecimal digits.
fn escapes(text: &str) -> Option<()> {
    let whole = text
        .split('%')
        .skip(1)
        .all(|rest| matches!(rest.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()));
    whole.then_some(())
}
