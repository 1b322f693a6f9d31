//! Files and flags of `enroll` and `renew` that cannot be right: each is told
//! before a server is asked.

use super::*;

#[test]
fn what_cannot_be_right_is_told_before_a_server_is_asked() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str, content: &str| {
        let path = dir.path().join(name);
        fs::write(&path, content).expect("a file in a fresh folder");
        path.to_str().expect("a text").to_owned()
    };
    let (empty, junk, word) = (
        file("empty", ""),
        file("junk", "junk"),
        file("word", "word\n"),
    );
    let gone = "/nonexistent/file";
    let der = |name: &str| {
        let path = dir.path().join(name);
        let source = format!("{}/node/tests/data/pki/{name}", env!("CARGO_MANIFEST_DIR"));
        let made = Command::new("openssl")
            .args([
                if name.ends_with("key") {
                    "pkey"
                } else {
                    "x509"
                },
                "-in",
                &source,
            ])
            .args(["-outform", "DER", "-out"])
            .arg(&path)
            .status()
            .expect("openssl runs");
        assert!(made.success());
        path.to_str().expect("a text").to_owned()
    };
    let (certificate, key) = (der("ec-leaf.crt"), der("ec-leaf.key"));
    let approle = ["--auth", "approle", "--role-id", "r"];
    let token = ["--token-file", &word];
    let refuses = |command: &str, flags: &[&[&str]], code: i32, part: &str| {
        let flags = flags.concat();
        let output = Command::new(env!("CARGO_BIN_EXE_landfast"))
            .env_clear()
            .env("HOME", dir.path())
            .current_dir(dir.path())
            .args([command, "--node-name", NODE])
            .args(if flags.contains(&"--address") {
                &[][..]
            } else {
                &["--address", "http://127.0.0.1:1"]
            })
            .args([
                "--certificate",
                "pki/server.pem",
                "--private-key",
                "pki/server.key",
            ])
            .args(&flags)
            .output()
            .expect("the binary under test runs");
        let told = said(&output);
        assert_eq!(output.status.code(), Some(code), "{flags:?}: {told}");
        assert!(told.contains(part), "{flags:?}: {part}: {told}");
    };

    // Files.
    for command in ["enroll", "renew"] {
        refuses(
            command,
            &[&["--token-file", &empty]],
            1,
            "no text in the file",
        );
        refuses(
            command,
            &[&["--token-file", gone]],
            1,
            "/nonexistent/file: No such file",
        );
        refuses(command, &[&approle, &["--secret-id-file", gone]], 1, gone);
        refuses(
            command,
            &[&token, &["--ca-cert", &junk]],
            2,
            "holds no certificates in PEM",
        );
        refuses(command, &[&["--ca-cert", gone], &token], 1, gone);
        refuses(
            command,
            &[&["--ca-cert", &certificate], &token],
            2,
            "openssl x509 -inform DER -in",
        );
        refuses(
            command,
            &[&[
                "--auth",
                "cert",
                "--client-cert",
                &certificate,
                "--client-key",
                &key,
            ]],
            2,
            "openssl x509 -inform DER -in",
        );
        refuses(command, &[], 2, "BAO_TOKEN and VAULT_TOKEN: no token");
        refuses(
            command,
            &[&[
                "--auth",
                "cert",
                "--client-cert",
                &junk,
                "--client-key",
                &junk,
            ]],
            2,
            "not a certificate with its private key",
        );
    }
    let config = ["--node-config", "config.yaml", "--description"];
    refuses(
        "enroll",
        &[&token, &config, &[&junk]],
        1,
        "not a description",
    );
    // A secret for all is used, and told; here nobody answers.
    refuses("enroll", &[&token], 3, "chmod 600");

    // Flags.
    for (flags, part) in [
        (
            &["--auth", "approle"][..],
            "--auth approle needs --role-id or --role-id-file",
        ),
        (&["--auth", "wrapped"], "--auth wrapped needs --token-file"),
        (&["--auth", "jwt"], "needs --auth-role"),
        (&["--auth", "kubernetes"], "needs --auth-role"),
        (
            &["--auth", "aws", "--aws-region", "eu/west"],
            "a Region such as us-west-2",
        ),
        (&["--client-cert", "x"], "--client-key"),
        (&["--secret-id-wrapped"], "--secret-id-file"),
        (&["--renew-at", "2"], "between 0 and 1"),
        (&["--ttl", "soon"], "a number with a unit"),
        (&["--key-type", "ed25519"], "one of ec"),
        (&["--key-type", "ec-384"], "ec-521"),
        (&["--key-type", "mldsa"], "mldsa-44, mldsa-65 or mldsa-87"),
        (&["--key-type", "mldsa-64"], "mldsa-65"),
    ] {
        refuses("enroll", &[flags], 2, part);
        refuses("renew", &[flags], 2, part);
    }
    refuses("renew", &[&["--window", "2-5"]], 2, "02:00-05:30");
    refuses(
        "renew",
        &[&["--daemon", "--auth", "wrapped"], &token],
        2,
        "works once",
    );
    refuses("enroll", &[&["--address", "vault:8200"]], 2, "--address");
    // A secret id does not leave this machine where others can read it; nobody has the name.
    let plain = ["--address", "http://vault.invalid:8200"];
    for command in ["enroll", "renew"] {
        let login = [&approle[..], &["--secret-id-file", &word]].concat();
        refuses(command, &[&plain, &login], 2, "--allow-plain-http");
        refuses(
            command,
            &[&plain, &token],
            2,
            "is plain HTTP to another machine",
        );
        let allowed = ["--allow-plain-http"];
        refuses(command, &[&plain, &login, &allowed], 3, "no answer");
    }
    let emit = ["--emit", "systemd"];
    refuses("enroll", &[&emit, &token, &["--json"]], 2, "--json");
    for program in ["landfast", "/bin/landfast\nUser=root"] {
        refuses("enroll", &[&emit, &["--program", program]], 2, "--program");
    }
    let hook = ["--hook", "true\nExecStart=/bin/sh"];
    refuses("enroll", &[&emit, &token, &hook], 2, "--hook");
    refuses("enroll", &[&emit, &["--auth", "cert"]], 2, "absolute paths");
    refuses("enroll", &[&emit], 2, "--auth token without --token-file");
    assert!(!dir.path().join("pki").exists(), "nothing was written");

    let elsewhere = Command::new(env!("CARGO_BIN_EXE_landfast"))
        .env_clear()
        .args([
            "enroll",
            "--certificate",
            "/a/server.pem",
            "--private-key",
            "/b/server.key",
        ])
        .output()
        .expect("the binary under test runs");
    assert_eq!(elsewhere.status.code(), Some(2));
    assert!(
        said(&elsewhere).contains("in one directory"),
        "{}",
        said(&elsewhere)
    );
}
