//! The pages for operators and nodes, and on the way from an empty server to a node's end.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::first_steps::{free_address, machine};
use super::{on, with};
use crate::support::{
    Openssl, PLUGIN_NAME, Page, Release, Server, free_port, ran, replaced, shell, tools,
};

/// The sections of operators.md that nodes.md begins after.
const BEFORE_NODES: [&str; 3] = [
    "Install and register",
    "Mount and tune",
    "One name per node",
];

/// The sections of walk-through.md that post-quantum.md begins after.
const BEFORE_POST_QUANTUM: [&str; 3] = [
    "The engine",
    "Who may have which name",
    "What AWS must know",
];

/// The mount `old` is the built-in engine's again, as pages leave it.
fn old_is_given_back(server: &Server) {
    let mount = server.client().read("sys/mounts/old").ok();
    let version = mount.text("running_plugin_version");
    let built_in = Release::Current.program().built_in();
    assert!(version.ends_with(built_in), "{version}");
}

/// The page with another port for its lab: somebody else may listen on the page's.
fn operators() -> String {
    let port = free_port().to_string();
    replaced(
        &Page::read("docs/operators.md").script(),
        &[("9912", &port)],
    )
}

/// What the page shows when everything on it worked.
fn operators_went_well(printed: &str, said: &str, folder: &Path) {
    for part in [
        // The node has its own name.
        "subject=CN = node-1\n",
        // AWS has the trust anchor.
        "\"trustAnchorId\"",
        // OCSP answers.
        "node-1.pem: good\n",
        // The mount was moved.
        concat!("v", env!("CARGO_PKG_VERSION"), "\n"),
    ] {
        assert!(printed.contains(part), "{part}\n{printed}\n{said}");
    }
    let anchor = fs::read_to_string(folder.join("anchor.yaml")).expect("the page writes it");
    assert!(
        anchor.contains("AWS::RolesAnywhere::TrustAnchor"),
        "{anchor}"
    );
}

#[test]
fn operators_md() {
    let server = Server::bare_dev(Release::Current);
    let dir = tempfile::tempdir().expect("a folder");
    let (printed, said) = ran(&mut on(&server, &operators(), dir.path()));
    operators_went_well(&printed, &said, dir.path());
    old_is_given_back(&server);
}

/// The page begins where the README's first two blocks end: nothing but what they made is there.
#[test]
fn operators_md_goes_on_from_the_readme() {
    let dir = tempfile::tempdir().expect("a folder");
    let machine = machine(dir.path());
    let aws = tools().join("venv/bin/aws");
    std::os::unix::fs::symlink(aws, machine.join("aws")).expect("a fresh folder");
    let clone = dir.path().join("clone");
    fs::create_dir(&clone).expect("a fresh folder");
    let address = free_address();
    let begun = replaced(
        &Page::read("README.md").first(2),
        &[("127.0.0.1:8200", &address)],
    );
    let script = format!("cd {clone:?}\n{begun}\n{}\nkill \"$SERVER\"\n", operators());
    let (printed, said) = ran(&mut shell(&script, dir.path(), &[&machine]));
    operators_went_well(&printed, &said, &clone.join("landfast-quickstart"));
}

#[test]
fn public_md() {
    let server = Server::bare_dev(Release::Current);
    let dir = tempfile::tempdir().expect("a folder");
    let port = free_port().to_string();
    let script = replaced(&Page::read("docs/public.md").script(), &[("8080", &port)]);
    let (printed, said) = ran(&mut on(&server, &script, dir.path()));
    let base = format!("http://127.0.0.1:{port}");
    for part in [
        &format!("  ocsp_servers='{base}/ocsp' \\\n"),
        &format!("OCSP - URI:{base}/ocsp\n"),
        "good.pem: good\n",
        "bad.pem: revoked\n",
        "issuer=CN = Root\n",
        "200\n304\n",
        " crl 304 cache\n",
    ] {
        assert!(printed.contains(part), "{part}\n{printed}\n{said}");
    }
}

#[test]
fn acme_md() {
    let server = Server::dev();
    server.mount("pki", PLUGIN_NAME);
    let root = json!({"common_name": "Root", "key_type": "ec", "ttl": "8760h"});
    server
        .client()
        .write("pki/root/generate/internal", root)
        .ok();
    let dir = tempfile::tempdir().expect("a folder");
    let (printed, said) = ran(&mut on(
        &server,
        &Page::read("docs/acme.md").script(),
        dir.path(),
    ));
    for part in [
        "acme_directory    roles/web/acme/directory",
        "vault-eab-0-",
        "[public 10.20.0.0/16]",
    ] {
        assert!(printed.contains(part), "{part}\n{printed}\n{said}");
    }
    let nobody = server.client().with_token("");
    let nonce = nobody.call("HEAD", "pki/acme/new-nonce", None).ok();
    assert!(
        nonce.header("replay-nonce").is_some(),
        "the headers get through"
    );
    let directory = nobody.read("pki/roles/web/acme/directory").ok();
    assert_eq!(
        directory.body["meta"]["externalAccountRequired"],
        json!(true)
    );
}

/// The page's listener for the front server is in the server's configuration.
#[test]
fn est_md() {
    let page = Page::read("docs/est.md");
    let listener = page.blocks().iter().find(|block| block.info == "hcl");
    let (trusted, front) = (free_port().to_string(), free_port().to_string());
    let listener = &listener.expect("the page has a listener").text;
    let server = Server::bare_dev_on(&replaced(listener, &[("8300", &trusted)]));
    let script = replaced(&page.script(), &[("8300", &trusted), ("8443", &front)]);
    let dir = tempfile::tempdir().expect("a folder");
    let (printed, said) = ran(&mut on(&server, &script, dir.path()));
    for part in [
        "subject=CN = Device CA",
        "printer.pem: OK",
        "renewed.pem: OK",
        "next.pem: OK",
    ] {
        assert!(printed.contains(part), "{part}\n{printed}\n{said}");
    }
    assert_eq!(
        // The lines of the audit say it in other words.
        printed
            .matches("authority refuses: common name printer-8.example.com not allowed")
            .count(),
        2,
        "{printed}\n{said}"
    );
}

#[test]
fn nodes_md() {
    let server = Server::bare_dev(Release::Current);
    let dir = tempfile::tempdir().expect("a folder");
    let port = free_port().to_string();
    let page = replaced(&Page::read("docs/nodes.md").script(), &[("9912", &port)]);
    let script = Page::read("docs/operators.md").sections(&BEFORE_NODES) + &page;
    let (printed, said) = ran(&mut on(&server, &script, dir.path()));
    assert!(
        printed.contains("node-1: new key and certificate"),
        "{printed}\n{said}"
    );
    assert_eq!(
        printed.matches("\"AccessKeyId\":\"ASIALAB").count(),
        1,
        "{printed}\n{said}"
    );
    assert!(said.contains("Certificate revoked"), "{said}");
    // Nothing that the page makes is warned of by what it runs next.
    assert!(
        !said.contains("every user of this machine can read"),
        "{said}"
    );
    for unit in ["service", "timer"] {
        assert!(
            dir.path()
                .join(format!("units/landfast-renew.{unit}"))
                .is_file()
        );
    }
}

#[test]
fn roles_anywhere_md() {
    // The page's ports may be taken here.
    let (lab, endpoint) = (free_port().to_string(), free_port().to_string());
    let serve = format!("landfast serve --port {endpoint}");
    let script = replaced(
        &Page::read("docs/roles-anywhere.md").script(),
        &[
            ("9912", &lab),
            ("9911", &endpoint),
            ("landfast serve", &serve),
        ],
    );
    let dir = tempfile::tempdir().expect("a folder");
    for (name, source) in [
        ("ca.pem", "rsa-int.crt"),
        ("server.pem", "rsa-leaf.crt"),
        ("server.key", "rsa-leaf.key"),
    ] {
        let source = format!(
            "{}/node/tests/data/pki/{source}",
            env!("CARGO_MANIFEST_DIR")
        );
        fs::copy(source, dir.path().join(name)).expect("a file in a fresh folder");
    }
    let (printed, said) = ran(&mut shell(&script, dir.path(), &[]));
    for part in [
        "\"AccessKeyId\":\"ASIALAB",
        "\"RoleArn\":\"arn:aws:iam::111122223333:role/hybrid-node\"",
        "the CA that issued the certificate is in the trust anchor",
        "AWS means: no path leads",
        "hybrid/nodeconfig-node-1.example.yaml",
    ] {
        assert!(printed.contains(part), "{part}\n{printed}\n{said}");
    }
    let shared = fs::read_to_string(dir.path().join("shared")).expect("the shared file");
    assert!(shared.starts_with("[hybrid]"), "the profile of the page");
}

#[test]
fn walk_through_md() {
    let server = Server::bare_dev(Release::Current);
    // The page's port may be taken here.
    let port = free_port().to_string();
    let script = replaced(
        &Page::read("docs/walk-through.md").script(),
        &[("9912", &port)],
    );
    let dir = tempfile::tempdir().expect("a folder");
    // The lab has ended when the page has.
    let script = format!("{script}\nwait \"$LAB\" || true\necho \"left: $(jobs -p)\"\n");
    let (printed, said) = ran(&mut on(&server, &script, dir.path()));
    // Four sessions were opened, in every state of the anchor; the last one
    // was refused.
    assert_eq!(
        printed.matches("\"AccessKeyId\":\"ASIALAB").count(),
        4,
        "{printed}"
    );
    assert!(printed.contains("nodeconfig-node-1.yaml"), "{printed}");
    assert_eq!(printed.matches(": applied\n").count(), 4, "{printed}");
    assert!(printed.contains("left: \n"), "{printed}");
    assert!(said.contains("unexpired and unrevoked"), "{said}");
    assert!(said.contains("Certificate revoked"), "{said}");
    assert!(said.contains("if the node is to come back"), "{said}");
    assert!(
        !said.contains("every user of this machine can read"),
        "{said}"
    );
}

#[test]
fn post_quantum_md() {
    let server = Server::bare_dev(Release::Current);
    // The pages' port may be taken here.
    let port = free_port().to_string();
    let before = Page::read("docs/walk-through.md").sections(&BEFORE_POST_QUANTUM);
    let page = Page::read("docs/post-quantum.md").script();
    let script = replaced(&(before + &page), &[("9912", &port)]);
    let dir = tempfile::tempdir().expect("a folder");
    let (printed, said) = ran(&mut on(&server, &script, dir.path()));
    // A session in every state of the fleet.
    assert_eq!(
        printed.matches("\"AccessKeyId\":\"ASIALAB").count(),
        5,
        "{printed}\n{said}"
    );
    for part in [
        "post-quantum: 2 of 3 certificates\n",
        "  no   anchor  CN=Hybrid nodes 2026: key P-256, signed by ECDSA-SHA256, ",
        "  yes  anchor  CN=Hybrid nodes post-quantum: key ML-DSA-65, signed by ML-DSA-65, ",
        "  yes  node    CN=node-1: key ML-DSA-65, signed by ML-DSA-65, ",
        // Of the anchor that holds the new CA alone.
        "\ntrue\n",
    ] {
        assert!(printed.contains(part), "{part}\n{printed}\n{said}");
    }
}

/// The page on Vault, with the server that is at hand under the name of Vault's command. OpenBao's takes the same
/// words; with `VAULT_BIN` it is Vault itself.
#[test]
fn vault_md() {
    let server = Server::bare_dev(Release::Current);
    let dir = tempfile::tempdir().expect("a folder");
    let script = Page::read("docs/vault.md").script();
    let (printed, said) = ran(&mut with(&server, "vault", &script, dir.path()));
    assert!(printed.contains("site.pem: good\n"), "{printed}\n{said}");
    old_is_given_back(&server);
    let health = fs::read_to_string(dir.path().join("health.txt")).expect("the page writes it");
    assert!(health.contains("ca_validity_period"), "{health}");

    // The policy of a node's login bounds what its role on Vault's own engine does not.
    let made = json!({"policies": ["node-1"], "ttl": "5m"});
    let made = server.client().write("auth/token/create", made).ok();
    let token = made.body["auth"]["client_token"].as_str().expect("a token");
    let node = server.client().with_token(token);
    let csr = Openssl::new().csr("node-1");
    let asked = json!({"csr": csr});
    node.write("pki/sign/node-1", asked.clone()).ok();
    for parameter in ["not_after", "not_before"] {
        let mut asked = asked.clone();
        asked[parameter] = "2030-01-01T00:00:00Z".into();
        let refused = node.write("pki/sign/node-1", asked);
        assert_eq!(refused.status, 403, "{parameter}: {}", refused.body);
    }
}
