//! The operation ids of the OpenAPI document where they are not what the table makes of a pattern.
//!
//! They are those of OpenBao's `pki`: the methods of generated clients are named by them.

use landfast_sdk::logical::Operation::{self, Delete, List, Patch, Read, Update};

pub(crate) const IDS: &[(&str, Operation, &str)] = &[
    ("ca", Read, "read-ca-der"),
    ("ca/pem", Read, "read-ca-pem"),
    ("ca_chain", Read, "read-ca-chain-pem"),
    ("cel/issue/{role}", Update, "issue-with-cel-role"),
    ("cel/roles", List, "list-cel-roles"),
    ("cel/roles/{name}", Read, "read-cel-role"),
    ("cel/roles/{name}", Update, "write-cel-role"),
    ("cel/roles/{name}", Patch, "patch-cel-role"),
    ("cel/roles/{name}", Delete, "delete-cel-role"),
    ("cel/sign/{role}", Update, "sign-with-cel-role"),
    ("cert/ca_chain", Read, "read-cert-ca-chain"),
    ("cert/crl", Read, "read-cert-crl"),
    ("cert/delta-crl", Read, "read-cert-delta-crl"),
    ("cert/{serial}", Read, "read-cert"),
    ("cert/{serial}/raw", Read, "read-cert-raw-der"),
    ("cert/{serial}/raw/pem", Read, "read-cert-raw-pem"),
    ("certs", List, "list-certs"),
    ("certs/detailed", List, "list-certs-detailed"),
    ("certs/revoked", List, "list-revoked-certs"),
    ("config/acme", Read, "read-acme-configuration"),
    ("config/acme", Update, "configure-acme"),
    (
        "config/acme-validation",
        Read,
        "read-acme-validation-configuration",
    ),
    (
        "config/acme-validation",
        Update,
        "configure-acme-validation",
    ),
    ("config/auto-tidy", Read, "read-auto-tidy-configuration"),
    ("config/auto-tidy", Update, "configure-auto-tidy"),
    ("config/ca", Update, "configure-ca"),
    ("config/cluster", Read, "read-cluster-configuration"),
    ("config/cluster", Update, "configure-cluster"),
    ("config/crl", Read, "read-crl-configuration"),
    ("config/crl", Update, "configure-crl"),
    ("config/issuers", Read, "read-issuers-configuration"),
    ("config/issuers", Update, "configure-issuers"),
    ("config/keys", Read, "read-keys-configuration"),
    ("config/keys", Update, "configure-keys"),
    ("config/kms", Read, "read-kms-configuration"),
    ("config/kms", Update, "configure-kms"),
    ("config/kms", Delete, "delete-kms-configuration"),
    ("config/urls", Read, "read-urls-configuration"),
    ("config/urls", Update, "configure-urls"),
    ("crl", Read, "read-crl-der"),
    ("crl/delta", Read, "read-crl-delta"),
    ("crl/delta/pem", Read, "read-crl-delta-pem"),
    ("crl/pem", Read, "read-crl-pem"),
    ("crl/rotate", Read, "rotate-crl"),
    ("crl/rotate-delta", Read, "rotate-delta-crl"),
    ("intermediate/cross-sign", Update, "cross-sign-intermediate"),
    ("eab", List, "list-eab-keys"),
    ("eab/{key_id}", Delete, "delete-eab-key"),
    (
        "intermediate/generate/{exported}",
        Update,
        "generate-intermediate",
    ),
    ("intermediate/set-signed", Update, "set-signed-intermediate"),
    ("issue/{role}", Update, "issue-with-role"),
    ("issuer/{issuer_ref}", Read, "read-issuer"),
    ("issuer/{issuer_ref}", Update, "write-issuer"),
    ("issuer/{issuer_ref}", Patch, "patch-issuer"),
    ("issuer/{issuer_ref}", Delete, "delete-issuer"),
    ("issuer/{issuer_ref}/crl", Read, "issuer-read-crl"),
    (
        "issuer/{issuer_ref}/crl/delta",
        Read,
        "issuer-read-crl-delta",
    ),
    (
        "issuer/{issuer_ref}/crl/delta/der",
        Read,
        "issuer-read-crl-delta-der",
    ),
    (
        "issuer/{issuer_ref}/crl/delta/pem",
        Read,
        "issuer-read-crl-delta-pem",
    ),
    ("issuer/{issuer_ref}/crl/der", Read, "issuer-read-crl-der"),
    ("issuer/{issuer_ref}/crl/pem", Read, "issuer-read-crl-pem"),
    ("issuer/{issuer_ref}/der", Read, "read-issuer-der"),
    (
        "issuer/{issuer_ref}/issue/{role}",
        Update,
        "issuer-issue-with-role",
    ),
    ("issuer/{issuer_ref}/json", Read, "read-issuer-json"),
    ("issuer/{issuer_ref}/pem", Read, "read-issuer-pem"),
    (
        "issuer/{issuer_ref}/resign-crls",
        Update,
        "issuer-resign-crls",
    ),
    ("issuer/{issuer_ref}/revoke", Update, "revoke-issuer"),
    (
        "issuer/{issuer_ref}/sign-intermediate",
        Update,
        "issuer-sign-intermediate",
    ),
    (
        "issuer/{issuer_ref}/sign-revocation-list",
        Update,
        "issuer-sign-revocation-list",
    ),
    (
        "issuer/{issuer_ref}/sign-self-issued",
        Update,
        "issuer-sign-self-issued",
    ),
    (
        "issuer/{issuer_ref}/sign-verbatim",
        Update,
        "issuer-sign-verbatim",
    ),
    (
        "issuer/{issuer_ref}/sign-verbatim/{role}",
        Update,
        "issuer-sign-verbatim-with-role",
    ),
    (
        "issuer/{issuer_ref}/sign/{role}",
        Update,
        "issuer-sign-with-role",
    ),
    ("issuers", List, "list-issuers"),
    (
        "issuers/generate/intermediate/{exported}",
        Update,
        "issuers-generate-intermediate",
    ),
    (
        "issuers/generate/root/{exported}",
        Update,
        "issuers-generate-root",
    ),
    ("issuers/import/bundle", Update, "issuers-import-bundle"),
    ("issuers/import/cert", Update, "issuers-import-cert"),
    ("key/{key_ref}", Read, "read-key"),
    ("key/{key_ref}", Update, "write-key"),
    ("key/{key_ref}", Delete, "delete-key"),
    ("keys", List, "list-keys"),
    ("keys/generate/exported", Update, "generate-exported-key"),
    ("keys/generate/internal", Update, "generate-internal-key"),
    ("keys/generate/kms", Update, "generate-kms-key"),
    ("keys/import", Update, "import-key"),
    ("ocsp", Update, "query-ocsp"),
    ("ocsp/{*req}", Read, "query-ocsp-with-get-req"),
    ("revoke", Update, "revoke"),
    ("revoke-with-key", Update, "revoke-with-key"),
    ("roles", List, "list-roles"),
    ("roles/{name}", Read, "read-role"),
    ("roles/{name}", Update, "write-role"),
    ("roles/{name}", Patch, "patch-role"),
    ("roles/{name}", Delete, "delete-role"),
    ("root", Delete, "delete-root"),
    ("root/generate/{exported}", Update, "generate-root"),
    ("root/replace", Update, "replace-root"),
    ("root/rotate/{exported}", Update, "rotate-root"),
    ("root/sign-intermediate", Update, "root-sign-intermediate"),
    ("root/sign-self-issued", Update, "root-sign-self-issued"),
    ("sign-verbatim", Update, "sign-verbatim"),
    ("sign-verbatim/{role}", Update, "sign-verbatim-with-role"),
    ("sign/{role}", Update, "sign-with-role"),
    ("tidy", Update, "tidy"),
    ("tidy-cancel", Update, "tidy-cancel"),
    ("tidy-status", Read, "tidy-status"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use landfast_sdk::testing::Harness;

    use crate::Mount;

    #[tokio::test]
    async fn every_operation_has_an_id_of_its_own() {
        let mount: Harness<Mount> = Harness::<Mount>::builder()
            .mount("pki")
            .start()
            .await
            .unwrap();
        let help = mount.help("").await;
        let items = help["openapi"]["paths"].as_object().unwrap().values();
        let operations = items.flat_map(|item| item.as_object().unwrap().values());
        let ids: Vec<_> = operations
            .filter_map(|operation| operation["operationId"].as_str())
            .collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
        for id in ids {
            // A number at the end would be the framework's way out of a clash.
            assert!(
                id.starts_with("pki-") && !id.ends_with(|c: char| c.is_ascii_digit()),
                "{id}"
            );
        }
        // And says what it answers, down to the last member.
        for (path, item) in help["openapi"]["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let Some(responses) = operation.get("responses") else {
                    continue;
                };
                let bare = ["202", "204"]
                    .iter()
                    .any(|status| responses.get(status).is_some())
                    || method == "delete"
                        && ["/cel/roles/{name}", "/root"].contains(&path.as_str())
                    || responses["200"]["content"].is_object();
                assert!(bare, "{method} {path}: {responses}");
            }
        }
        let issue = &help["openapi"]["paths"]["/issue/{role}"]["post"]["operationId"];
        assert_eq!(issue, "pki-issue-with-role");
    }
}
