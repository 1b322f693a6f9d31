//! The example of an auth method: its own tests, and its life on real servers.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{Client, Release, Reply, Server, on_both_releases};

#[path = "../../examples/machine-auth/main.rs"]
#[expect(
    dead_code,
    reason = "its main function serves a host, which this program is not"
)]
mod plugin;

const EXAMPLE: &str = "machine-auth";
const REFUSED: &str = "no such machine, or no fresh signature of it";

/// A machine whose key openssl has made, and signs with.
struct Machine<'a> {
    server: &'a Server,
    name: &'a str,
}

impl<'a> Machine<'a> {
    fn new(server: &'a Server, name: &'a str) -> Self {
        let machine = Self { server, name };
        let pem = machine.file("pem");
        openssl(
            Command::new("openssl")
                .args(["genpkey", "-algorithm", "ed25519", "-out"])
                .arg(pem),
        );
        machine
    }

    fn file(&self, kind: &str) -> PathBuf {
        self.server.dir().join(format!("{}.{kind}", self.name))
    }

    /// Registers it at a mount, with parameters of its tokens.
    fn register(&self, client: &Client, mount: &str, token: Value) {
        let (pem, der) = (self.file("pem"), self.file("der"));
        openssl(
            Command::new("openssl")
                .args(["pkey", "-pubout", "-outform", "DER", "-in"])
                .arg(pem)
                .arg("-out")
                .arg(&der),
        );
        let mut body = json!({ "public_key": base64(der) });
        for (name, value) in token.as_object().expect("fields") {
            body[name] = value.clone();
        }
        client
            .write(&format!("{mount}machine/{}", self.name), body)
            .ok();
    }

    /// A login for a mount.
    fn signed(&self, mount: &str) -> Value {
        let since = SystemTime::UNIX_EPOCH.elapsed().expect("after 1970");
        let time = u64::try_from(since.as_millis()).expect("before long");
        let (text, signature) = (self.file("txt"), self.file("sig"));
        fs::write(&text, format!("{mount} {} {time}", self.name)).expect("a file");
        openssl(
            Command::new("openssl")
                .args(["pkeyutl", "-sign", "-rawin", "-inkey"])
                .arg(self.file("pem"))
                .arg("-in")
                .arg(text)
                .arg("-out")
                .arg(&signature),
        );
        json!({ "name": self.name, "password": format!("{time}:{}", base64(signature)) })
    }

    fn log_in(&self, mount: &str) -> Reply {
        let anybody = self.server.client().with_token("");
        anybody.write(&format!("{mount}login"), self.signed(mount))
    }

    /// Logs in, and gives a client with the token.
    fn client(&self, mount: &str) -> Client {
        let reply = self.log_in(mount).ok();
        self.server.client().with_token(token_of(&reply))
    }
}

fn openssl(command: &mut Command) {
    let output = command.output().expect("openssl runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn base64(file: PathBuf) -> String {
    STANDARD.encode(fs::read(file).expect("openssl has written it"))
}

fn token_of(reply: &Reply) -> &str {
    reply.body["auth"]["client_token"]
        .as_str()
        .expect("a token")
}

/// A server on which the command line has enabled the example as `auth/machine/`.
fn serving(release: Release) -> Server {
    let server = Server::bare_dev(release);
    server.register_example("auth", EXAMPLE);
    enable(&server, "machine");
    server
}

fn enable(server: &Server, path: &str) {
    let mut enable = server.cli();
    enable.args(["auth", "enable", &format!("-path={path}"), EXAMPLE]);
    let output = enable.output().expect("the command line runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn a_token_is_what_the_role_says(release: Release) {
    let server = serving(release);
    let client = server.client();
    let policy = json!({ "policy": "path \"identity/entity/id\" { capabilities = [\"list\"] }" });
    client.write("sys/policies/acl/web", policy).ok();
    let web = Machine::new(&server, "web-1");
    let token = json!({ "token_policies": "web", "token_ttl": "1h", "token_max_ttl": "2h" });
    web.register(&client, "auth/machine/", token);

    let reply = web.log_in("auth/machine/").ok();
    let auth = &reply.body["auth"];
    assert_eq!(auth["token_policies"], json!(["default", "web"]));
    assert_eq!(auth["lease_duration"], 3600);
    assert_eq!(auth["renewable"], true);
    assert_eq!(auth["token_type"], "service");
    assert_eq!(auth["metadata"], json!({ "machine": "web-1" }));
    let machine = client.with_token(token_of(&reply));
    machine.list("identity/entity/id").ok();
    machine
        .list("identity/group/id")
        .refused(403, "permission denied");
    let own = machine.read("auth/token/lookup-self").ok();
    assert_eq!(own.data()["display_name"], "machine-web-1");
    assert_eq!(own.data()["path"], "auth/machine/login");

    let entity = client
        .read(&format!("identity/entity/id/{}", own.text("entity_id")))
        .ok();
    let alias = &entity.data()["aliases"][0];
    assert_eq!(alias["name"], "web-1");
    assert_eq!(alias["mount_type"], EXAMPLE);
    assert_eq!(alias["metadata"], json!({ "machine": "web-1" }));
    // The next login is of the same entity.
    let again = web.log_in("auth/machine/").ok();
    assert_eq!(again.body["auth"]["entity_id"], own.data()["entity_id"]);
}

fn a_token_is_renewed_and_revoked(release: Release) {
    let server = serving(release);
    let client = server.client();
    let web = Machine::new(&server, "web-1");
    let token = json!({ "token_policies": "web", "token_ttl": "1h", "token_max_ttl": "3h" });
    web.register(&client, "auth/machine/", token);
    let machine = web.client("auth/machine/");
    let renewed = machine
        .write("auth/token/renew-self", json!({ "increment": "2h" }))
        .ok();
    let auth = &renewed.body["auth"];
    assert_eq!(auth["lease_duration"], 7200);
    assert_eq!(auth["metadata"], json!({ "machine": "web-1" }));
    let own = machine.read("auth/token/lookup-self").ok();
    assert_eq!(auth["entity_id"], own.data()["entity_id"]);
    assert_eq!(auth["accessor"], own.data()["accessor"]);
    // What the renewal has stored is renewed once more, after a new start too.
    reload(&client);
    machine.write("auth/token/renew-self", json!({})).ok();

    web.register(&client, "auth/machine/", json!({ "token_policies": "db" }));
    machine
        .write("auth/token/renew-self", json!({}))
        .refused(400, "the policies have changed since the login");
    client.delete("auth/machine/machine/web-1").ok();
    machine
        .write("auth/token/renew-self", json!({}))
        .refused(403, "");
    machine.write("auth/token/revoke-self", json!({})).ok();
    machine.read("auth/token/lookup-self").refused(403, "");
    web.log_in("auth/machine/").refused(403, REFUSED);
}

fn tokens_are_of_each_kind(release: Release) {
    let server = serving(release);
    let client = server.client();
    let web = Machine::new(&server, "web-1");
    let look = |token: Value| {
        web.register(&client, "auth/machine/", token);
        web.client("auth/machine/").read("auth/token/lookup-self")
    };
    let batch = look(json!({ "token_type": "batch", "token_ttl": "10m" })).ok();
    assert_eq!(batch.data()["type"], "batch");
    assert_eq!(batch.data()["renewable"], false);
    let periodic = look(json!({ "token_period": "30m", "token_no_default_policy": true }));
    // Without the policy a token may not even look at itself.
    periodic.refused(403, "");
    let periodic = look(json!({ "token_period": "30m" })).ok();
    assert_eq!(periodic.data()["period"], 1800);
    let counted = look(json!({ "token_num_uses": 5, "token_explicit_max_ttl": "20m" })).ok();
    assert_eq!(counted.data()["num_uses"], 4);
    assert_eq!(counted.data()["explicit_max_ttl"], 1200);
    let bound = look(json!({ "token_bound_cidrs": "127.0.0.0/8,::1" })).ok();
    assert_eq!(bound.data()["bound_cidrs"], json!(["127.0.0.0/8", "::1"]));
    look(json!({ "token_bound_cidrs": ["192.0.2.1"] })).refused(403, "");
    client
        .write(
            "auth/machine/machine/web-1",
            json!({ "public_key": "", "token_bound_cidrs": "here" }),
        )
        .refused(400, "entry 1 is no address or CIDR block");

    client
        .write("sys/auth/machine/tune", json!({ "token_type": "batch" }))
        .ok();
    let tuned = look(json!({ "token_type": "default" })).ok();
    assert_eq!(tuned.data()["type"], "batch");
}

fn an_answer_is_wrapped(release: Release) {
    let server = serving(release);
    let web = Machine::new(&server, "web-1");
    web.register(&server.client(), "auth/machine/", json!({}));
    let anybody = server.client().with_token("");
    let signed = web.signed("auth/machine/");
    let wrapped = anybody
        .write_with("auth/machine/login", signed, &[("X-Vault-Wrap-TTL", "60")])
        .ok();
    assert!(wrapped.body["auth"].is_null());
    let token = wrapped.body["wrap_info"]["token"]
        .as_str()
        .expect("a token");
    let opened = server
        .client()
        .with_token(token)
        .write("sys/wrapping/unwrap", json!({}))
        .ok();
    let machine = server.client().with_token(token_of(&opened));
    machine.read("auth/token/lookup-self").ok();
}

/// The command line knows the methods of the server only: one whose login is `login/NAME` with a `password` it takes for `userpass`. Any other goes
/// by a token that `bao write` shows.
fn the_command_line_logs_in(release: Release) {
    let server = serving(release);
    let client = server.client();
    let web = Machine::new(&server, "web-1");
    let token = json!({ "token_policies": "web", "token_ttl": "1h" });
    web.register(&client, "auth/machine/", token);
    let run = |arguments: &[&str]| {
        let mut bao = server.cli();
        bao.env_remove("BAO_TOKEN").env_remove("VAULT_TOKEN");
        let output = bao.args(arguments).output().expect("it runs");
        let text = |octets| String::from_utf8_lossy(octets).into_owned();
        match output.status.success() {
            true => Ok(text(&output.stdout).trim().to_owned()),
            false => Err(text(&output.stderr)),
        }
    };
    let password = || {
        let signed = web.signed("auth/machine/");
        format!("password={}", signed["password"].as_str().expect("a text"))
    };
    let own = || {
        let name = run(&["token", "lookup", "-format=json"]).expect("a token in the home");
        let own: Value = serde_json::from_str(&name).expect("JSON");
        own["data"]["display_name"].clone()
    };

    let error = run(&["token", "lookup"]).expect_err("nobody has logged in");
    assert!(
        error.contains("permission denied") || error.contains("missing client token"),
        "{error}"
    );
    let login = [
        "login",
        "-method=userpass",
        "-path=machine",
        "username=web-1",
    ];
    let shown = run(&[&login[..], &[&password()]].concat()).expect("a login");
    assert!(
        shown.contains("Success! You are now authenticated."),
        "{shown}"
    );
    assert_eq!(own(), "machine-web-1");
    run(&["token", "renew"]).expect("a renewal");
    let error = run(&[&login[..], &["password=1:AAAA"]].concat()).expect_err("no signature");
    assert!(error.contains(REFUSED), "{error}");
    run(&["token", "revoke", "-self"]).expect("it ends");

    let error = run(&["login", "-method=machine-auth", "name=web-1"]).expect_err("unknown");
    assert!(
        error.contains("Unknown auth method: machine-auth"),
        "{error}"
    );
    let (path, name) = ("auth/machine/login", "name=web-1");
    let token = run(&["write", "-field=token", path, name, &password()]).expect("a token");
    run(&["login", "-no-print", &token]).expect("a login");
    assert_eq!(own(), "machine-web-1");
}

/// An entity is in groups of the server, whose policies its tokens have.
fn groups_of_the_entity_count(release: Release) {
    let server = serving(release);
    let client = server.client();
    let policy = json!({ "policy": "path \"identity/group/id\" { capabilities = [\"list\"] }" });
    client.write("sys/policies/acl/groups", policy).ok();
    let web = Machine::new(&server, "web-1");
    web.register(&client, "auth/machine/", json!({}));
    let machine = web.client("auth/machine/");
    machine.list("identity/group/id").refused(403, "");
    let own = machine.read("auth/token/lookup-self").ok();
    let group = json!({
        "name": "machines",
        "policies": "groups",
        "member_entity_ids": own.text("entity_id"),
    });
    client.write("identity/group", group).ok();
    // Of the token that is there, and of the next.
    machine.list("identity/group/id").ok();
    let machine = web.client("auth/machine/");
    machine.list("identity/group/id").ok();
    let own = machine.read("auth/token/lookup-self").ok();
    assert_eq!(own.data()["identity_policies"], json!(["groups"]));
}

/// A group with an alias at the mount has the members that logins name, and loses them at the login that names it no more.
fn a_login_says_which_groups_it_is_of(release: Release) {
    let server = serving(release);
    let client = server.client();
    let policy = json!({ "policy": "path \"identity/group/id\" { capabilities = [\"list\"] }" });
    client.write("sys/policies/acl/groups", policy).ok();
    let mounts = client.read("sys/auth").ok();
    let group = json!({ "name": "web servers", "type": "external", "policies": "groups" });
    let group = client.write("identity/group", group).ok();
    let alias = json!({
        "name": "web",
        "mount_accessor": mounts.data()["machine/"]["accessor"],
        "canonical_id": group.text("id"),
    });
    client.write("identity/group-alias", alias).ok();
    let members = || {
        let found = client.read(&format!("identity/group/id/{}", group.text("id")));
        found.ok().data()["member_entity_ids"].clone()
    };

    let web = Machine::new(&server, "web-1");
    web.register(&client, "auth/machine/", json!({ "groups": "db" }));
    let stranger = web.client("auth/machine/");
    stranger.list("identity/group/id").refused(403, "");
    web.register(&client, "auth/machine/", json!({ "groups": ["db", "web"] }));
    let member = web.client("auth/machine/");
    member.list("identity/group/id").ok();
    let own = member.read("auth/token/lookup-self").ok();
    assert_eq!(own.data()["identity_policies"], json!(["groups"]));
    assert_eq!(members(), json!([own.text("entity_id")]));

    web.register(&client, "auth/machine/", json!({}));
    let former = web.client("auth/machine/");
    former.list("identity/group/id").refused(403, "");
    member.list("identity/group/id").refused(403, "");
}

fn a_role_is_what_a_quota_counts(release: Release) {
    let server = serving(release);
    let client = server.client();
    let (web, db) = (
        Machine::new(&server, "web-1"),
        Machine::new(&server, "db-1"),
    );
    web.register(&client, "auth/machine/", json!({}));
    db.register(&client, "auth/machine/", json!({}));
    let quota = json!({ "path": "auth/machine/", "role": "web-1", "rate": 1, "interval": "1h" });
    client.write("sys/quotas/rate-limit/web", quota).ok();
    web.log_in("auth/machine/").ok();
    web.log_in("auth/machine/").refused(429, "");
    db.log_in("auth/machine/").ok();
    db.log_in("auth/machine/").ok();
}

fn mounts_are_apart_and_outlive_the_process(release: Release) {
    let server = serving(release);
    let client = server.client();
    enable(&server, "other/machine");
    client.write("sys/namespaces/team", json!({})).ok();
    let kind = json!({ "type": EXAMPLE });
    client.write("team/sys/auth/machine", kind).ok();
    let mounts = ["auth/machine/", "auth/other/machine/", "team/auth/machine/"];
    let machines = [
        Machine::new(&server, "one"),
        Machine::new(&server, "two"),
        Machine::new(&server, "three"),
    ];
    for (machine, mount) in machines.iter().zip(mounts) {
        machine.register(&client, mount, json!({}));
    }
    let held: Vec<_> = machines
        .iter()
        .zip(mounts)
        .map(|(machine, mount)| machine.client(mount))
        .collect();
    let each_logs_in_at_home = || {
        for (at, machine) in machines.iter().enumerate() {
            for (other, mount) in mounts.iter().enumerate() {
                let reply = machine.log_in(mount);
                if at == other {
                    drop(reply.ok())
                } else {
                    drop(reply.refused(403, REFUSED))
                }
            }
        }
        // The one in the namespace is looked up there.
        for (client, path) in held.iter().zip(["", "", "team/"]) {
            client.read(&format!("{path}auth/token/lookup-self")).ok();
            client
                .write(&format!("{path}auth/token/renew-self"), json!({}))
                .ok();
        }
    };
    each_logs_in_at_home();
    assert_eq!(
        server.processes(EXAMPLE).len(),
        1,
        "one process serves all mounts"
    );
    reload(&client);
    each_logs_in_at_home();
    server.kill(EXAMPLE);
    each_logs_in_at_home();
    client.write("sys/seal", json!({})).ok();
    server.unseal();
    each_logs_in_at_home();
}

fn a_wrong_kind_is_told_which_ones_there_are(release: Release) {
    let server = Server::bare_dev(release);
    let client = server.client();
    server.register_example("secret", EXAMPLE);
    client
        .write("sys/mounts/machine", json!({ "type": EXAMPLE }))
        .refused(
            400,
            "this binary serves plugins of type auth, and was started as one of type secret",
        );
    server.register_example("auth", "ports");
    client
        .write("sys/auth/ports", json!({ "type": "ports" }))
        .refused(
            400,
            "this binary serves plugins of type secret, and was started as one of type auth",
        );
    server.register_example("database", "ports");
    client
        .write("sys/mounts/database", json!({ "type": "database" }))
        .ok();
    client
        .write("database/config/one", json!({ "plugin_name": "ports" }))
        .refused(
            400,
            "this binary serves plugins of type secret, and was started as one of type database",
        );
    let binary = json!({ "sha256": server.sha256(), "command": "landfast" });
    client
        .write("sys/plugins/catalog/auth/landfast", binary)
        .ok();
    client
        .write("sys/auth/landfast", json!({ "type": "landfast" }))
        .refused(400, "this binary serves plugins of type secret and kms");
}

fn reload(client: &Client) {
    client
        .write("sys/plugins/reload/backend", json!({ "plugin": EXAMPLE }))
        .ok();
}

fn its_paths_are_in_the_servers_openapi_document(release: Release) {
    let server = serving(release);
    let document = server.client().read("sys/internal/specs/openapi").body;
    let operation = |path: &str| document["paths"][path]["post"].clone();
    let login = operation("/auth/machine/login/{name}");
    let body = &login["requestBody"]["content"]["application/json"]["schema"]["properties"];
    let attributes = json!({ "sensitive": true });
    assert_eq!(body["password"]["x-vault-displayAttrs"], attributes);
    assert_eq!(body["password"]["type"], "string");
    let machine = operation("/auth/machine/machine/{name}");
    let fields = &machine["requestBody"]["content"]["application/json"]["schema"]["properties"];
    assert!(
        fields["public_key"].get("x-vault-displayAttrs").is_none(),
        "{fields}"
    );
    let nothing = json!({ "204": { "description": "empty body" } });
    assert_eq!(machine["responses"], nothing);
}

on_both_releases! {
    a_token_is_what_the_role_says
    a_token_is_renewed_and_revoked
    tokens_are_of_each_kind
    an_answer_is_wrapped
    the_command_line_logs_in
    groups_of_the_entity_count
    a_login_says_which_groups_it_is_of
    a_role_is_what_a_quota_counts
    mounts_are_apart_and_outlive_the_process
    a_wrong_kind_is_told_which_ones_there_are
    its_paths_are_in_the_servers_openapi_document
}
