//! The example of a database plugin: its own tests, and its life below the `database` engine of real servers.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Client, Release, Server, on_both_releases, until};

#[path = "../../examples/sqlite-database/main.rs"]
#[expect(
    dead_code,
    reason = "its main function serves a host, which this program is not"
)]
mod plugin;

const EXAMPLE: &str = "sqlite-database";

/// A file with users, which Python's SQLite makes and reads.
struct File(PathBuf);

impl File {
    fn new(server: &Server, name: &str) -> Self {
        let file = Self(server.dir().join(name));
        file.ask(
            "create table users (name text primary key, digest text not null, expires integer)",
            &[],
        );
        file
    }

    /// The rows that a statement gives.
    fn ask(&self, statement: &str, parameters: &[&str]) -> Vec<Value> {
        let program = "import json, sqlite3, sys\n\
            db = sqlite3.connect(sys.argv[1])\n\
            print(json.dumps(db.execute(sys.argv[2], sys.argv[3:]).fetchall()))\n\
            db.commit()";
        let output = Command::new("python3")
            .args(["-c", program])
            .arg(&self.0)
            .arg(statement)
            .args(parameters)
            .output()
            .expect("python3 runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).expect("it prints JSON")
    }

    /// Digest and end of a user.
    fn user(&self, name: &str) -> Option<(String, Option<i64>)> {
        let rows = self.ask("select digest, expires from users where name = ?", &[name]);
        let row = rows.first()?;
        Some((row[0].as_str()?.to_owned(), row[1].as_i64()))
    }

    fn count(&self) -> u64 {
        self.ask("select count(*) from users", &[])[0][0]
            .as_u64()
            .expect("a number")
    }
}

fn sha256(text: &str) -> String {
    use aws_lc_rs::digest::{SHA256, digest};
    let octets = digest(&SHA256, text.as_bytes());
    octets
        .as_ref()
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect()
}

/// A server with the engine and the example.
fn serving(release: Release) -> Server {
    let server = Server::bare_dev(release);
    server.register_example("database", EXAMPLE);
    server
        .client()
        .write("sys/mounts/database", json!({ "type": "database" }))
        .ok();
    server
}

/// Connects the engine to the file, and gives the connection a role of its name.
fn connect(client: &Client, file: &File, name: &str, more: Value) {
    let mut config = json!({ "plugin_name": EXAMPLE, "allowed_roles": "*", "file": file.0 });
    for (name, value) in more.as_object().expect("fields") {
        config[name] = value.clone();
    }
    client
        .write(&format!("database/config/{name}"), config)
        .ok();
    let role = json!({ "db_name": name, "default_ttl": "1h", "max_ttl": "4h" });
    client.write(&format!("database/roles/{name}"), role).ok();
}

fn a_user_lives_as_long_as_its_lease(release: Release) {
    let server = serving(release);
    let client = server.client();
    let file = File::new(&server, "app.db");
    connect(
        &client,
        &file,
        "app",
        json!({ "username_template": "{{ .RoleName }}.{{ random 12 }}" }),
    );
    let shown = client.read("database/config/app").ok();
    assert_eq!(shown.data()["connection_details"]["file"], json!(file.0));

    let reply = client.read("database/creds/app").ok();
    let (name, password) = (reply.text("username"), reply.text("password"));
    assert!(name.starts_with("app.") && name.len() == 16, "{name}");
    let (digest, first) = file.user(&name).expect("a user");
    assert_eq!(digest, sha256(&password));
    let lease = reply.body["lease_id"].as_str().expect("a lease");
    let renewal = json!({ "lease_id": lease, "increment": "2h" });
    client.write("sys/leases/renew", renewal).ok();
    let (_, renewed) = file.user(&name).expect("a user");
    assert!(renewed > first, "{renewed:?} {first:?}");
    let revocation = json!({ "lease_id": lease, "sync": true });
    client.write("sys/leases/revoke", revocation).ok();
    assert_eq!(file.user(&name), None);

    // Statements of the role take the place of the plugin's.
    let role = json!({
        "db_name": "app",
        "creation_statements": ["insert into users values (:name, 'x' || :password, 7)"],
        "revocation_statements": ["update users set digest = 'gone' where name = :name"],
    });
    client.write("database/roles/own", role).ok();
    let reply = client.read("database/creds/own").ok();
    let (name, password) = (reply.text("username"), reply.text("password"));
    assert_eq!(file.user(&name), Some((format!("x{password}"), Some(7))));
    client
        .write(
            "sys/leases/revoke-prefix/database/creds/own",
            json!({ "sync": true }),
        )
        .ok();
    assert_eq!(file.user(&name), Some(("gone".to_owned(), Some(7))));
    let role = json!({ "db_name": "app", "creation_statements": ["nonsense"] });
    client.write("database/roles/own", role).ok();
    client
        .read("database/creds/own")
        .refused(500, "SQLite: near \"nonsense\": syntax error");
}

fn a_static_user_is_rotated(release: Release) {
    let server = serving(release);
    let client = server.client();
    let file = File::new(&server, "app.db");
    connect(&client, &file, "app", json!({}));
    file.ask("insert into users values ('web', 'first', null)", &[]);
    let role = json!({ "db_name": "app", "username": "web", "rotation_period": "24h" });
    client.write("database/static-roles/web", role).ok();
    let password = || {
        let reply = client.read("database/static-creds/web").ok();
        assert_eq!(reply.text("username"), "web");
        reply.text("password")
    };
    let first = password();
    assert_eq!(file.user("web"), Some((sha256(&first), None)));
    client.write("database/rotate-role/web", json!({})).ok();
    let second = password();
    assert_ne!(first, second);
    assert_eq!(file.user("web"), Some((sha256(&second), None)));
    let role = json!({ "db_name": "app", "username": "nobody", "rotation_period": "24h" });
    client
        .write("database/static-roles/nobody", role)
        .refused(500, "there is no such user");
}

/// The engine rotates by itself when the time has come.
fn a_static_user_is_rotated_in_time(release: Release) {
    let server = serving(release);
    let client = server.client();
    let file = File::new(&server, "app.db");
    connect(&client, &file, "app", json!({}));
    file.ask("insert into users values ('web', 'first', null)", &[]);
    let role = json!({ "db_name": "app", "username": "web", "rotation_period": "5s" });
    client.write("database/static-roles/web", role).ok();
    let password = || {
        client
            .read("database/static-creds/web")
            .ok()
            .text("password")
    };
    let first = password();
    let second = until("a rotation", Duration::from_secs(30), || {
        Some(password()).filter(|second| *second != first)
    });
    until("the user has the password", Duration::from_secs(5), || {
        // It may be rotated once more meanwhile.
        let (digest, _) = file.user("web")?;
        (digest == sha256(&second) || digest == sha256(&password())).then_some(())
    });
}

/// A namespace has an engine of its own, with the same plugin.
fn a_namespace_has_users_of_its_own(release: Release) {
    let server = serving(release);
    let client = server.client();
    client.write("sys/namespaces/team", json!({})).ok();
    let engine = json!({ "type": "database" });
    client.write("team/sys/mounts/database", engine).ok();
    let files = ["", "team/"].map(|namespace| {
        let file = File::new(&server, &format!("{}.db", namespace.len()));
        let config = json!({ "plugin_name": EXAMPLE, "allowed_roles": "*", "file": file.0 });
        client
            .write(&format!("{namespace}database/config/app"), config)
            .ok();
        let role = json!({ "db_name": "app", "default_ttl": "1h" });
        client
            .write(&format!("{namespace}database/roles/app"), role)
            .ok();
        let made = client.read(&format!("{namespace}database/creds/app")).ok();
        assert!(file.user(&made.text("username")).is_some());
        (namespace, file)
    });
    let all = json!({ "sync": true });
    for (at, (namespace, file)) in files.iter().enumerate() {
        assert_eq!(file.count(), 1, "{namespace}");
        let path = format!("{namespace}sys/leases/revoke-prefix/database/creds");
        client.write(&path, all.clone()).ok();
        assert_eq!(file.count(), 0, "{namespace}");
        assert_eq!(files[1].1.count(), 1 - at as u64);
    }
}

fn a_password_is_what_the_policy_says(release: Release) {
    let server = serving(release);
    let client = server.client();
    let policy = "length = 30\nrule \"charset\" { charset = \"0123456789\" }";
    client
        .write("sys/policies/password/digits", json!({ "policy": policy }))
        .ok();
    let file = File::new(&server, "app.db");
    connect(
        &client,
        &file,
        "app",
        json!({ "password_policy": "digits" }),
    );
    let reply = client.read("database/creds/app").ok();
    let password = reply.text("password");
    assert!(
        password.len() == 30 && password.bytes().all(|byte| byte.is_ascii_digit()),
        "{password}"
    );
    let (digest, _) = file.user(&reply.text("username")).expect("a user");
    assert_eq!(digest, sha256(&password));
}

fn connections_share_a_process_and_outlive_it(release: Release) {
    let server = serving(release);
    let client = server.client();
    let files = ["one", "two", "three"].map(|name| {
        let file = File::new(&server, &format!("{name}.db"));
        connect(&client, &file, name, json!({}));
        (name, file)
    });
    let mut made = 0;
    let mut each_makes_a_user = || {
        made += 1;
        for (name, file) in &files {
            // The request that finds the process dead fails; the engine connects anew for the next.
            until("a user is made", Duration::from_secs(20), || {
                let reply = client.read(&format!("database/creds/{name}"));
                (reply.status == 200).then_some(())
            });
            assert_eq!(file.count(), made, "{name}");
        }
        assert_eq!(
            server.processes(EXAMPLE).len(),
            1,
            "one process serves all connections"
        );
    };
    each_makes_a_user();
    server.kill(EXAMPLE);
    each_makes_a_user();
    client.write("database/reset/one", json!({})).ok();
    each_makes_a_user();
    client.write("sys/seal", json!({})).ok();
    server.unseal();
    each_makes_a_user();
    client
        .write(
            "sys/leases/revoke-prefix/database/creds",
            json!({ "sync": true }),
        )
        .ok();
    for (name, file) in &files {
        assert_eq!(file.count(), 0, "{name}");
    }
    for (name, _) in &files {
        client.delete(&format!("database/config/{name}")).ok();
    }
    until(
        "the last connection takes the process with it",
        Duration::from_secs(10),
        || server.processes(EXAMPLE).is_empty().then_some(()),
    );
}

fn what_cannot_work_is_refused_with_its_reason(release: Release) {
    let server = serving(release);
    let client = server.client();
    let file = File::new(&server, "app.db");
    let config = |more: Value| {
        let mut config = json!({ "plugin_name": EXAMPLE, "file": file.0 });
        for (name, value) in more.as_object().expect("fields") {
            config[name] = value.clone();
        }
        client.write("database/config/app", config)
    };
    config(json!({ "file": server.dir().join("away.db") }))
        .refused(400, "SQLite: unable to open database file");
    config(json!({ "file": null })).refused(400, "");
    config(json!({ "username_template": "{{ .Password }}" })).refused(
        400,
        "username_template: the fields are .DisplayName and .RoleName",
    );
    config(json!({ "file": server.dir().join("away.db"), "verify_connection": false })).ok();

    server.register_example("secret", EXAMPLE);
    client
        .write("sys/mounts/sqlite", json!({ "type": EXAMPLE }))
        .refused(
            400,
            "this binary serves plugins of type database, and was started as one of type secret",
        );
    server.register_example("auth", EXAMPLE);
    client
        .write("sys/auth/sqlite", json!({ "type": EXAMPLE }))
        .refused(400, "this binary serves plugins of type database");
}

on_both_releases! {
    a_user_lives_as_long_as_its_lease
    a_static_user_is_rotated
    a_static_user_is_rotated_in_time
    a_namespace_has_users_of_its_own
    a_password_is_what_the_policy_says
    connections_share_a_process_and_outlive_it
    what_cannot_work_is_refused_with_its_reason
}
