//! What holds for every file of the folder.

use std::collections::BTreeMap;

use super::*;

/// Every file, with the test that loads, runs or reads it: a module of this one.
const FILES: [(&str, &str); 55] = [
    ("README.md", "tree"),
    ("agent/agent.hcl", "agent"),
    ("agent/login.sh", "agent"),
    ("agent/proxy.hcl", "agent"),
    ("agent/service.ctmpl", "agent"),
    ("agent/settings.ctmpl", "agent"),
    ("initialize.sh", "initialize"),
    ("kubernetes/cert-manager.yaml", "kubernetes"),
    ("kubernetes/policies/cert-manager.hcl", "kubernetes"),
    ("kubernetes/policies/issue.hcl", "kubernetes"),
    ("kubernetes/secret-provider-class.yaml", "kubernetes"),
    ("kubernetes/sidecar.yaml", "kubernetes"),
    ("kubernetes/unseal-server.yaml", "kubernetes"),
    ("kubernetes/vault-secrets-operator.yaml", "kubernetes"),
    ("logins/approle.sh", "logins"),
    ("logins/aws-iam.sh", "logins"),
    ("logins/cert.sh", "logins"),
    ("logins/kubernetes.sh", "logins"),
    ("logins/terraform/approle/main.tf", "logins"),
    ("logins/terraform/aws-iam/main.tf", "logins"),
    ("logins/terraform/cert/main.tf", "logins"),
    ("logins/terraform/kubernetes/main.tf", "logins"),
    ("make-tls.sh", "servers"),
    ("openbao/audit.hcl", "servers"),
    ("openbao/cluster.hcl", "cluster"),
    ("openbao/development.hcl", "servers"),
    ("openbao/from-dynamodb.hcl", "servers"),
    ("openbao/plugins-file.hcl", "servers"),
    ("openbao/plugins-image.hcl", "registry"),
    ("openbao/register.sh", "servers"),
    ("openbao/seal-awskms.hcl", "servers"),
    ("openbao/seal-unseal-server.hcl", "cluster"),
    ("openbao/single.hcl", "servers"),
    ("policies/agent.hcl", "policies"),
    ("policies/apply.sh", "policies"),
    ("policies/auditor.hcl", "policies"),
    ("policies/backup.hcl", "policies"),
    ("policies/monitoring.hcl", "policies"),
    ("policies/node.hcl", "policies"),
    ("policies/operator.hcl", "policies"),
    ("policies/sealer.hcl", "policies"),
    ("prometheus/scrape.yml", "prometheus"),
    ("public/public.json", "public"),
    ("systemd/landfast-public.service", "systemd"),
    ("systemd/landfast-renew.service", "systemd"),
    ("systemd/landfast-renew.timer", "systemd"),
    ("systemd/landfast-serve.service", "systemd"),
    ("systemd/landfast-unseal.service", "systemd"),
    ("systemd/openbao-agent.service", "systemd"),
    ("systemd/openbao.service", "systemd"),
    ("systemd/vault.service", "systemd"),
    ("unseal/unseal.json", "cluster"),
    ("vault/audit.sh", "dialect"),
    ("vault/register.sh", "dialect"),
    ("vault/", "dialect"),
];

/// Files below a folder, by their path there. The compose stack has its own tests.
fn files(folder: &Path, below: &str, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let entry = entry.expect("a readable entry");
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        if entry.file_type().expect("a kind").is_dir() {
            if name != "compose" {
                files(&entry.path(), &format!("{name}/"), found);
            }
        } else {
            let text =
                fs::read_to_string(entry.path()).unwrap_or_else(|_| panic!("{name}: not text"));
            found.insert(name, text);
        }
    }
}

fn tree() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    files(&path(""), "", &mut found);
    assert!(found.len() >= 45, "{:?}", found.keys());
    found
}

/// The test program's own list of tests.
fn tests() -> String {
    let output = Command::new(std::env::current_exe().expect("the test program"))
        .args(["--list", "--format=terse"])
        .output()
        .expect("the test program runs");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn every_file_has_a_test() {
    let (tests, tree) = (tests(), tree());
    for name in tree.keys() {
        let by = FILES.iter().find(|(file, _)| {
            name == file
                || (file.ends_with('/') && name.starts_with(file) && name.ends_with(".hcl"))
        });
        let (_, module) = by.unwrap_or_else(|| {
            panic!("vault-config/{name} has no test: write one, and name it here")
        });
        assert!(
            tests.contains(&format!("vault_config::{module}::")),
            "{name}: no test {module}"
        );
        let source = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/e2e/vault_config")
            .join(format!("{module}.rs"));
        let source = fs::read_to_string(source).expect("our own source")
            + include_str!("../vault_config.rs");
        let short = name.rsplit('/').next().unwrap_or(name);
        let folder = name.split('/').next().unwrap_or(name);
        // By its name, or with its folder as a whole.
        let stem = short.split('.').next().unwrap_or(short);
        let named = source.contains(short)
            || (folder == "policies" && source.contains(&format!("\"{stem}\"")))
            || (folder == "logins" && source.contains("logins/"));
        assert!(named, "{name}: {module}.rs does not name it");
    }
    for (name, _) in FILES {
        assert!(
            tree.keys().any(|file| file.starts_with(name)),
            "{name} is gone"
        );
    }
}

#[test]
fn nothing_in_the_tree_is_secret() {
    // A marker is in two halves here, so that this file is none.
    let begin = ["-----", "BEGIN"].concat();
    for (name, text) in tree() {
        assert!(!text.contains(&begin), "{name}: PEM");
        for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || "._+/=-".contains(c))) {
            let token = ["hvs.", "hvb.", "s.", "b."].iter().any(|prefix| {
                word.strip_prefix(prefix).is_some_and(|rest| {
                    rest.len() >= 20 && rest.bytes().all(|b| b.is_ascii_alphanumeric())
                })
            });
            let access = ["AKIA", "ASIA"]
                .iter()
                .any(|prefix| word.starts_with(prefix) && word.len() >= 16);
            let long = word.len() >= 40
                && word
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
                && word.bytes().any(|b| b.is_ascii_digit())
                && word.bytes().any(|b| b.is_ascii_alphabetic());
            assert!(
                !token && !access && !long,
                "{name}: {word} looks like a secret or a digest"
            );
        }
    }
}

/// What has no TLS, or says that it is for development, is reached from this machine only.
#[test]
fn nothing_without_tls_is_reached_from_elsewhere() {
    let mut without = 0;
    for (name, text) in tree() {
        let lines: Vec<_> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .collect();
        let development = text.starts_with("# For development");
        let plain = lines.iter().any(|line| {
            line.replace(' ', "").starts_with("tls_disable=") && !line.contains("false")
        });
        if !development && !plain {
            continue;
        }
        without += 1;
        for line in lines {
            assert!(
                !line.contains("0.0.0.0") && !line.contains("[::]"),
                "{name}: {line}"
            );
            if let Some((_, address)) = line.split_once("address") {
                let address = address.trim_start_matches([' ', '=']);
                let own = address.starts_with("\"127.0.0.1:") || address.starts_with("\"https://");
                assert!(own, "{name}: {line}");
            }
        }
    }
    assert_eq!(without, 2, "development.hcl and proxy.hcl");
    // Metrics of the unseal server have no TLS.
    let unseal: Value = serde_json::from_str(&tree()["unseal/unseal.json"]).expect("JSON");
    assert!(
        unseal["metrics_listen"]
            .as_str()
            .expect("an address")
            .starts_with("127.0.0.1:")
    );
}

/// A reader learns why: each stanza, setting and command stands below a comment, with at most a few lines in between.
#[test]
fn every_file_is_commented() {
    for (name, text) in tree() {
        let kind = name.rsplit('.').next().unwrap_or_default();
        let marks: &[&str] = match kind {
            // README.md has a row for it, for JSON has no comments.
            "md" | "json" => continue,
            "ctmpl" => &["/*"],
            _ => &["#"],
        };
        let first = text
            .lines()
            .find(|line| !line.starts_with("#!"))
            .unwrap_or_default();
        assert!(
            marks.iter().any(|mark| first.contains(mark)),
            "{name}: begins with no comment"
        );
        let count = |wanted: bool| {
            text.lines()
                .map(str::trim)
                .filter(|line| !line.is_empty() && line.len() > 1)
                .filter(|line| (line.starts_with('#') || line.contains("/*")) == wanted)
                .count()
        };
        if kind != "ctmpl" {
            assert!(
                count(true) * 8 >= count(false),
                "{name}: {} comments for {} lines",
                count(true),
                count(false)
            );
        }
    }
}

#[test]
fn the_page_names_every_file() {
    let page = fs::read_to_string(path("README.md")).expect("the page is there");
    for name in tree().keys().filter(|name| *name != "README.md") {
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
        let named = page.contains(&format!("({name})"))
            || page.contains(&format!("({folder}/)")) && page.contains(&format!("`{file}`"));
        assert!(named, "README.md has no row for {name}");
    }
    // And no link leads nowhere.
    for link in page
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
    {
        let file = link.split('#').next().unwrap_or(link);
        assert!(file.is_empty() || path(file).exists(), "README.md: {link}");
    }
}

#[test]
fn every_script_stops_at_the_first_failure_and_can_be_run() {
    for (name, text) in tree() {
        if name.ends_with(".sh") {
            assert!(
                text.starts_with("#!/usr/bin/env bash\n") && text.contains("\nset -euo pipefail\n"),
                "{name}"
            );
            let mode = fs::metadata(path(&name)).expect("a file");
            let mode = std::os::unix::fs::PermissionsExt::mode(&mode.permissions());
            assert_eq!(mode & 0o111, 0o111, "{name}");
        }
    }
}
