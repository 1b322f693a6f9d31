//! URLs put together from their parts as Go's `net/url` does (RFC 3986).

use std::fmt;

/// The parts of a URL, not escaped but for those that are called raw.
pub(crate) struct Url {
    pub(crate) scheme: String,
    pub(crate) opaque: String,
    pub(crate) owner: Option<Owner>,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) raw_path: String,
    pub(crate) force_query: bool,
    pub(crate) raw_query: String,
    pub(crate) fragment: String,
    pub(crate) raw_fragment: String,
}

/// Who is named before a host.
pub(crate) struct Owner {
    pub(crate) name: String,
    pub(crate) password: Option<String>,
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.scheme.is_empty() {
            write!(f, "{}:", self.scheme)?;
        }
        if self.opaque.is_empty() {
            let path = escaped(&self.path, &self.raw_path, PATH);
            if !self.scheme.is_empty() || !self.host.is_empty() || self.owner.is_some() {
                if !self.host.is_empty() || !path.is_empty() || self.owner.is_some() {
                    f.write_str("//")?;
                }
                if let Some(owner) = &self.owner {
                    f.write_str(&escape(&owner.name, OWNER))?;
                    if let Some(password) = &owner.password {
                        write!(f, ":{}", escape(password, OWNER))?;
                    }
                    f.write_str("@")?;
                }
                f.write_str(&escape(&self.host, HOST))?;
            }
            if !path.is_empty() && !path.starts_with('/') && !self.host.is_empty() {
                f.write_str("/")?;
            }
            f.write_str(&path)?;
        } else {
            f.write_str(&self.opaque)?;
        }
        if self.force_query || !self.raw_query.is_empty() {
            write!(f, "?{}", self.raw_query)?;
        }
        if !self.fragment.is_empty() {
            write!(
                f,
                "#{}",
                escaped(&self.fragment, &self.raw_fragment, FRAGMENT)
            )?;
        }
        Ok(())
    }
}

/// What stays as it is in each part, besides letters, digits and `-_.~`.
const PATH: &str = "$&+,/:;=@";
const OWNER: &str = "$&+,;=";
const HOST: &str = "!$&'()*+,;=:[]<>\"";
const FRAGMENT: &str = "!()*$&+,/:;=?@";

/// The raw form where it is one of the text, else the usual one.
fn escaped(text: &str, raw: &str, kept: &str) -> String {
    let is_valid = |octet: u8| {
        octet.is_ascii_alphanumeric()
            || b"-_.~%!$&'()*+,;=:@[]/".contains(&octet)
            || kept.as_bytes().contains(&octet)
    };
    if !raw.is_empty()
        && raw.bytes().all(is_valid)
        && unescaped(raw).as_deref() == Some(text.as_bytes())
    {
        return raw.to_owned();
    }
    if text == "*" {
        return "*".to_owned();
    }
    escape(text, kept)
}

fn escape(text: &str, kept: &str) -> String {
    let mut made = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric()
            || b"-_.~".contains(&octet)
            || kept.as_bytes().contains(&octet)
        {
            made.push(char::from(octet));
        } else {
            made.push_str(&format!("%{octet:02X}"));
        }
    }
    made
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut made = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet != b'%' {
            made.push(octet);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        made.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
    }
    Some(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Url {
        Url {
            scheme: String::new(),
            opaque: String::new(),
            owner: None,
            host: String::new(),
            path: String::new(),
            raw_path: String::new(),
            force_query: false,
            raw_query: String::new(),
            fragment: String::new(),
            raw_fragment: String::new(),
        }
    }

    #[test]
    fn urls_are_put_together_as_go_does() {
        let whole = Url {
            scheme: "https".into(),
            host: "a.b".into(),
            path: "/c d".into(),
            raw_query: "q=1".into(),
            fragment: "f".into(),
            owner: Some(Owner {
                name: "u".into(),
                password: Some("p:".into()),
            }),
            ..empty()
        };
        assert_eq!(whole.to_string(), "https://u:p%3A@a.b/c%20d?q=1#f");
        let urn = Url {
            scheme: "urn".into(),
            opaque: "x:y".into(),
            ..empty()
        };
        assert_eq!(urn.to_string(), "urn:x:y");
        let relative = Url {
            scheme: "spiffe".into(),
            host: "domain".into(),
            path: "a/b".into(),
            raw_path: "a%2Fb".into(),
            force_query: true,
            ..empty()
        };
        assert_eq!(relative.to_string(), "spiffe://domain/a%2Fb?");
    }
}
