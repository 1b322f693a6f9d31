//! What to write into `config/urls` of each mount, so that its certificates name this server (RFC 5280 sections 4.2.1.13 and 4.2.2.1).

use serde_json::{Value, json};

use crate::config::Config;
use crate::upstream::joined;

/// A write that would make a mount's certificates name this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// The path to write to.
    pub path: String,
    /// Its namespace.
    pub namespace: Option<String>,
    /// The fields of the write. Each issuer gets its own addresses, so that certificates of an issuer that is not the default one any more find its list.
    pub fields: Vec<(&'static str, String)>,
}

impl Suggestion {
    /// As a JSON object, whose `data` is the body of the write.
    pub fn json(&self) -> Value {
        let fields = self.fields.iter().map(|(name, value)| match *name {
            "enable_templating" => ((*name).to_owned(), json!(value == "true")),
            _ => ((*name).to_owned(), json!([value])),
        });
        let data: serde_json::Map<String, Value> = fields.collect();
        json!({"path": self.path, "namespace": self.namespace, "data": data})
    }
}

/// The writes for all mounts of a configuration, where clients reach this server at `url`.
pub fn urls(config: &Config, url: &str) -> Vec<Suggestion> {
    let url = url.trim_end_matches('/');
    let suggestion = |(prefix, mount): (&String, &crate::config::MountFile)| {
        let base = format!("{url}{}", prefix.trim_end_matches('/'));
        Suggestion {
            path: format!("{}/config/urls", mount.mount.trim_matches('/')),
            namespace: joined(
                config.server.namespace.as_deref(),
                mount.namespace.as_deref(),
            ),
            fields: vec![
                (
                    "issuing_certificates",
                    format!("{base}/issuer/{{{{issuer_id}}}}/ca"),
                ),
                (
                    "crl_distribution_points",
                    format!("{base}/issuer/{{{{issuer_id}}}}/crl"),
                ),
                ("ocsp_servers", format!("{base}/ocsp")),
                ("enable_templating", "true".to_owned()),
            ],
        }
    };
    config.mounts.iter().map(suggestion).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{MountFile, ServerFile};

    #[test]
    fn each_mount_gets_addresses_below_its_own_path() {
        let server = ServerFile {
            address: "https://vault.example:8200".to_owned(),
            other_nodes: Vec::new(),
            ca: None,
            namespace: Some("team/".to_owned()),
        };
        let listen = "127.0.0.1:8080".parse().expect("an address");
        let mut config = Config::of_one(listen, server, "pki");
        let inner = MountFile {
            mount: "/pki_int/".to_owned(),
            namespace: Some("inner".to_owned()),
        };
        config.mounts = BTreeMap::from([
            ("/int".to_owned(), inner),
            ("/".to_owned(), config.mounts["/"].clone()),
        ]);
        let all = urls(&config, "http://pki.example.com/");
        assert_eq!(all[0].path, "pki/config/urls");
        assert_eq!(all[0].namespace.as_deref(), Some("team"));
        assert_eq!(
            all[0].json()["data"]["ocsp_servers"][0],
            "http://pki.example.com/ocsp"
        );
        assert_eq!(all[1].path, "pki_int/config/urls");
        assert_eq!(all[1].namespace.as_deref(), Some("team/inner"));
        let data = &all[1].json()["data"];
        assert_eq!(
            data["crl_distribution_points"][0],
            "http://pki.example.com/int/issuer/{{issuer_id}}/crl"
        );
        assert_eq!(data["enable_templating"], true);
    }
}
