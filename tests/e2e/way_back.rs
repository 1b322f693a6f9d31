//! A mount that the built-in engine made, that we changed in every way, and that is given back.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Client, Openssl, Release, Server, TakeOver, until};

mod ml_dsa;

/// Makes one entry of each kind through the API of whoever serves the mount.
fn fill(client: &Client, openssl: &Openssl, who: &str) -> Made {
    let post = |path: &str, body: Value| client.write(&format!("pki/{path}"), body).ok();
    let name = |what: &str| format!("{who}-{what}");
    post(
        "config/cluster",
        json!({"path": "https://c.example/v1/pki", "aia_path": "http://c.example/v1/pki"}),
    );
    post(
        "config/urls",
        json!({"issuing_certificates": "http://x/ca", "crl_distribution_points": "http://x/crl",
            "ocsp_servers": "http://x/ocsp"}),
    );
    post(
        "config/crl",
        json!({"expiry": "48h", "auto_rebuild": true, "enable_delta": true, "allow_expired_cert_revocation": true}),
    );
    // Roots of every kind of key, one of them with an algorithm of its own for CRLs.
    for (what, more) in [
        ("root", json!({"key_type": "ec"})),
        ("small", json!({"key_type": "ec", "key_bits": 224})),
        ("rsa", json!({"key_type": "rsa", "use_pss": true})),
        ("ed", json!({"key_type": "ed25519"})),
    ] {
        let mut body = json!({"common_name": name(what), "issuer_name": name(what), "key_name": name(what), "ttl": "8000h"});
        for (field, value) in more.as_object().expect("a literal object") {
            body[field] = value.clone();
        }
        post("root/generate/internal", body);
    }
    let root = name("root");
    // An intermediate; a root reissued with the same key; two roots that cross-sign each other.
    let sub = sign_under(client, &root, &name("sub"), None);
    post(
        &format!("issuer/{sub}"),
        json!({"issuer_name": name("sub")}),
    );
    let reissued = post(
        "root/generate/existing",
        json!({"common_name": root, "key_ref": root, "ttl": "8000h"}),
    );
    post(
        &format!("issuer/{}", reissued.text("issuer_id")),
        json!({"issuer_name": name("again"), "leaf_not_after_behavior": "truncate",
            "issuing_certificates": "http://own/ca", "manual_chain": ["self", root]}),
    );
    sign_under(client, &root, &name("rsa"), Some(&name("rsa")));
    sign_under(client, &name("rsa"), &root, Some(&root));
    // Imported: with its key, without, and one whose certificate says nothing of its use.
    let (certificate, key) = openssl.authority(&name("imported"));
    let bundle = json!({"pem_bundle": format!("{certificate}{key}")});
    post("issuers/import/bundle", bundle);
    let (certificate, _) = openssl.authority(&name("stranger"));
    post("issuers/import/cert", json!({"pem_bundle": certificate}));
    let silent = openssl.silent_authority(&name("silent"));
    let bundle = json!({"pem_bundle": format!("{}{}", silent.0, silent.1)});
    let silent = post("issuers/import/bundle", bundle).texts("imported_issuers");
    // An imported issuer that is revoked, under a parent that is here.
    let revoked_sub = sign_under(client, &root, &name("revoked"), None);
    post(&format!("issuer/{revoked_sub}/revoke"), json!({}));
    // Roles, certificates, revocations: of a stored certificate, of one that never was, and one for the delta CRL.
    post(
        &format!("roles/{who}"),
        json!({"key_type": "ec", "allow_any_name": true, "ttl": "2h", "issuer_ref": root}),
    );
    post(
        &format!("roles/{who}-all"),
        json!({"key_type": "ec", "allowed_domains": "a.test", "allow_subdomains": true, "allowed_ip_sans_cidr": "10.0.0.0/8",
            "not_after_bound": "ttl-limited", "policy_identifiers": "1.2.3", "no_store": true, "issuer_ref": root,
            "max_ttl": "3h"}),
    );
    post(
        &format!("cel/roles/{who}"),
        json!({"cel_program": {
            "variables": [{"name": "short", "expression": "duration(request.ttl) < duration('3h')"}],
            "expression": format!("short && '<&>' != '' ? ValidationOutput{{key_type: 'ec', issuer_ref: '{root}', template: CertTemplate{{\
                Subject: PKIX.Name{{CommonName: request.name}}, NotBefore: now, NotAfter: now + duration(request.ttl)}}}} : 'too long'"),
        }}),
    );
    let kept = issue(client, who);
    let gone = issue(client, who);
    // The built-in engine knows no reasons, and is to read what has one.
    post(
        "revoke",
        json!({"serial_number": gone, "reason": "superseded"}),
    );
    let loose = post(
        &format!("issue/{who}-all"),
        json!({"common_name": "b.a.test", "ip_sans": "10.0.0.1"}),
    );
    post("revoke", json!({"certificate": loose.text("certificate")}));
    client.read("pki/crl/rotate").ok();
    let late = issue(client, who);
    post("revoke", json!({"serial_number": late}));
    post("config/keys", json!({"default": root}));
    post(
        "config/issuers",
        json!({"default": root, "default_follows_latest_issuer": false}),
    );
    Made {
        root,
        kept,
        revoked: vec![gone, loose.text("serial_number")],
        late,
        revoked_sub,
        silent: silent[0].clone(),
    }
}

struct Made {
    root: String,
    kept: String,
    revoked: Vec<String>,
    /// Revoked since the last complete CRL.
    late: String,
    revoked_sub: String,
    silent: String,
}

/// Signs a CA under `parent` and takes it in: for a new key, or for one that is here.
fn sign_under(client: &Client, parent: &str, name: &str, key: Option<&str>) -> String {
    let (path, body) = match key {
        Some(key) => (
            "pki/intermediate/cross-sign",
            json!({"common_name": name, "key_ref": key}),
        ),
        None => (
            "pki/intermediate/generate/internal",
            json!({"common_name": name, "key_type": "ec"}),
        ),
    };
    let csr = client.write(path, body).ok().text("csr");
    let body = json!({"csr": csr, "common_name": name, "ttl": "4000h"});
    let signed = client
        .write(&format!("pki/issuer/{parent}/sign-intermediate"), body)
        .ok();
    let body = json!({"certificate": signed.text("certificate")});
    let set = client.write("pki/intermediate/set-signed", body).ok();
    set.texts("imported_issuers").remove(0)
}

fn issue(client: &Client, role: &str) -> String {
    client
        .write(
            &format!("pki/issue/{role}"),
            json!({"common_name": "a.example.com"}),
        )
        .ok()
        .text("serial_number")
}

/// The serial numbers on a CRL, as openssl reads them.
fn listed(client: &Client, openssl: &Openssl, path: &str) -> String {
    let crl = client.read(&format!("pki/{path}")).ok();
    openssl
        .text("crl", &String::from_utf8_lossy(&crl.bytes))
        .to_lowercase()
}

fn hex(serial: &str) -> String {
    serial.replace(':', "").trim_start_matches('0').to_owned()
}

/// Does with the mount what an operator does: reads all, issues, revokes, rotates, makes roots and keys, imports.
fn works(client: &Client, openssl: &Openssl, made: &Made, who: &str) {
    for (list, one) in [
        ("issuers", "issuer"),
        ("keys", "key"),
        ("roles", "roles"),
        ("cel/roles", "cel/roles"),
    ] {
        let names = client.list(&format!("pki/{list}")).ok().texts("keys");
        for name in &names {
            client.read(&format!("pki/{one}/{name}")).ok();
        }
    }
    for name in client.list("pki/cel/roles").ok().texts("keys") {
        let path = format!("pki/cel/issue/{name}");
        let made = client
            .write(&path, json!({"name": "a.test", "ttl": "1h"}))
            .ok();
        let text = openssl.text("x509", &made.text("certificate"));
        assert!(
            text.contains("Subject: CN = a.test") || text.contains("Subject: CN=a.test"),
            "{text}"
        );
        let path = format!("pki/cert/{}", made.text("serial_number"));
        client.read(&path).ok();
        let path = format!("pki/cel/issue/{name}");
        client
            .write(&path, json!({"name": "a.test", "ttl": "9h"}))
            .refused(500, "too long");
    }
    for path in ["cluster", "urls", "crl", "issuers", "keys"] {
        client.read(&format!("pki/config/{path}")).ok();
    }
    client.read(&format!("pki/cert/{}", made.kept)).ok();
    let sub = client
        .read(&format!("pki/issuer/{}", made.revoked_sub))
        .ok();
    assert_eq!(sub.data()["revoked"], json!(true));
    let silent = client.read(&format!("pki/issuer/{}", made.silent)).ok();
    assert!(
        !silent.text("usage").contains("crl-signing"),
        "{}",
        silent.body
    );
    // What was revoked since the last complete CRL is on the next delta CRL, whoever builds it.
    client.read("pki/crl/rotate-delta").ok();
    let root = &made.root;
    let delta = listed(client, openssl, &format!("issuer/{root}/crl/delta/pem"));
    assert!(
        delta.contains(&hex(&made.late)),
        "{} is not on {delta}",
        made.late
    );
    client.read("pki/crl/rotate").ok();
    let complete = listed(client, openssl, &format!("issuer/{root}/crl/pem"));
    let sub = client
        .read(&format!("pki/issuer/{}", made.revoked_sub))
        .ok();
    let sub = openssl.serial(&sub.text("certificate"));
    for serial in made.revoked.iter().chain([&made.late, &sub]) {
        assert!(
            complete.contains(&hex(serial)),
            "{serial} is not on {complete}"
        );
    }
    let serial = issue(client, &format!("{who}-again"));
    client
        .write("pki/revoke", json!({"serial_number": serial}))
        .ok();
    client.read("pki/crl/rotate").ok();
    assert!(listed(client, openssl, &format!("issuer/{root}/crl/pem")).contains(&hex(&serial)));
    let body = json!({"common_name": format!("{who} later"), "key_type": "ec"});
    client.write("pki/root/generate/internal", body).ok();
    client
        .write("pki/keys/generate/internal", json!({"key_type": "ec"}))
        .ok();
    let (certificate, key) = openssl.authority(&format!("{who} imported later"));
    let bundle = json!({"pem_bundle": format!("{certificate}{key}")});
    client.write("pki/issuers/import/bundle", bundle).ok();
}

fn there_and_back(release: Release) {
    let server = Server::bare_dev(release);
    let mount = TakeOver::mount(&server);
    let (client, openssl) = (server.client(), Openssl::new());
    let again = |issuer: &str, who: &str| {
        let role =
            json!({"key_type": "ec", "allow_any_name": true, "ttl": "2h", "issuer_ref": issuer});
        client.write(&format!("pki/roles/{who}-again"), role).ok();
    };
    let theirs = fill(&client, &openssl, "theirs");

    mount.to_ours(&server);
    again(&theirs.root, "ours");
    works(&client, &openssl, &theirs, "ours");
    let ours = fill(&client, &openssl, "mine");

    mount.back(&server);
    until("the plugin's process ends", Duration::from_secs(20), || {
        server.plugins().is_empty().then_some(())
    });
    again(&ours.root, "back");
    works(&client, &openssl, &ours, "back");
}

#[test]
fn a_mount_with_every_kind_of_entry_comes_back() {
    there_and_back(Release::Current);
}

#[test]
fn a_mount_with_every_kind_of_entry_comes_back_on_the_previous_release() {
    there_and_back(Release::Previous);
}

/// The chains of all issuers, each certificate by its place in the list of issuers.
fn chains(client: &Client) -> Vec<(String, Vec<String>)> {
    let ids = client.list("pki/issuers").ok().texts("keys");
    ids.into_iter()
        .map(|id| {
            let chain = client
                .read(&format!("pki/issuer/{id}"))
                .ok()
                .texts("ca_chain");
            (id, chain)
        })
        .collect()
}

#[test]
fn chains_are_in_the_order_of_the_built_in_engine_but_for_crossed_roots() {
    let server = Server::bare_dev(Release::Current);
    let mount = TakeOver::mount(&server);
    let (client, openssl) = (server.client(), Openssl::new());
    for name in ["one", "two"] {
        let body = json!({"common_name": name, "issuer_name": name, "key_name": name, "key_type": "ec", "ttl": "8000h"});
        client.write("pki/root/generate/internal", body).ok();
        let body = json!({"common_name": name, "key_ref": name, "ttl": "8000h"});
        client.write("pki/root/generate/existing", body).ok();
    }
    let low = sign_under(&client, "one", "low", None);
    // Once its chain is no straight line, the built-in engine signs nothing with an issuer.
    let requests = [("one", "two"), ("two", "one")].map(|(parent, child)| {
        let body = json!({"common_name": child, "key_ref": child});
        let csr = client.write("pki/intermediate/cross-sign", body).ok();
        let body = json!({"csr": csr.text("csr"), "common_name": child, "ttl": "4000h"});
        let path = format!("pki/issuer/{parent}/sign-intermediate");
        client.write(&path, body).ok().text("certificate")
    });
    for certificate in requests {
        let body = json!({"certificate": certificate});
        client.write("pki/intermediate/set-signed", body).ok();
    }
    let theirs = chains(&client);

    mount.to_ours(&server);
    let anew = || {
        for chain in [json!(["self"]), json!([])] {
            let body = json!({"manual_chain": chain});
            client
                .call("PATCH", &format!("pki/issuer/{low}"), Some(body))
                .ok();
        }
        chains(&client)
    };
    let ours = anew();
    let is_root = |pem: &String| {
        let text = openssl.text("x509", pem);
        let line = |start: &str| {
            let found = text
                .lines()
                .find_map(|line| line.trim().strip_prefix(start));
            found.map(str::to_owned)
        };
        line("Issuer:") == line("Subject:")
    };
    // Every root was cross-signed here, so all but the head of a chain go to its end.
    let wanted: Vec<_> = theirs
        .into_iter()
        .map(|(id, chain)| {
            let (head, rest) = chain.split_at(1);
            let (roots, others): (Vec<_>, Vec<_>) = rest.iter().cloned().partition(&is_root);
            (id, [head.to_vec(), others, roots].concat())
        })
        .collect();
    assert_eq!(ours, wanted);
    assert_eq!(anew(), wanted);
}

/// The story of a new root: it is made, the old one cross-signs it, and an intermediate under it signs leaves.
#[test]
fn clients_that_trust_one_root_alone_are_led_to_it() {
    let server = Server::dev();
    server.mount("pki", crate::support::PLUGIN_NAME);
    let (client, openssl) = (server.client(), Openssl::new());
    let mut roots = Vec::new();
    for name in ["old", "new"] {
        let body = json!({"common_name": name, "issuer_name": name, "key_name": name, "key_type": "ec", "ttl": "8000h"});
        roots.push(
            client
                .write("pki/root/generate/internal", body)
                .ok()
                .text("certificate"),
        );
    }
    sign_under(&client, "old", "new", Some("new"));
    let low = sign_under(&client, "new", "low", None);
    let role = json!({"key_type": "ec", "allow_any_name": true, "ttl": "2h", "issuer_ref": low});
    client.write("pki/roles/low", role).ok();
    let body = json!({"common_name": "a.example.com"});
    let leaf = client.write("pki/issue/low", body.clone()).ok();
    let chain = leaf.texts("ca_chain").join("\n");
    for root in &roots {
        openssl
            .verify(&leaf.text("certificate"), &chain, root, None)
            .expect("a client that trusts this root alone accepts the leaf");
    }
    // A root that signs leaves itself stands first in its chain: without the roots, the cross certificate does.
    let role = json!({"key_type": "ec", "allow_any_name": true, "ttl": "2h", "issuer_ref": "new"});
    client.write("pki/roles/new", role).ok();
    let mut body = body;
    body["remove_roots_from_chain"] = json!(true);
    let leaf = client.write("pki/issue/new", body).ok();
    let chain = leaf.texts("ca_chain").join("\n");
    for root in &roots {
        openssl
            .verify(&leaf.text("certificate"), &chain, root, None)
            .expect("a client that trusts this root alone accepts the leaf");
    }
}
