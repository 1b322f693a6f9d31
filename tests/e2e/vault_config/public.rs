//! The public front door, as its file has it.

use super::*;
use crate::public::front::{Front, curl, status};
use crate::public::life::make_tls;
use crate::public::prepare;
use crate::support::Server;

#[test]
fn public_json_gives_out_two_mounts_over_http_and_https() {
    let server = Server::dev();
    for mount in ["pki_root", "pki"] {
        server.mount(mount, PLUGIN_NAME);
        prepare(&server.client(), mount);
    }
    let dir = tempfile::tempdir().expect("a folder");
    make_tls(dir.path());
    let file = |name: &str| dir.path().join(name).display().to_string();
    let ca = file("ca.pem");
    let text = filled(
        "public/public.json",
        &[
            ("0.0.0.0:80\"", "127.0.0.1:0\""),
            ("0.0.0.0:443", "127.0.0.1:0"),
            ("127.0.0.1:8081", "127.0.0.1:0"),
            ("/etc/landfast/public/public.pem", &file("tls.pem")),
            ("/etc/landfast/public/public.key", &file("tls.key")),
            ("https://bao.example.com:8200", server.address()),
            ("/etc/landfast/public/server-ca.pem", &ca),
            ("/var/cache/landfast-public", &file("cache")),
        ],
    );
    let config: Value = serde_json::from_str(&text).expect("JSON");
    let front = Front::start_in(dir, &config);
    for address in &front.addresses {
        for mount in ["pki_root", "pki"] {
            let got = curl(
                &format!("{address}/{}/crl", mount.trim_start_matches("pki_")),
                &["--cacert", &ca],
            );
            assert_eq!(status(&got), 200, "{address} {mount}");
        }
    }
    let suggested = Command::new(env!("CARGO_BIN_EXE_landfast"))
        .args(["public", "--suggest-urls", "--config"])
        .arg(path("public/public.json"))
        .output()
        .expect("the binary under test runs");
    let said = String::from_utf8(suggested.stdout).expect("text");
    for mount in ["pki_root", "pki"] {
        let url = if mount == "pki" {
            "/pki/ocsp'"
        } else {
            "/root/ocsp'"
        };
        assert!(
            said.contains(&format!("bao write {mount}/config/urls")),
            "{said}"
        );
        assert!(
            said.contains(&format!("ocsp_servers='http://pki.example.com{url}")),
            "{said}"
        );
    }
}
