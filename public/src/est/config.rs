//! What the configuration says of EST.

use std::collections::BTreeMap;

use landfast_pki::{KeySpec, Oid};
use serde::Deserialize;

use super::path;
use crate::config::Config;

/// The part `est` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EstFile {
    /// The label that paths without one mean.
    #[serde(default)]
    pub default_label: Option<String>,
    /// Labels by their names, which stand in paths: `/.well-known/est/NAME/simpleenroll`.
    pub labels: BTreeMap<String, LabelFile>,
}

/// A label: who enrols there, and for what.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelFile {
    /// A mount, by its name in `mounts`.
    pub mount: String,
    /// The role that signs. It takes the names from the request, as roles do unless told otherwise.
    pub role: String,
    /// The issuer, by name or id; the role decides if it is left out, and clients are given the chain of the mount's default issuer.
    #[serde(default)]
    pub issuer: Option<String>,
    /// Clients may log in with the certificate of their TLS connection.
    #[serde(default)]
    pub certificate: Option<CertificateLoginFile>,
    /// Clients may log in with a name and a password by HTTP Basic.
    #[serde(default)]
    pub basic: Option<BasicLoginFile>,
    /// What requests should have: `key:KIND:BITS`, `names`, or an object identifier.
    #[serde(default)]
    pub csr_attributes: Vec<String>,
    /// Whether the server makes keys for clients.
    #[serde(default)]
    pub server_keys: bool,
    /// Whether a certificate may be renewed with other names, where the request says so by ChangeSubjectName.
    #[serde(default)]
    pub subject_change: bool,
}

/// A login of the server's `cert` method.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateLoginFile {
    /// The path of the method below `auth/`.
    #[serde(default = "cert")]
    pub mount: String,
    /// Its role; the server tries all if it is left out.
    #[serde(default)]
    pub role: Option<String>,
    /// The header in which the server's listener takes the client's certificate from this one (`x_forwarded_for_client_cert_header`), in the form of RFC 9440.
    #[serde(default = "header")]
    pub header: String,
}

/// A login with a name and a password.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasicLoginFile {
    /// The method.
    pub method: Method,
    /// Its path below `auth/`; the name of the method if it is left out.
    #[serde(default)]
    pub mount: Option<String>,
}

/// Methods that take a name and a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Users of the server.
    Userpass,
    /// Users of a directory.
    Ldap,
    /// The role's id is the name, the secret id the password.
    Approle,
}

impl Method {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Userpass => "userpass",
            Self::Ldap => "ldap",
            Self::Approle => "approle",
        }
    }
}

/// What a text of `csr_attributes` means.
pub(crate) fn wanted(text: &str) -> Result<landfast_pki::Wanted, String> {
    use landfast_pki::Wanted;
    if text == "names" {
        return Ok(Wanted::alternative_names());
    }
    if let Some(key) = text.strip_prefix("key:") {
        let (kind, bits) = key.split_once(':').unwrap_or((key, "0"));
        let bits: i64 = bits
            .parse()
            .map_err(|_| format!("{text:?}: {bits:?} is no number of bits"))?;
        let key = KeySpec::parse(kind, bits).map_err(|error| format!("{text:?}: {error}"))?;
        return Ok(Wanted::Key(key));
    }
    Oid::new(text).map(Wanted::Object).map_err(|_| {
        format!("{text:?} is neither key:KIND:BITS (such as key:ec:256), nor names, nor an object identifier")
    })
}

impl EstFile {
    /// Refuses what cannot be.
    pub(crate) fn check(&self, config: &Config) -> Result<(), String> {
        if self.labels.is_empty() {
            return Err("est.labels must name at least one label".to_owned());
        }
        let tls = || config.listeners.iter().filter_map(|one| one.tls.as_ref());
        if tls().next().is_none() {
            return Err(
                "est needs a listener with tls: it is never served over plain HTTP".to_owned(),
            );
        }
        if let Some(name) = &self.default_label
            && !self.labels.contains_key(name)
        {
            return Err(format!(
                "est.default_label: there is no label {name:?} in est.labels"
            ));
        }
        let verifies = tls().any(|tls| tls.client_ca.is_some());
        for (name, label) in &self.labels {
            if !path::is_label(name) {
                return Err(format!(
                    "est.labels: {name:?} is no label: 1 to 64 of letters, digits, -, . and _, and no operation of EST"
                ));
            }
            let checked = label.check(config, verifies);
            checked.map_err(|why| format!("est.labels.{name}{why}"))?;
        }
        Ok(())
    }
}

impl LabelFile {
    fn check(&self, config: &Config, verifies: bool) -> Result<(), String> {
        if !config.mounts.contains_key(&self.mount) {
            return Err(format!(".mount: there is no {:?} in mounts", self.mount));
        }
        let names = [Some(&self.role), self.issuer.as_ref()];
        if names.into_iter().flatten().any(|name| !is_name(name)) {
            return Err(": role and issuer are names of letters, digits, -, . and _".to_owned());
        }
        let logins = [
            self.certificate.as_ref().map(|login| &login.mount),
            self.basic.as_ref().and_then(|login| login.mount.as_ref()),
        ];
        if self.certificate.is_none() && self.basic.is_none() {
            return Err(
                ": without certificate and basic nobody can log in; give one of them".to_owned(),
            );
        }
        if logins.into_iter().flatten().any(|mount| !is_path(mount)) {
            return Err(
                ": the mount of a login is its path below auth/, such as userpass".to_owned(),
            );
        }
        if let Some(login) = &self.certificate {
            if !verifies {
                return Err(".certificate needs client_ca in the tls of a listener".to_owned());
            }
            if http::HeaderName::from_bytes(login.header.as_bytes()).is_err() {
                return Err(".certificate.header is no name of a header".to_owned());
            }
        }
        for text in &self.csr_attributes {
            wanted(text).map_err(|why| format!(".csr_attributes: {why}"))?;
        }
        Ok(())
    }
}

fn cert() -> String {
    "cert".to_owned()
}

fn header() -> String {
    "Client-Cert".to_owned()
}

fn is_name(text: &str) -> bool {
    let sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && text.chars().all(sign) && !text.chars().all(|c| c == '.')
}

fn is_path(text: &str) -> bool {
    text.trim_matches('/').split('/').all(is_name)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn with(change: impl FnOnce(&mut Value)) -> Result<(), String> {
        let mut text = json!({
            "listeners": [{"address": "127.0.0.1:0", "tls": {"certificate": "a", "key": "b", "client_ca": "c"}}],
            "server": {"address": "https://vault.example:8200"},
            "mounts": {"/": {"mount": "pki"}},
            "est": {
                "default_label": "printers",
                "labels": {"printers": {
                    "mount": "/", "role": "printer", "issuer": "old",
                    "certificate": {"role": "printers"},
                    "basic": {"method": "userpass"},
                    "csr_attributes": ["key:ec:384", "key:ed25519", "names", "1.2.840.10045.4.3.3"],
                }},
            },
        });
        change(&mut text);
        let config: Config = serde_json::from_value(text).map_err(|error| error.to_string())?;
        config.check()
    }

    #[test]
    fn what_can_be_is_taken() {
        assert_eq!(with(|_| {}), Ok(()));
        let less = |text: &mut Value| {
            let label = &mut text["est"]["labels"]["printers"];
            *label =
                json!({"mount": "/", "role": "r", "basic": {"method": "approle", "mount": "a/b"}});
        };
        assert_eq!(with(less), Ok(()));
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_place() {
        type Change = fn(&mut Value);
        fn label(text: &mut Value) -> &mut Value {
            &mut text["est"]["labels"]["printers"]
        }
        let cases: [(&str, Change); 13] = [
            ("at least one label", |t| t["est"]["labels"] = json!({})),
            ("never served over plain HTTP", |t| {
                t["listeners"][0]["tls"] = Value::Null
            }),
            ("est.default_label", |t| {
                t["est"]["default_label"] = json!("other")
            }),
            ("\"cacerts\" is no label", |t| {
                t["est"]["labels"]["cacerts"] = label(t).clone()
            }),
            ("est.labels.printers.mount", |t| {
                label(t)["mount"] = json!("/other")
            }),
            ("role and issuer", |t| label(t)["role"] = json!("a/b")),
            ("role and issuer", |t| label(t)["issuer"] = json!("..")),
            ("path below auth/", |t| {
                label(t)["basic"]["mount"] = json!("a//b")
            }),
            ("nobody can log in", |t| {
                label(t)["basic"] = Value::Null;
                label(t)["certificate"] = Value::Null;
            }),
            ("needs client_ca", |t| {
                t["listeners"][0]["tls"]["client_ca"] = Value::Null
            }),
            ("certificate.header", |t| {
                label(t)["certificate"]["header"] = json!("a b")
            }),
            ("csr_attributes", |t| {
                label(t)["csr_attributes"] = json!(["key:ec:255"])
            }),
            ("unknown variant", |t| {
                label(t)["basic"]["method"] = json!("digest")
            }),
        ];
        for (part, change) in cases {
            let refused = with(change).expect_err(part);
            assert!(refused.contains(part), "{part}: {refused}");
        }
    }
}
