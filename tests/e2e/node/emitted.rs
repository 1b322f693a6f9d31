//! What `enroll --emit` prints is run here, on a real server.

use super::*;
use crate::support::Python;

/// Files for the machine, with the flags of a site's AppRole login.
fn emit(site: &Site, kind: &str, more: &[&str]) -> String {
    let output = site
        .words("enroll")
        .args(["--node-name", NODE, "--address", site.client.address()])
        .args(["--program", env!("CARGO_BIN_EXE_landfast"), "--emit", kind])
        .args(more)
        .output()
        .expect("the binary under test runs");
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).expect("text")
}

/// The init script of a site, which is stopped with the test.
struct Script<'a>(&'a Site);

impl Script<'_> {
    fn run(&self, word: &str) -> Option<i32> {
        Command::new("sh")
            .arg(self.0.path("landfast-renew"))
            .arg(word)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("PIDFILE", self.0.path("pid"))
            .env("LOGFILE", self.0.path("log"))
            .status()
            .expect("a shell runs")
            .code()
    }
}

impl Drop for Script<'_> {
    fn drop(&mut self) {
        self.run("stop");
    }
}

#[test]
fn the_init_script_keeps_a_node_and_says_how_it_is() {
    let site = Site::new(Server::dev());
    let metrics = site.path("landfast.prom");
    let metrics = metrics.to_str().expect("a text");
    let text = emit(&site, "init", &["--textfile", metrics]);
    fs::write(site.path("landfast-renew"), text).expect("a file in our folder");
    let script = Script(&site);
    assert_eq!(script.run("status"), Some(3), "not running yet");
    assert_eq!(script.run("start"), Some(0));
    let limit = Duration::from_secs(20);
    until("a certificate and its metrics", limit, || {
        let metrics = fs::read_to_string(metrics).ok()?;
        let there = site.path("pki/server.pem").exists() && metrics.contains("renewals_total");
        there.then_some(())
    });
    assert_eq!(script.run("status"), Some(0));
    assert_eq!(
        script.run("start"),
        Some(0),
        "a second start changes nothing"
    );
    let file = site.certificate();
    assert_eq!(script.run("reload"), Some(0));
    until("a renewal at reload", limit, || {
        (site.certificate() != file).then_some(())
    });
    assert_eq!(script.run("stop"), Some(0));
    assert_eq!(script.run("status"), Some(3));
    assert_eq!(script.run("bogus"), Some(2));
}

#[test]
fn user_data_enrols_a_machine_at_its_first_start() {
    let site = Site::new(Server::dev());
    let data = site.path("user-data");
    fs::write(&data, emit(&site, "cloud-init", &["--hook", "true"])).expect("our own folder");
    // As cloud-init reads it; the units as systemd does, near enough.
    let (content, said) = Python::run(
        "python",
        &[
            "-c",
            "import configparser, json, sys, yaml\n\
             data = yaml.safe_load(open(sys.argv[1]))\n\
             units = {}\n\
             for file in data['write_files']:\n\
             \x20   unit = configparser.RawConfigParser(strict=False)\n\
             \x20   unit.optionxform = str\n\
             \x20   unit.read_string(file['content'])\n\
             \x20   units[file['path']] = {name: dict(unit[name]) for name in unit.sections()}\n\
             print(json.dumps({'units': units, 'run': data['runcmd']}))",
            data.to_str().expect("a text"),
        ],
    );
    assert!(content, "{said}");
    let read: Value = serde_json::from_str(&said).expect("JSON");
    let unit = |name: &str| &read["units"][format!("/etc/systemd/system/landfast-renew.{name}")];
    let started = unit("service")["Service"]["ExecStart"]
        .as_str()
        .expect("a text");
    assert!(started.contains(" renew --certificate"), "{started}");
    assert!(started.ends_with("--hook true"), "{started}");
    assert!(!started.contains("--json"), "{started}");
    assert_eq!(unit("timer")["Install"]["WantedBy"], "timers.target");
    let commands = read["run"].as_array().expect("a list");
    let enroll = commands[0].as_str().expect("a text");
    let status = Command::new("sh")
        .args(["-ec", enroll])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .status()
        .expect("a shell runs");
    assert!(status.success());
    assert!(site.certificate().contains("BEGIN CERTIFICATE"));
    assert_eq!(
        commands[2],
        json!(["systemctl", "enable", "--now", "landfast-renew.timer"])
    );

    // What the caller's environment says holds on the machine as well.
    let output = site
        .words("enroll")
        .env("BAO_NAMESPACE", "team")
        .env("VAULT_CACERT", "/etc/vault/ca.pem")
        .args(["--address", "https://vault.example", "--emit", "systemd"])
        .output()
        .expect("the binary under test runs");
    let unit = String::from_utf8(output.stdout.clone()).expect("text");
    let flags = "--namespace team --ca-cert /etc/vault/ca.pem\n";
    assert!(unit.contains(flags), "{unit}{output:?}");

    // What only renewals understand is no business of an enrolment.
    let (code, told) = failure(
        site.node("enroll")
            .args(["--node-name", NODE, "--hook", "true"]),
    );
    assert_eq!(code, 2, "{told}");
    assert!(told.contains("landfast renew"), "{told}");
}
