//! Each job does its work with its policy, and each call that is not its own is refused.

mod calls;

use std::collections::BTreeMap;

use self::calls::{Things, of_mounts_and_logins, of_the_ca, of_the_server};
use super::*;
use crate::seal::host::Host;
use crate::support::Openssl;

/// Every job, by the name of its policy.
const JOBS: [&str; 7] = [
    "agent",
    "auditor",
    "backup",
    "monitoring",
    "node",
    "operator",
    "sealer",
];

/// A server with everything that the calls are about: by the folder's own scripts.
fn prepare(
    host: &mut Host,
    release: Release,
    fake: &FakeAws,
    home: &Path,
) -> (BTreeMap<&'static str, Client>, Things) {
    let audit = filled(
        "openbao/audit.hcl",
        &[(
            "/var/log/openbao/audit.log",
            home.join("audit.log").display().to_string(),
        )],
    );
    let plugins = filled(
        "openbao/plugins-file.hcl",
        &[(
            "SHA256_OF_THE_FILE",
            sum(&host.dir().join("plugins").join(PLUGIN_NAME)),
        )],
    );
    let stanzas = [
        host.plugin(""),
        crate::seal::host::seal(fake, ""),
        audit,
        plugins,
        "telemetry {\n  prometheus_retention_time = \"30s\"\n}\n".to_owned(),
    ];
    host.start(release, &stanzas.concat());
    host.init();
    let client = host.client();
    let own = format!("{}\n", path("").display());
    let dir = own.trim();
    run(&mut on(
        &client,
        None,
        &format!("MOUNT_ONLY=1 {dir}openbao/register.sh\n{dir}policies/apply.sh"),
        home,
    ));
    let root = json!({"common_name": "Nodes", "key_type": "ec", "ttl": "8760h"});
    let made = client.write("pki/root/generate/internal", root).ok();
    let (issuer, key) = (made.text("issuer_id"), made.text("key_id"));
    fs::write(home.join("ca.pem"), made.text("certificate")).expect("a folder of ours");
    let lines = format!(
        "{dir}logins/approle.sh\n{dir}logins/approle.sh node-1\n{dir}agent/login.sh machine-1\n{dir}logins/cert.sh ca.pem"
    );
    run(&mut on(&client, None, &lines, home));
    client
        .write("sys/auth/kubernetes", json!({"type": "kubernetes"}))
        .ok();
    let role = json!({"bound_service_account_names": "*", "bound_service_account_namespaces": "nodes", "audience": "vault"});
    client.write("auth/kubernetes/role/node", role).ok();
    let service = json!({"allowed_domains": "service.example.com", "allow_bare_domains": true, "key_type": "ec", "ttl": "1h"});
    client.write("pki/roles/service", service).ok();
    let pod = json!({"allowed_domains": "nobody", "allow_bare_domains": true, "key_type": "ec"});
    client.write("pki/roles/hybrid-node-kubernetes", pod).ok();
    client
        .write(
            "sys/mounts/secret",
            json!({"type": "kv", "options": {"version": "2"}}),
        )
        .ok();
    let data = json!({"data": {"PASSWORD": "secret"}});
    until("kv version 2", LIMIT, || {
        (client
            .write("secret/data/services/service", data.clone())
            .status
            < 300)
            .then_some(())
    });
    let issued = client
        .write(
            "pki/issue/service",
            json!({"common_name": "service.example.com"}),
        )
        .ok();
    client
        .write(
            "auth/approle/role/node-2",
            json!({"token_policies": "node"}),
        )
        .ok();
    let accessor = client
        .write("auth/approle/role/node-2/secret-id", json!({}))
        .ok()
        .text("secret_id_accessor");

    let mut callers: BTreeMap<_, _> = JOBS
        .iter()
        .map(|job| {
            let made = client
                .write("auth/token/create", json!({"policies": [job]}))
                .ok();
            let token = made.body["auth"]["client_token"].as_str().expect("a token");
            (*job, client.with_token(token))
        })
        .collect();
    // A node is who it logs in as.
    let read = |name: &str| {
        let text = fs::read_to_string(home.join(name)).expect("the script wrote it");
        text.trim().to_owned()
    };
    let login = json!({"role_id": read("node-1.role-id"), "secret_id": read("node-1.secret-id")});
    let login = client.write("auth/approle/login", login).ok();
    let token = login.body["auth"]["client_token"]
        .as_str()
        .expect("a token");
    assert_eq!(
        login.body["auth"]["token_policies"],
        json!(["default", "node"])
    );
    callers.insert("node", client.with_token(token));
    let openssl = Openssl::new();
    let things = Things {
        csr: openssl.csr("node-1"),
        serial: issued.text("serial_number"),
        issuer,
        key,
        accessor,
    };
    (callers, things)
}

#[test]
fn each_job_does_its_work_and_nothing_else() {
    for release in [Release::Current, Release::Previous] {
        each_job(release);
    }
}

fn each_job(release: Release) {
    let home = tempfile::tempdir().expect("a folder");
    let mut host = Host::new();
    let fake = crate::seal::host::fake();
    let (callers, things) = prepare(&mut host, release, &fake, home.path());
    let client = host.client();
    // Somebody else's: its own everybody may see.
    let entity = client
        .write("identity/entity", json!({"name": "somebody"}))
        .ok()
        .text("id");

    let mut calls = of_the_ca(&things);
    calls.extend(of_mounts_and_logins(&things));
    calls.extend(of_the_server());
    for call in &mut calls {
        call.path = call.path.replace("ENTITY", &entity);
    }

    assert!(calls.len() > 150, "{}", calls.len());
    let mut wrong = Vec::new();
    for call in &calls {
        let name = format!("{} {} {}", call.method, call.path, call.body);
        for (job, caller) in &callers {
            if call.jobs.contains(job) {
                continue;
            }
            let reply = call.send(caller);
            if reply.status != 403 {
                wrong.push(format!(
                    "{job} may: {name}: {} {:?}",
                    reply.status,
                    reply.errors()
                ));
            }
        }
        for job in call.jobs {
            let reply = call.send(&callers[job]);
            let good = match call.answers {
                Some(status) => reply.status == status,
                None => reply.status < 300,
            };
            if !good {
                wrong.push(format!(
                    "{job} may not: {name}: {} {:?}",
                    reply.status,
                    reply.errors()
                ));
            }
            if call.path == "sys/step-down" {
                host.await_active();
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n", wrong.join("\n"));
    host.await_health(503, LIMIT);

    // No line of a policy without a call that needs it.
    for job in JOBS {
        let policy = fs::read_to_string(path(&format!("policies/{job}.hcl"))).expect("a policy");
        let granted: Vec<_> = policy
            .lines()
            .filter_map(|line| line.strip_prefix("path \"")?.split('"').next())
            .collect();
        assert!(!granted.is_empty(), "{job}");
        for granted in granted {
            let used = calls.iter().any(|call| {
                call.jobs.contains(&job)
                    && fits(granted, call.path.split('?').next().unwrap_or_default())
            });
            assert!(used, "{job}: no call here needs {granted:?}");
        }
    }
}

/// Whether a path is one that a policy names, where `+` is one step.
fn fits(granted: &str, path: &str) -> bool {
    let (granted, path) = (granted.split('/'), path.split('/'));
    granted.clone().count() == path.clone().count()
        && granted
            .zip(path)
            .all(|(want, has)| want == "+" || want == has)
}

#[test]
fn every_policy_is_one_of_a_job() {
    let mut names: Vec<_> = fs::read_dir(path("policies"))
        .expect("the folder is there")
        .map(|entry| {
            entry
                .expect("readable")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter_map(|name| Some(name.strip_suffix(".hcl")?.to_owned()))
        .collect();
    names.sort();
    assert_eq!(names, JOBS);
}
