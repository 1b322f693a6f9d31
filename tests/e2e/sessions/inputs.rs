//! What a person can get wrong, and what a network can put in the way: each has
//! its own words and exit code.

use super::*;

/// A session command with the identity in other files.
fn with(node: &Node, certificate: &str, key: &str, more: &[&str]) -> Output {
    run(Command::new(BINARY)
        .env_clear()
        .env("HOME", node.dir.path())
        .current_dir(node.dir.path())
        .args([
            "credential-process",
            "--no-cache",
            "--role-session-name",
            NODE,
        ])
        .args(["--certificate", certificate, "--private-key", key])
        .args(["--endpoint", node.lab.text("endpoint")])
        .args(["--trust-anchor-arn", node.lab.text("trustAnchorArn")])
        .args(["--profile-arn", node.lab.text("profileArn")])
        .args(["--role-arn", node.lab.text("roleArn")])
        .args(more))
}

#[track_caller]
fn refused(output: &Output, code: i32, parts: &[&str]) {
    let told = said(output);
    assert_eq!(output.status.code(), Some(code), "{told}");
    assert!(output.stdout.is_empty(), "nothing for the SDK to misread");
    for part in parts {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn bad_files_and_flags_say_what_is_wrong_and_what_to_do() {
    let node = Node::new(&[]);
    let file = |name: &str, content: &str| {
        fs::write(node.path(name), content).expect("a file in our folder");
        name.to_owned()
    };
    let read = |name: &str| fs::read_to_string(data(name)).expect("the test data");
    let (certificate, key) = (data("pki/rsa-leaf.crt"), data("pki/rsa-leaf.key"));
    let two = file(
        "two.pem",
        &(read("pki/rsa-leaf.crt") + &read("pki/ec-leaf.crt")),
    );
    let junk = file(
        "junk.pem",
        "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
    );
    for (certificate, key, parts) in [
        (
            "/nonexistent/server.pem",
            &*key,
            &["/nonexistent/server.pem", "No such file"][..],
        ),
        (
            &junk,
            &key,
            &["junk.pem", "expected the node's certificate in PEM"],
        ),
        (&key, &key, &["expected the node's certificate in PEM"]),
        (
            &data("pki/rsa-chain-ca-first.pem"),
            &key,
            &["put the node's own certificate first"],
        ),
        (
            &two,
            &key,
            &["two end-entity certificates; keep the current one"],
        ),
        (&certificate, &certificate, &["no private key in PEM"]),
        (
            &certificate,
            &data("pki/ec-leaf.key"),
            &["do not belong together"],
        ),
        (&certificate, "pkcs11:token=a", &["PKCS#11"]),
        (
            &data("pki/rsa-int.crt"),
            &data("pki/rsa-int.key"),
            &["rsa-int.crt", "the certificate is a CA's"],
        ),
    ] {
        refused(&with(&node, certificate, key, &[]), 1, parts);
    }
    let role = "arn:aws:iam::111122223333:role/hybrid-node";
    for (flags, parts) in [
        (
            &["--role-arn", "hybrid-node"][..],
            &["--role-arn", "arn:partition:service"][..],
        ),
        (&["--profile-arn", role], &["--profile-arn", "profile"]),
        (
            &[
                "--trust-anchor-arn",
                "arn:aws:rolesanywhere:us-west-2::trust-anchor/x",
            ],
            &["--trust-anchor-arn"],
        ),
        (&["--session-duration", "60"], &["900", "43200"]),
        (&["--region", "Frankfurt"], &["--region", "us-west-2"]),
        (
            &["--fips", "--region", "eu-central-1"],
            &["--fips", "no FIPS endpoint in eu-central-1"],
        ),
        (&["--role-session-name", "a b"], &["2 to 64"]),
    ] {
        // The last of two equal flags would be a third error, so each stands alone.
        let arguments = [
            ("--trust-anchor-arn", node.lab.text("trustAnchorArn")),
            ("--profile-arn", node.lab.text("profileArn")),
            ("--role-arn", node.lab.text("roleArn")),
        ];
        let mut command = Command::new(BINARY);
        command.env_clear().arg("credential-process");
        for (flag, value) in arguments.into_iter().filter(|(flag, _)| *flag != flags[0]) {
            command.args([flag, value]);
        }
        refused(&run(command.args(flags)), 2, parts);
    }
    let bare = |flag: &[&str]| {
        run(Command::new(BINARY)
            .env_clear()
            .args([
                "credential-process",
                "--no-cache",
                "--certificate",
                &certificate,
            ])
            .args(["--private-key", &key])
            .args(["--trust-anchor-arn", node.lab.text("trustAnchorArn")])
            .args(["--profile-arn", node.lab.text("profileArn")])
            .args(["--role-arn", node.lab.text("roleArn")])
            .current_dir(node.dir.path())
            .args(flag))
    };
    for endpoint in ["ftp://x", "http://127.0.0.1.example"] {
        refused(&bare(&["--endpoint", endpoint]), 2, &["--endpoint takes"]);
    }
    refused(
        &bare(&["--intermediates", "junk.pem"]),
        1,
        &["junk.pem", "expected intermediate certificates"],
    );
    // Other forms than PEM, each with the way out of it; a PKCS#12 file by each flag alone, as its owner has no other file.
    let made = run(Command::new("sh")
        .args(["-ec", "openssl x509 -in $0 -outform DER -out leaf.der; openssl pkey -in $1 -outform DER -out key.der; openssl pkcs12 -export -passout pass: -in $0 -inkey $1 -out node.p12"])
        .args([&certificate, &key])
        .current_dir(node.dir.path()));
    assert!(made.status.success(), "{}", said(&made));
    refused(
        &with(&node, "leaf.der", &key, &[]),
        1,
        &["openssl x509 -inform DER -in leaf.der"],
    );
    refused(
        &with(&node, &certificate, "key.der", &[]),
        1,
        &["openssl pkey -inform DER -in key.der"],
    );
    for flag in ["--certificate", "--private-key"] {
        let mut command = Command::new(BINARY);
        command.env_clear().current_dir(node.dir.path());
        command.args(["credential-process", "--no-cache", flag, "node.p12"]);
        for (name, value) in [
            ("--trust-anchor-arn", "trustAnchorArn"),
            ("--profile-arn", "profileArn"),
            ("--role-arn", "roleArn"),
        ] {
            command.args([name, node.lab.text(value)]);
        }
        refused(
            &run(&mut command),
            1,
            &["node.p12: a PKCS#12 file", "openssl pkcs12 -in node.p12"],
        );
    }
    refused(
        &run(Command::new(BINARY)
            .args(["trust-anchor", "--pem", "leaf.der"])
            .current_dir(node.dir.path())),
        1,
        &["openssl x509 -inform DER -in leaf.der"],
    );
    let ca = ["--endpoint", node.lab.text("endpoint"), "--ca-file"];
    refused(
        &bare(&[&ca[..], &["leaf.der"]].concat()),
        1,
        &["openssl x509 -inform DER -in leaf.der"],
    );
    refused(
        &bare(&[&ca[..], &["junk.pem"]].concat()),
        1,
        &["junk.pem: holds no certificates in PEM"],
    );
}

#[test]
fn an_encrypted_key_needs_its_passphrase_and_an_open_one_is_told() {
    let node = Node::new(&[]);
    let sealed = node.path("sealed.key");
    let output = run(Command::new("openssl")
        .args(["pkcs8", "-topk8", "-passout", "pass:correct horse", "-in"])
        .arg(data("pki/rsa-leaf.key"))
        .arg("-out")
        .arg(&sealed));
    assert!(output.status.success(), "{}", said(&output));
    let (certificate, key) = (data("pki/rsa-leaf.crt"), sealed.to_str().expect("a text"));
    refused(
        &with(&node, &certificate, key, &[]),
        1,
        &["the private key is encrypted", "--pkcs8-password-file"],
    );
    fs::write(node.path("passphrase"), "wrong horse\n").expect("our own folder");
    let flag = ["--pkcs8-password-file", "passphrase"];
    let wrong = with(&node, &certificate, key, &flag);
    refused(&wrong, 1, &["the passphrase does not open the private key"]);
    assert!(!said(&wrong).contains("horse"), "{}", said(&wrong));
    fs::write(node.path("passphrase"), "correct horse\n").expect("our own folder");
    for (mode, told) in [(0o604, true), (0o600, false)] {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(node.path("passphrase"), mode).expect("our own file");
        let opened = with(&node, &certificate, key, &flag);
        assert!(text(&opened).contains("ASIALAB"));
        let said = said(&opened);
        assert_eq!(said.contains("chmod 600"), told, "{said}");
        assert_eq!(said.is_empty(), !told, "{said}");
    }

    // With --debug, standard output is still the SDK's alone.
    let open = node.path("open.key");
    fs::copy(data("pki/rsa-leaf.key"), &open).expect("our own folder");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).expect("our own file");
    let key = open.to_str().expect("a text");
    let output = with(&node, &certificate, key, &["--debug"]);
    let document: Value = serde_json::from_str(&text(&output)).expect("JSON and nothing else");
    assert!(said(&output).contains("chmod 600"), "{}", said(&output));
    for secret in ["SecretAccessKey", "SessionToken"] {
        let secret = document[secret].as_str().expect("a text");
        assert!(!said(&output).contains(secret), "{}", said(&output));
    }
}

/// The command in the place of `aws_signing_helper` in a config file, with the
/// flags that nodeadm writes: the SDK runs it, and AWS is asked once.
#[test]
fn an_sdk_runs_the_credential_process_and_aws_is_asked_once() {
    let node = Node::new(&[]);
    let config = node.path("config");
    let line = format!(
        "[default]\nregion = us-west-2\ncredential_process = {BINARY} credential-process --certificate {} --private-key {} \
         --trust-anchor-arn {} --profile-arn {} --role-arn {} --role-session-name {NODE} --with-proxy --endpoint {}\n",
        data("pki/rsa-leaf.crt"),
        data("pki/rsa-leaf.key"),
        node.lab.text("trustAnchorArn"),
        node.lab.text("profileArn"),
        node.lab.text("roleArn"),
        node.lab.text("endpoint"),
    );
    fs::write(&config, line).expect("our own folder");
    let cache = node.path("cache");
    let keys: Vec<String> = (0..3)
        .map(|_| {
            let (content, said) = node.python(
                "import botocore.session\n\
                 print(botocore.session.Session().get_credentials().get_frozen_credentials().access_key)",
                &[
                    ("AWS_CONFIG_FILE", config.to_str().expect("a text")),
                    ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent"),
                    ("LANDFAST_CACHE_DIR", cache.to_str().expect("a text")),
                    ("NO_PROXY", "127.0.0.1"),
                ],
            );
            assert!(content, "{said}");
            said.lines()
                .find(|line| line.starts_with("ASIALAB"))
                .unwrap_or_else(|| panic!("no key: {said}"))
                .to_owned()
        })
        .collect();
    assert_eq!(keys[0], keys[1]);
    assert_eq!(keys[0], keys[2]);
    let files: Vec<_> = fs::read_dir(&cache).expect("the cache").collect();
    assert_eq!(files.len(), 1, "one session");
    for file in files {
        let metadata = file.and_then(|file| file.metadata()).expect("a file");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }
}

/// In the last quarter of an hour of a session, SDKs run the process at every use: the
/// cache has a new session for them by then.
#[test]
fn an_sdk_runs_the_credential_process_once_in_a_sessions_last_minutes() {
    let node = Node::new(&[]);
    let path = |name: &str| node.path(name).display().to_string();
    text(&run(node
        .session("credential-process")
        .args(["--cache-dir", "cache"])));
    // The session that is kept grows old.
    let entry = fs::read_dir(path("cache"))
        .expect("the cache")
        .next()
        .and_then(Result::ok)
        .expect("one session")
        .path();
    let content = fs::read(&entry).expect("our own file");
    let mut session: Value = serde_json::from_slice(&content).expect("JSON");
    let kept = session["AccessKeyId"].clone();
    let in_minutes = |minutes| {
        let span = jiff::SignedDuration::from_mins(minutes);
        Value::from((jiff::Timestamp::now() + span).to_string())
    };
    session["Expiration"] = in_minutes(14);
    session["Obtained"] = in_minutes(-46);
    fs::write(&entry, session.to_string()).expect("our own file");

    let process = node.session("credential-process");
    let words: Vec<String> = process
        .get_args()
        .map(|word| word.to_str().expect("a text").to_owned())
        .collect();
    let counting = format!(
        "#!/bin/sh\necho run >> {}\nexec {BINARY} \"$@\"\n",
        path("runs")
    );
    fs::write(path("counting"), counting).expect("our own folder");
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(path("counting"), executable).expect("our own file");
    let config = format!(
        "[default]\nregion = us-west-2\ncredential_process = {} {} --cache-dir {}\n",
        path("counting"),
        words.join(" "),
        path("cache")
    );
    fs::write(path("config"), config).expect("our own folder");
    let (content, said) = node.python(
        "import botocore.session\n\
         found = botocore.session.Session().get_credentials()\n\
         print(*{found.get_frozen_credentials().access_key for _ in range(20)})",
        &[
            ("AWS_CONFIG_FILE", &path("config")),
            ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent"),
        ],
    );
    assert!(content, "{said}");
    assert!(said.starts_with("ASIALAB"), "{said}");
    assert_eq!(said.split_whitespace().count(), 1, "{said}");
    assert_ne!(Value::from(said.trim()), kept, "a new session");
    let runs = fs::read_to_string(path("runs")).expect("it ran");
    assert_eq!(runs.lines().count(), 1, "twenty uses");
}

/// While AWS is away, the session of the cache is handed out as long as it is good;
/// without one, the failure is.
#[test]
fn an_outage_leaves_the_session_of_the_cache() {
    let node = Node::new(&[]);
    let endpoint = node.lab.text("endpoint").to_owned();
    let ask = |cache: &str| {
        run(node
            .session("credential-process")
            .args(["--cache-dir", cache]))
    };
    text(&ask("cache"));
    let entry = fs::read_dir(node.path("cache"))
        .expect("the cache")
        .next()
        .and_then(Result::ok)
        .expect("one session")
        .path();
    let content = fs::read_to_string(&entry).expect("our own file");
    let mut session: Value = serde_json::from_str(&content).expect("JSON");
    let in_minutes = |minutes| {
        let span = jiff::SignedDuration::from_mins(minutes);
        Value::from((jiff::Timestamp::now() + span).to_string())
    };
    session["Expiration"] = in_minutes(5);
    session["Obtained"] = in_minutes(-55);
    fs::write(&entry, session.to_string()).expect("our own file");
    let fault = |kind: &str| {
        let faults = format!("[\"{kind}\",\"{kind}\",\"{kind}\"]");
        let url = format!("{endpoint}/lab/faults");
        text(&run(
            Command::new("curl").args(["-fsS", "-d", &faults, &url])
        ));
    };
    fault("unavailable");
    let output = ask("cache");
    let document: Value = serde_json::from_str(&text(&output)).expect("JSON");
    assert_eq!(document["AccessKeyId"], session["AccessKeyId"]);
    assert!(document["Obtained"].is_null(), "the document is the SDK's");
    assert!(
        said(&output).contains("session of the cache"),
        "{}",
        said(&output)
    );
    fault("unavailable");
    let output = ask("other");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    // Back again, the next call has a new session.
    let document: Value = serde_json::from_str(&text(&ask("cache"))).expect("JSON");
    assert_ne!(document["AccessKeyId"], session["AccessKeyId"]);
}

#[test]
fn doctor_asks_aws_when_told_to() {
    let doctor = |node: &Node, anchor: &str, more: &[&str]| {
        let output = run(Command::new(BINARY)
            .env_clear()
            .args(["doctor", "--json", "--online", "--region", "us-west-2"])
            .args(["--certificate", &data("pki/rsa-leaf.crt")])
            .args(["--private-key", &data("pki/rsa-leaf.key")])
            .args(["--trust-anchor", &data(anchor)])
            .args(["--trust-anchor-arn", node.lab.text("trustAnchorArn")])
            .args(["--profile-arn", node.lab.text("profileArn")])
            .args(["--role-arn", node.lab.text("roleArn")])
            .args(more));
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", said(&output)));
        (output.status.code(), report)
    };
    let node = Node::new(&[]);
    let endpoint = ["--endpoint", node.lab.text("endpoint")];
    let (code, report) = doctor(&node, "pki/rsa-int.crt", &endpoint);
    assert_eq!(code, Some(0), "{report}");
    let passed = report["passed"].to_string();
    assert!(
        passed.contains("AWS gave a session as arn:aws:sts::"),
        "{passed}"
    );

    // AWS says little; the files say why.
    let (code, report) = doctor(
        &node,
        "pki/rsa-root.crt",
        &[
            "--endpoint",
            node.lab.text("endpoint"),
            "--node-name",
            "node-2",
        ],
    );
    assert_eq!(code, Some(4));
    let rules = |report: &Value| -> Vec<String> {
        let findings = report["findings"].as_array().expect("a list");
        let errors = findings
            .iter()
            .filter(|finding| finding["severity"] == "error");
        let rule = |finding: &Value| finding["rule"].as_str().expect("a text").to_owned();
        errors.map(rule).collect()
    };
    let found = rules(&report);
    for rule in ["ON-03", "EE-08", "CA-09"] {
        assert!(found.iter().any(|one| one == rule), "{rule}: {report}");
    }
    assert_eq!(report["cause"]["confirmed_by"][0], "EE-08", "{report}");

    let (code, report) = doctor(
        &node,
        "pki/rsa-int.crt",
        &["--endpoint", "http://127.0.0.1:1"],
    );
    assert_eq!(code, Some(3));
    assert_eq!(rules(&report), ["ON-01"], "{report}");
}

/// What `--debug` tells: enough to see why there is a session or none, and no secret.
#[test]
fn debug_tells_what_is_done_and_no_secret() {
    let node = Node::new(&[]);
    let ask = || {
        let output = run(node.session("credential-process").arg("--debug"));
        let document: Value = serde_json::from_str(&text(&output)).expect("JSON and nothing else");
        let told = said(&output);
        for secret in ["SecretAccessKey", "SessionToken"] {
            let secret = document[secret].as_str().expect("a text");
            assert!(!told.contains(secret), "{told}");
        }
        told
    };
    let both = [
        NODE,
        "pki/rsa-leaf.crt",
        "serial=",
        node.lab.text("trustAnchorArn"),
        node.lab.text("profileArn"),
        node.lab.text("roleArn"),
        node.lab.text("endpoint"),
        "us-west-2",
    ];
    let asked = [
        "cache: miss",
        "AWS4-X509-RSA-SHA256",
        "milliseconds=",
        "clock_skew_seconds=",
        "cache: the session is stored",
    ];
    let told = ask();
    for part in both.iter().chain(&asked) {
        assert!(told.contains(part), "{part}: {told}");
    }
    let told = ask();
    for part in both.iter().chain(&["cache: hit"]) {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("milliseconds="), "AWS is not asked: {told}");
}

/// A node whose key is of a curve that only AWS's helper signs with.
#[test]
fn doctor_tells_a_p384_key_from_a_stranger() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).display().to_string();
    for name in ["own", "other"] {
        p384_pair(&path(&format!("{name}.key")), &path(&format!("{name}.pem")));
    }
    let doctor = |key: &str| {
        run(Command::new(BINARY)
            .env_clear()
            .args(["doctor", "--certificate", &path("own.pem")])
            .args(["--private-key", &path(key)]))
    };
    let told = text(&doctor("own.key"));
    assert!(
        told.contains("warning  EE-06") && told.contains("aws_signing_helper"),
        "{told}"
    );
    let stranger = doctor("other.key");
    assert_eq!(stranger.status.code(), Some(4), "{}", said(&stranger));
    let told = String::from_utf8_lossy(&stranger.stdout).into_owned();
    assert!(told.contains("do not belong together"), "{told}");
}
