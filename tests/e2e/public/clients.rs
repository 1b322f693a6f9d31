//! What clients get of both engines of both releases.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::front::file;
use super::*;
use crate::support::Openssl;

/// What `openssl ocsp` says of a certificate, asking by POST.
fn asked(front: &Front, path: &str, ca: &Path, certificate: &Path, nonce: bool) -> String {
    let url = front.url(path);
    let output = Command::new("openssl")
        .args([
            "ocsp",
            "-url",
            &url,
            if nonce { "-nonce" } else { "-no_nonce" },
        ])
        .arg("-issuer")
        .arg(ca)
        .arg("-CAfile")
        .arg(ca)
        .arg("-cert")
        .arg(certificate)
        .output()
        .expect("openssl runs");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("Response verify OK"), "{said}");
    let name = certificate
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let status = said
        .lines()
        .find_map(|line| line.split_once(&format!("{name}: ")));
    status.unwrap_or_else(|| panic!("{said}")).1.to_owned()
}

#[test]
fn lists_certificates_and_answers_are_those_of_the_mounts() {
    for release in [Release::Current, Release::Previous] {
        let server = server(release);
        let front = Front::start(&config(server.address()));
        let stranger = server.client().with_token("");
        for (mount, _) in MOUNTS {
            let (good, _) = issue(&server.client(), mount);
            let (bad, serial) = issue(&server.client(), mount);
            revoke(&server.client(), mount, &serial);
            let get = |path: &str| {
                let got = front.curl(&format!("/{mount}/{path}"), &[]);
                assert_eq!(status(&got), 200, "{release:?} {mount} {path}");
                (
                    header(&got, "content-type").expect("a kind"),
                    body(&got).to_vec(),
                )
            };
            let issuer = stranger
                .read(&format!("{mount}/issuer/first/json"))
                .ok()
                .text("issuer_id");
            for (path, same, kind) in [
                ("crl", "crl", "application/pkix-crl"),
                ("crl/pem", "crl/pem", "application/x-pem-file"),
                (
                    "issuer/first/crl",
                    "issuer/first/crl/der",
                    "application/pkix-crl",
                ),
                (
                    &format!("issuer/{issuer}/crl/pem"),
                    "crl/pem",
                    "application/x-pem-file",
                ),
                ("ca", "ca", "application/pkix-cert"),
                ("anchor", "ca", "application/pkix-cert"),
                (
                    "ca/pem",
                    "issuer/first/pem",
                    "application/pem-certificate-chain",
                ),
                (
                    "issuer/first/anchor/pem",
                    "issuer/first/pem",
                    "application/pem-certificate-chain",
                ),
                (
                    "issuer/first/ca",
                    "issuer/first/der",
                    "application/pkix-cert",
                ),
                (
                    "chain",
                    "issuer/first/pem",
                    "application/pem-certificate-chain",
                ),
            ] {
                let (found, octets) = get(path);
                let theirs = stranger.read(&format!("{mount}/{same}")).ok().bytes;
                let trimmed = |octets: &[u8]| octets.trim_ascii_end().to_vec();
                assert_eq!(found, kind, "{release:?} {mount} {path}");
                let same = if kind.contains("pem") {
                    trimmed(&octets) == trimmed(&theirs)
                } else {
                    octets == theirs
                };
                assert!(same, "{release:?} {mount} {path}");
            }
            for path in ["issuer/second/crl", "issuer/first/nothing", "crl/der/pem"] {
                assert_eq!(
                    status(&front.curl(&format!("/{mount}/{path}"), &[])),
                    404,
                    "{path}"
                );
            }
            let (kind, message) = get("chain/p7c");
            assert!(kind.starts_with("application/pkcs7-mime"), "{kind}");
            let p7c = file(&front, "chain.p7c", message);
            let shown = Command::new("openssl")
                .args(["pkcs7", "-inform", "DER", "-print_certs", "-in"])
                .arg(p7c)
                .output()
                .expect("openssl runs");
            assert!(String::from_utf8_lossy(&shown.stdout).contains(&format!("root of {mount}")));

            let ca = file(&front, "ca.pem", get("ca/pem").1);
            let (good, bad) = (file(&front, "good.pem", good), file(&front, "bad.pem", bad));
            for nonce in [false, true] {
                let path = format!("/{mount}/ocsp");
                assert_eq!(asked(&front, &path, &ca, &good, nonce), "good");
                assert_eq!(asked(&front, &path, &ca, &bad, nonce), "revoked");
            }
        }
    }
}

#[test]
fn a_delta_list_comes_out_where_there_is_one_and_a_revocation_is_seen() {
    let server = server(Release::Current);
    let front = Front::start(&config(server.address()));
    let client = server.client();
    for (mount, _) in MOUNTS {
        let crl = format!("/{mount}/crl");
        let before = front.curl(&crl, &[]);
        let change = json!({"auto_rebuild": true, "enable_delta": true});
        client.write(&format!("{mount}/config/crl"), change).ok();
        let (_, serial) = issue(&client, mount);
        revoke(&client, mount, &serial);
        client.read(&format!("{mount}/crl/rotate-delta")).ok();
        let delta =
            crate::support::until("a delta list", std::time::Duration::from_secs(20), || {
                let got = front.curl(&format!("/{mount}/crl/delta/pem"), &[]);
                (status(&got) == 200).then(|| body(&got).to_vec())
            });
        let text = Openssl::new().text("crl", &String::from_utf8(delta).expect("PEM"));
        assert!(text.contains("Delta CRL Indicator"), "{text}");
        assert!(
            text.contains(&serial.replace(':', "").to_uppercase()),
            "{text}"
        );
        client.read(&format!("{mount}/crl/rotate")).ok();
        crate::support::until("the revocation", std::time::Duration::from_secs(20), || {
            let now = front.curl(&crl, &[]);
            (body(&now) != body(&before)).then_some(())
        });
    }
}

#[test]
fn conditional_requests_and_heads_cost_no_body() {
    let server = server(Release::Current);
    let mut config = config(server.address());
    // Nothing changes while this runs: an answer of OCSP is another one each time that it is asked for.
    config["limits"]["refresh_seconds"] = json!(600);
    let front = Front::start(&config);
    let leaf = issue(&server.client(), "ours").0;
    let ca = front.curl("/ours/ca/pem", &[]);
    let request = Openssl::new();
    let leaf = request.file("leaf.pem", leaf).display().to_string();
    let ca = String::from_utf8(body(&ca).to_vec()).expect("PEM");
    let question = request.ocsp_request(&ca, &["-cert", &leaf]);
    let question = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, question);
    // As clients write it that do not encode, and as those that do.
    let paths = [
        "/ours/crl".to_owned(),
        "/ours/crl/pem".to_owned(),
        "/ours/chain".to_owned(),
        format!("/ours/ocsp/{question}"),
        format!(
            "/ours/ocsp/{}",
            question
                .replace('+', "%2B")
                .replace('/', "%2F")
                .replace('=', "%3D")
        ),
    ];
    for path in paths {
        let whole = front.curl(&path, &[]);
        assert_eq!(status(&whole), 200, "{path}");
        let length = body(&whole).len().to_string();
        let etag = header(&whole, "etag").expect("a mark");
        let modified = header(&whole, "last-modified").expect("a date");
        assert!(
            header(&whole, "expires").is_some()
                && header(&whole, "cache-control").is_some_and(|value| value.contains("max-age="))
        );
        let head = front.curl(&path, &["--head"]);
        assert_eq!((status(&head), body(&head)), (200, &b""[..]), "{path}");
        assert_eq!(header(&head, "content-length"), Some(length));
        for (name, value, wanted) in [
            ("if-none-match", etag.clone(), 304),
            ("if-none-match", format!("\"x\", W/{etag}"), 304),
            ("if-none-match", "\"x\"".to_owned(), 200),
            ("if-modified-since", modified, 304),
            (
                "if-modified-since",
                "Thu, 01 Jan 1970 00:00:00 GMT".to_owned(),
                200,
            ),
        ] {
            let line = format!("{name}: {value}");
            let got = front.curl(&path, &["--header", &line]);
            assert_eq!(status(&got), wanted, "{path} {line}");
            assert_eq!(body(&got).is_empty(), wanted == 304, "{path} {line}");
            assert_eq!(header(&got, "etag"), Some(etag.clone()), "{path} {line}");
        }
    }
    // As curl does it with files.
    let (kept, mark) = (front.dir().join("crl.der"), front.dir().join("crl.etag"));
    let [kept, mark] = [&kept, &mark].map(|path| path.display().to_string());
    for wanted in ["200", "304"] {
        let output = Command::new("curl")
            .args([
                "--silent",
                "--noproxy",
                "*",
                "--etag-save",
                &mark,
                "--etag-compare",
                &mark,
                "--output",
                &kept,
                "--write-out",
                "%{http_code}",
            ])
            .arg(front.url("/ours/crl"))
            .output()
            .expect("curl runs");
        assert_eq!(String::from_utf8_lossy(&output.stdout), wanted);
    }
}

#[test]
fn certificates_name_it_after_what_it_suggests_was_written() {
    let server = server(Release::Current);
    let front = Front::start(&config(server.address()));
    let file = front.dir().join("public.json");
    let suggest = |more: &[&str]| {
        let output = server
            .landfast()
            .args([
                "public",
                "--suggest-urls",
                "--url",
                &front.addresses[0],
                "--config",
            ])
            .arg(&file)
            .args(more)
            .output()
            .expect("the binary under test runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("text")
    };
    // The commands as they are printed, run by a shell.
    let script = suggest(&[]);
    let bin = crate::support::commands(front.dir(), &Release::Current.binary(), "bao");
    let run = Command::new("sh")
        .args(["-euc", &script])
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .env("BAO_ADDR", server.address())
        .env("BAO_TOKEN", server.client().token())
        .output()
        .expect("a shell");
    assert!(
        run.status.success(),
        "{script}\n{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let json: Value = serde_json::from_str(&suggest(&["--json"])).expect("JSON");
    for (at, (mount, _)) in MOUNTS.iter().enumerate() {
        let written = server.client().read(&format!("{mount}/config/urls")).ok();
        for (name, value) in json[at]["data"].as_object().expect("fields") {
            assert_eq!(&written.data()[name], value, "{mount} {name}");
        }
        let (leaf, _) = issue(&server.client(), mount);
        let shown = Openssl::new().text("x509", &leaf);
        let id = server
            .client()
            .read(&format!("{mount}/issuer/first/json"))
            .ok()
            .text("issuer_id");
        for path in [
            format!("/{mount}/issuer/{id}/crl"),
            format!("/{mount}/issuer/{id}/ca"),
            format!("/{mount}/ocsp"),
        ] {
            assert!(
                shown.contains(&format!("URI:{}", front.url(&path))),
                "{path}: {shown}"
            );
        }
        assert_eq!(
            status(&front.curl(&format!("/{mount}/issuer/{id}/crl"), &[])),
            200
        );
        assert_eq!(
            status(&front.curl(&format!("/{mount}/issuer/{id}/ca"), &[])),
            200
        );
    }
}

#[test]
fn one_mount_needs_no_file_and_no_token() {
    let server = server(Release::Current);
    let words = [
        "--listen",
        "127.0.0.1:0",
        "--address",
        server.address(),
        "--mount",
        "builtin",
    ];
    let front = Front::with_words(&words);
    for path in ["/crl", "/ca", "/chain", "/ca/p7c", "/issuer/first/crl"] {
        assert_eq!(status(&front.curl(path, &[])), 200, "{path}");
    }
    assert_eq!(status(&front.curl("/pki/crl", &[])), 404);
}
