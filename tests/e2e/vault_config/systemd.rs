//! The units, as systemd itself reads them.

use super::*;

/// Every unit of the folder.
const UNITS: [&str; 8] = [
    "landfast-public.service",
    "landfast-renew.service",
    "landfast-renew.timer",
    "landfast-serve.service",
    "landfast-unseal.service",
    "openbao-agent.service",
    "openbao.service",
    "vault.service",
];

fn analyze(arguments: &[&str]) -> (bool, String) {
    let output = Command::new("systemd-analyze")
        .args(arguments)
        .env("SYSTEMD_LOG_LEVEL", "warning")
        .output()
        .unwrap_or_else(|error| {
            panic!("systemd-analyze: {error}: install the Debian package systemd")
        });
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    (output.status.success(), said)
}

/// The units in a folder, with programs that are there.
fn installed(change: impl Fn(&str, String) -> String) -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let server = Release::Current.binary().display().to_string();
    for name in UNITS {
        let text = fs::read_to_string(path(&format!("systemd/{name}"))).expect("a unit");
        let text = text
            .replace("/usr/local/bin/landfast", env!("CARGO_BIN_EXE_landfast"))
            .replace("/usr/bin/bao", &server)
            .replace("/usr/bin/vault", &server);
        fs::write(dir.path().join(name), change(name, text)).expect("a fresh folder");
    }
    dir
}

#[test]
fn systemd_takes_every_line() {
    let verify = |dir: &TempDir, name: &str| {
        let unit = dir.path().join(name).display().to_string();
        analyze(&["verify", "--man=no", "--generators=no", &unit])
    };
    let dir = installed(|_, text| text);
    for name in UNITS {
        let (taken, said) = verify(&dir, name);
        assert!(taken && !said.contains(name), "{name}: {said}");
    }
    // Proof that it looks.
    let spoilt = installed(|_, text| text.replace("ProtectSystem=", "ProtectSystems="));
    let (_, said) = verify(&spoilt, "openbao.service");
    assert!(said.contains("ProtectSystems"), "{said}");
}

#[test]
fn no_service_is_less_caged_than_it_was() {
    let dir = installed(|_, text| text);
    // In tenths: 100 is no cage at all. Those that talk to systemd keep a capability for it.
    for (name, limit) in [
        ("landfast-public.service", 20),
        ("landfast-renew.service", 30),
        ("landfast-serve.service", 20),
        ("landfast-unseal.service", 17),
        ("openbao-agent.service", 30),
        ("openbao.service", 17),
        ("vault.service", 17),
    ] {
        let unit = dir.path().join(name).display().to_string();
        let threshold = format!("--threshold={limit}");
        let (good, said) = analyze(&[
            "security",
            "--offline=true",
            "--no-pager",
            &threshold,
            &unit,
        ]);
        assert!(good, "{said}");
    }
}

/// The values of a setting of a unit, in their order.
fn values<'a>(text: &'a str, setting: &str) -> Vec<&'a str> {
    text.lines()
        .filter_map(|line| line.strip_prefix(setting)?.strip_prefix('='))
        .collect()
}

#[test]
fn the_commands_of_the_units_are_those_of_the_programs() {
    for (name, variables) in [
        ("landfast-public.service", &[][..]),
        ("landfast-renew.service", &[][..]),
        (
            "landfast-serve.service",
            &["TRUST_ANCHOR_ARN", "PROFILE_ARN", "ROLE_ARN"][..],
        ),
        ("landfast-unseal.service", &[][..]),
    ] {
        let text = fs::read_to_string(path(&format!("systemd/{name}"))).expect("a unit");
        let command = values(&text, "ExecStart")[0].to_owned();
        let arns = ["trust-anchor", "profile", "role"];
        let command = variables.iter().zip(arns).fold(command, |command, (variable, kind)| {
            let service = if kind == "role" { "iam" } else { "rolesanywhere" };
            let region = if kind == "role" { "" } else { "eu-central-1" };
            let arn = format!("arn:aws:{service}:{region}:111122223333:{kind}/00000000-0000-4000-8000-000000000000");
            assert!(text.contains(&format!("#   {variable}=arn:")), "{name}: {variable}");
            command.replace(&format!("${{{variable}}}"), &arn)
        });
        let mut words = command.split_whitespace();
        assert_eq!(words.next(), Some("/usr/local/bin/landfast"));
        // The files are not here: it comes as far as them, and not to a mistake in the call (2).
        let output = Command::new("timeout")
            .args(["20", env!("CARGO_BIN_EXE_landfast")])
            .args(words)
            .env_clear()
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .output()
            .expect("the binary under test runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !said.contains("Usage:") && !said.contains("unexpected argument"),
            "{name}: {said}"
        );
        assert!(
            !output.status.success()
                && ["/etc/", "/run/"]
                    .iter()
                    .any(|folder| said.contains(folder)),
            "{name}: {said}"
        );
    }
}

/// `landfast enroll --emit systemd` writes a unit for the node's own flags: this folder's has at least its cage, and the same timer.
#[test]
fn the_unit_for_renewals_has_the_cage_of_the_emitted_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let ours = fs::read_to_string(path("systemd/landfast-renew.service")).expect("a unit");
    let command =
        values(&ours, "ExecStart")[0].replace("renew ", "enroll --emit systemd --emit-to . ");
    let mut words = command.split_whitespace();
    words.next();
    let output = Command::new(env!("CARGO_BIN_EXE_landfast"))
        .args(words)
        .env_clear()
        .current_dir(dir.path())
        .output()
        .expect("the binary under test runs");
    assert!(output.status.success(), "{output:?}");
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).expect("it was written");
    let lines = |text: &str| -> Vec<String> {
        text.lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(str::to_owned)
            .collect()
    };
    let have = lines(&ours);
    for line in lines(&read("landfast-renew.service")) {
        assert!(have.contains(&line), "{line}");
    }
    let timer = fs::read_to_string(path("systemd/landfast-renew.timer")).expect("a unit");
    assert_eq!(lines(&timer), lines(&read("landfast-renew.timer")));
}

#[test]
fn services_that_hold_keys_leave_none_behind() {
    for name in UNITS.iter().filter(|name| name.ends_with(".service")) {
        let text = fs::read_to_string(path(&format!("systemd/{name}"))).expect("a unit");
        assert_eq!(values(&text, "LimitCORE"), ["0"], "{name}");
        assert_eq!(values(&text, "MemorySwapMax"), ["0"], "{name}");
        assert_eq!(values(&text, "UMask"), ["0077"], "{name}");
    }
}

#[test]
fn both_servers_have_the_same_cage() {
    let cage = |name: &str| {
        let text = fs::read_to_string(path(&format!("systemd/{name}"))).expect("a unit");
        // What stands behind the directories of each.
        let at = text
            .find("# Keys stay out of swap")
            .expect("the first line of the cage");
        let lines = text[at..].lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(cage("openbao.service"), cage("vault.service"));
}
