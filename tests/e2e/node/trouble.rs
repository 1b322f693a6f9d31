//! What goes wrong on a node for years: a full disk, a power cut.

use std::sync::Mutex;
use std::time::Instant;

use rustix::process::{Resource, Rlimit, prlimit};

use super::*;
use crate::support::Python;

/// The pair is a pair, in the eyes of openssl.
fn is_a_pair(site: &Site) {
    let public = |arguments: &[&str], name: &str| {
        let output = Command::new("openssl")
            .args(arguments)
            .arg("-in")
            .arg(site.path(name))
            .output()
            .expect("openssl is installed");
        assert!(output.status.success(), "{}", said(&output));
        output.stdout
    };
    assert_eq!(
        public(&["x509", "-noout", "-pubkey"], "pki/server.pem"),
        public(&["pkey", "-pubout"], "pki/server.key")
    );
}

#[test]
fn a_kill_at_any_moment_leaves_a_pair() {
    let site = Site::new(Server::dev());
    site.enroll(&[]);
    let renewal = || {
        let mut node = site.node("renew");
        node.args(["--node-name", NODE, "--rotate-key"])
            .stdout(Stdio::null());
        node
    };
    let start = Instant::now();
    let status = renewal().status().expect("the binary under test runs");
    assert!(status.success());
    // Longer than a whole renewal, in steps that are shorter than what it does. How long one takes depends on what else the machine does.
    let mut whole = start.elapsed();
    let (mut killed, mut changed) = (0, 0);
    let rounds = 40;
    for round in 0..rounds {
        let before = site.key();
        let part = 1.2 * f64::from(round) / f64::from(rounds);
        let mut child = Daemon(renewal().spawn().expect("the binary under test runs"));
        std::thread::sleep(whole.mul_f64(part));
        child.0.kill().expect("our own child can be killed");
        let status = child.0.wait().expect("our own child");
        if status.code().is_some() {
            whole = whole.mul_f64(0.9);
        } else {
            killed += 1;
            if part > 1.0 {
                whole = whole.mul_f64(1.1);
            }
        }
        is_a_pair(&site);
        changed += u32::from(site.key() != before);
    }
    assert!(killed > 10, "only {killed} of {rounds} were killed at work");
    assert!(changed < rounds, "every renewal came through");
    let last = json_of(
        site.node("renew")
            .args(["--node-name", NODE, "--rotate-key"]),
    );
    assert_eq!(
        last["outcome"], "issued",
        "what was left behind is no hindrance"
    );
    is_a_pair(&site);
}

#[test]
fn who_waits_enrols_once_the_server_is_unsealed() {
    let server = Server::raft(Release::Current, "");
    server.register(PLUGIN_NAME, "");
    let site = Site::new(server);
    let enrolment = |wait: &str| {
        let mut node = site.node("enroll");
        node.args(["--node-name", NODE, "--wait", wait]);
        node
    };
    site.client.write("sys/seal", json!({})).ok();
    let over = enrolment("1s")
        .output()
        .expect("the binary under test runs");
    assert_eq!(over.status.code(), Some(3), "{}", said(&over));
    assert!(said(&over).contains("sealed"), "{}", said(&over));

    let mut node = enrolment("2m");
    node.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut waiting = Daemon(node.spawn().expect("the binary under test runs"));
    let mut lines = BufReader::new(waiting.0.stderr.take().expect("it is piped"))
        .lines()
        .map_while(Result::ok);
    let told = lines.find(|line| line.contains("trying again in"));
    assert!(told.is_some(), "it says why it waits");
    site.server.unseal();
    let later: Vec<String> = lines.collect();
    let status = waiting.0.wait().expect("our own child");
    assert!(status.success(), "{later:?}");
    is_a_pair(&site);
}

/// A disk that takes no more, played by a limit on the size of files: the
/// pair stays, the daemon says why, and goes on once there is room.
#[test]
fn a_full_disk_costs_no_pair_and_is_overcome_without_help() {
    let site = Site::new(Server::dev());
    let mut command = Command::new("sh");
    let node = site.node("renew");
    command
        // The signal that comes with the limit would end the process; a full disk sends none.
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(node.get_program())
        .args(node.get_args().filter(|word| *word != "--json"))
        .args(["--daemon", "--node-name", NODE])
        .env_clear()
        .envs(
            node.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stderr(Stdio::piped());
    let mut daemon = Daemon(command.spawn().expect("a shell runs"));
    let told = std::sync::Arc::new(Mutex::new(String::new()));
    let mut lines = BufReader::new(daemon.0.stderr.take().expect("a pipe")).lines();
    let log = told.clone();
    std::thread::spawn(move || {
        while let Some(Ok(line)) = lines.next() {
            let mut log = log.lock().expect("no test panics with it");
            log.push_str(&line);
            log.push('\n');
        }
    });
    let heard = |what: &str| {
        until(what, Duration::from_secs(20), || {
            let log = told.lock().expect("no test panics with it");
            log.contains(what).then_some(())
        });
    };
    heard("renewed");
    let (certificate, key) = (site.certificate(), site.key());
    let id = i32::try_from(daemon.0.id()).ok().and_then(Pid::from_raw);
    let room = |current: Option<u64>| {
        let limit = Rlimit {
            current,
            maximum: None,
        };
        prlimit(id, Resource::Fsize, limit).expect("our own child");
    };
    room(Some(0));
    daemon.signal(Signal::HUP);
    heard("not renewed");
    heard("File too large");
    assert_eq!((site.certificate(), site.key()), (certificate.clone(), key));
    room(None);
    // Without a signal: the next attempt is seconds away.
    until("a renewal", Duration::from_secs(20), || {
        (site.certificate() != certificate).then_some(())
    });
    is_a_pair(&site);
    daemon.signal(Signal::TERM);
    assert!(daemon.0.wait().expect("our own child").success());
}

#[test]
fn node_config_comes_with_the_certificate() {
    let site = Site::new(Server::dev());
    let text = |name: &str| site.path(name).to_str().expect("a text").to_owned();
    let arn = |rest: &str| format!("arn:aws:rolesanywhere:us-west-2:111122223333:{rest}");
    let mut description = json!({
        "cluster": "prod", "region": "us-west-2", "account": "111122223333", "nodes": "node-*",
        "trust_anchor": arn("trust-anchor/11111111-2222-4333-8444-555555555555"),
    });
    let describe = |description: &Value| {
        fs::write(site.path("hybrid.json"), description.to_string()).expect("our own folder");
    };
    let (config, file) = (text("eks/nodeconfig.yaml"), text("hybrid.json"));
    let flags = ["--node-config", &config, "--description", &file];

    // What is missing is told before anything is asked of the server.
    describe(&description);
    let mut node = site.node("enroll");
    node.args(["--node-name", NODE, "--address", "http://127.0.0.1:1"]);
    let (code, told) = failure(node.args(flags));
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("profile_arn"), "{told}");

    description["profile_arn"] = arn("profile/66666666-7777-4888-9999-aaaaaaaaaaaa").into();
    describe(&description);
    assert_eq!(site.enroll(&flags)["outcome"], "issued");
    let (content, said) = Python::run(
        "python",
        &[
            "-c",
            "import sys, json, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))",
            &config,
        ],
    );
    assert!(content, "{said}");
    let written: Value = serde_json::from_str(&said).expect("JSON");
    let hybrid = &written["spec"]["hybrid"]["iamRolesAnywhere"];
    assert_eq!(hybrid["nodeName"], NODE);
    assert_eq!(hybrid["certificatePath"], text("pki/server.pem"));
    assert_eq!(hybrid["privateKeyPath"], text("pki/server.key"));

    // Again: nothing changes. Gone: it comes back, the certificate stays.
    let modified = || fs::metadata(&config).and_then(|file| file.modified()).ok();
    let before = modified();
    assert_eq!(site.enroll(&flags)["outcome"], "kept");
    assert_eq!(modified(), before);
    fs::remove_file(&config).expect("it is there");
    assert_eq!(site.enroll(&flags)["outcome"], "kept");
    assert!(modified().is_some());
}
