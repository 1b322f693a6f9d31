//! Paths as the transit engine has them.

use hyper::{Method, Request};

/// A longer path, or namespace, is nobody's, and is not taken apart to find that out.
const LONGEST: usize = 1024;

/// What a request is about.
pub(super) struct Route {
    pub(super) operation: Operation,
    /// Namespace, mount and key name.
    pub(super) key: String,
    pub(super) version: Option<usize>,
    pub(super) hash: Option<String>,
}

pub(super) enum Operation {
    Encrypt,
    Decrypt,
    Sign,
    Verify,
    PublicKey,
    RenewSelf,
    LookupSelf,
    Health,
    Unknown,
}

impl Operation {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
            Self::Sign => "sign",
            Self::Verify => "verify",
            Self::PublicKey => "public-key",
            Self::RenewSelf => "renew-self",
            Self::LookupSelf => "lookup-self",
            Self::Health => "health",
            Self::Unknown => "unknown",
        }
    }
}

impl Route {
    pub(super) fn of<T>(request: &Request<T>) -> Self {
        let namespace = request.headers().get("x-vault-namespace");
        if namespace.is_some_and(|value| value.len() > LONGEST) {
            return Self::unknown();
        }
        let namespace = namespace.and_then(|value| value.to_str().ok());
        Self::parse(
            request.method(),
            request.uri().path(),
            namespace.unwrap_or_default(),
        )
    }

    fn unknown() -> Self {
        Self {
            operation: Operation::Unknown,
            key: String::new(),
            version: None,
            hash: None,
        }
    }

    pub(super) fn parse(method: &Method, path: &str, namespace: &str) -> Self {
        let simple = |operation| Self {
            operation,
            key: String::new(),
            version: None,
            hash: None,
        };
        if path.len() > LONGEST || namespace.len() > LONGEST {
            return Self::unknown();
        }
        let Some(path) = path.strip_prefix("/v1/") else {
            return Self::unknown();
        };
        let namespace = namespace.trim_matches('/');
        // Servers name the namespace above all others so; it is no part of a path.
        let namespace = if namespace == "root" { "" } else { namespace };
        let write = method == Method::PUT || method == Method::POST;
        let parts: Vec<&str> = path.split('/').collect();
        let key = |prefix: &[&str], name: &str| {
            let namespace = Some(namespace).filter(|namespace| !namespace.is_empty());
            namespace
                .into_iter()
                .chain(prefix.iter().copied())
                .chain([name])
                .collect::<Vec<_>>()
                .join("/")
        };
        let with = |operation, key, version, hash| Self {
            operation,
            key,
            version,
            hash,
        };
        match (write, method == Method::GET, parts.as_slice()) {
            (true, _, [.., "auth", "token", "renew-self"]) => simple(Operation::RenewSelf),
            (_, true, [.., "auth", "token", "lookup-self"]) => simple(Operation::LookupSelf),
            (_, true, ["sys", "health"]) => simple(Operation::Health),
            (_, true, [mount @ .., "export", "public-key", name, version]) if !mount.is_empty() => {
                let version = version.parse().ok().filter(|version| *version > 0);
                let operation = if version.is_some() {
                    Operation::PublicKey
                } else {
                    Operation::Unknown
                };
                with(operation, key(mount, name), version, None)
            }
            (true, _, [mount @ .., operation @ ("sign" | "verify"), name, hash])
                if !mount.is_empty() =>
            {
                let operation = if *operation == "sign" {
                    Operation::Sign
                } else {
                    Operation::Verify
                };
                with(operation, key(mount, name), None, Some((*hash).to_owned()))
            }
            (
                true,
                _,
                [
                    mount @ ..,
                    operation @ ("encrypt" | "decrypt" | "sign" | "verify"),
                    name,
                ],
            ) if !mount.is_empty() => {
                let operation = match *operation {
                    "encrypt" => Operation::Encrypt,
                    "decrypt" => Operation::Decrypt,
                    "sign" => Operation::Sign,
                    _ => Operation::Verify,
                };
                with(operation, key(mount, name), None, None)
            }
            _ => simple(Operation::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn route(method: Method, path: &str, namespace: &str) -> (&'static str, String) {
        let route = Route::parse(&method, path, namespace);
        (route.operation.name(), route.key)
    }

    #[test]
    fn paths_are_read_as_the_transit_engine_has_them() {
        let key = |operation, key: &str| (operation, key.to_owned());
        assert_eq!(
            route(Method::PUT, "/v1/transit/encrypt/unseal", ""),
            key("encrypt", "transit/unseal")
        );
        assert_eq!(
            route(Method::POST, "/v1/transit/decrypt/unseal", "ns1/"),
            key("decrypt", "ns1/transit/unseal")
        );
        for root in ["root", "root/", "/root", "/root/", "/", ""] {
            assert_eq!(
                route(Method::PUT, "/v1/transit/decrypt/unseal", root),
                key("decrypt", "transit/unseal"),
                "{root}"
            );
        }
        assert_eq!(
            route(Method::PUT, "/v1/transit/decrypt/unseal", "root/ns1"),
            key("decrypt", "root/ns1/transit/unseal")
        );
        assert_eq!(
            route(Method::PUT, "/v1/ns1/a/b/encrypt/k", ""),
            key("encrypt", "ns1/a/b/k")
        );
        assert_eq!(
            route(Method::PUT, "/v1/transit/sign/ca/sha2-256", ""),
            key("sign", "transit/ca")
        );
        assert_eq!(
            route(Method::GET, "/v1/transit/export/public-key/ca/1", ""),
            key("public-key", "transit/ca")
        );
        assert_eq!(
            route(Method::PUT, "/v1/auth/token/renew-self", "ns1"),
            key("renew-self", "")
        );
        for (method, path) in [
            (Method::GET, "/v1/transit/encrypt/unseal"),
            (Method::DELETE, "/v1/transit/keys/unseal"),
            (Method::GET, "/v1/transit/export/public-key/ca/latest"),
            (Method::GET, "/v1/transit/export/encryption-key/ca/1"),
            (Method::PUT, "/v1/encrypt/unseal"),
            (Method::PUT, "/transit/encrypt/unseal"),
            (Method::PUT, "/v1/"),
            (Method::GET, "/"),
            (
                Method::PUT,
                &format!("/v1/{}/encrypt/unseal", "a/".repeat(600)),
            ),
        ] {
            assert_eq!(route(method, path, "").0, "unknown", "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_path_makes_the_parser_panic(path in ".{0,60}", namespace in ".{0,20}") {
            for method in [Method::GET, Method::PUT] {
                let (operation, key) = route(method, &path, &namespace);
                prop_assert_eq!(key.is_empty(), matches!(operation, "unknown" | "health" | "renew-self" | "lookup-self"));
            }
        }
    }
}
