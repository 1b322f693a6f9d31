//! HTTP Basic (RFC 7617), as EST clients send it (RFC 7030 section 3.2.3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use landfast_base::Secret;

/// A header beyond this is nobody's.
const MOST: usize = 2048;

/// A name and its password.
#[derive(Debug)]
pub(crate) struct Credentials {
    /// Who the client says it is.
    pub(crate) name: String,
    pub(crate) password: Secret<String>,
}

/// Why there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoCredentials {
    /// No `Authorization` was sent.
    Absent,
    /// Another scheme, such as Digest, or something that cannot be read.
    Unreadable,
}

impl Credentials {
    /// Reads the value of an `Authorization` header.
    ///
    /// # Errors
    /// There is none, or it is not that of Basic with a name that servers have.
    pub(crate) fn read(header: Option<&[u8]>) -> Result<Self, NoCredentials> {
        let Some(header) = header else {
            return Err(NoCredentials::Absent);
        };
        Self::parse(header).ok_or(NoCredentials::Unreadable)
    }

    fn parse(header: &[u8]) -> Option<Self> {
        if header.len() > MOST {
            return None;
        }
        let at = header.iter().position(|octet| *octet == b' ')?;
        let (scheme, rest) = header.split_at(at);
        if !scheme.eq_ignore_ascii_case(b"basic") {
            return None;
        }
        let text = rest.trim_ascii();
        // Room for all of it from the start: a buffer that grows leaves copies.
        let mut pair = Secret::new(vec![0; text.len()]);
        let length = STANDARD.decode_slice(text, pair.expose_mut()).ok()?;
        let pair = std::str::from_utf8(pair.expose().get(..length)?).ok()?;
        let (name, password) = pair.split_once(':')?;
        let whole = !password.is_empty() && is_name(name);
        whole.then(|| Self {
            name: name.to_owned(),
            password: Secret::new(password.to_owned()),
        })
    }
}

/// Whether a name can be that of a login: it becomes part of a path of the server.
fn is_name(name: &str) -> bool {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._@+".contains(&octet);
    (1..=128).contains(&name.len()) && name.bytes().all(plain) && !matches!(name, "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pair: &[u8]) -> Result<Credentials, NoCredentials> {
        Credentials::read(Some(format!("Basic {}", STANDARD.encode(pair)).as_bytes()))
    }

    #[test]
    fn a_name_ends_at_the_first_colon() {
        let read = read(b"printer-7:a:b c").unwrap();
        assert_eq!(
            (read.name.as_str(), read.password.expose().as_str()),
            ("printer-7", "a:b c")
        );
    }

    #[test]
    fn the_scheme_has_no_case() {
        let header = format!("bAsIc  {} ", STANDARD.encode("a:b"));
        assert_eq!(
            Credentials::read(Some(header.as_bytes())).unwrap().name,
            "a"
        );
    }

    #[test]
    fn names_that_are_paths_are_nobody_s() {
        for bad in [
            "a/b:x", "..:x", ".:x", "a?b:x", "a%2fb:x", ":x", "a:", "a", "ä:x", "a\r\nb:x",
        ] {
            assert_eq!(
                read(bad.as_bytes()).unwrap_err(),
                NoCredentials::Unreadable,
                "{bad}"
            );
        }
        assert!(read(format!("{}:x", "a".repeat(129)).as_bytes()).is_err());
        assert!(read(&[0xff, b':', b'x']).is_err());
    }

    #[test]
    fn other_schemes_and_broken_ones_are_no_credentials() {
        assert_eq!(Credentials::read(None).unwrap_err(), NoCredentials::Absent);
        for bad in [
            "",
            "Basic",
            "Basic !!",
            "Digest username=\"a\"",
            "Bearer YTpi",
            "BasicYTpi",
        ] {
            let read = Credentials::read(Some(bad.as_bytes()));
            assert_eq!(read.unwrap_err(), NoCredentials::Unreadable, "{bad}");
        }
        let long = format!("Basic {}", "YTpi".repeat(1000));
        assert!(Credentials::read(Some(long.as_bytes())).is_err());
    }

    #[test]
    fn what_is_printed_has_no_password() {
        let shown = format!("{:?}", read(b"a:hunter2").unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
