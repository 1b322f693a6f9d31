//! Recovery shares that only their holders can read.

use super::*;
use crate::support::Python;

/// Makes a PGP key for each name, as `NAME.asc` and `NAME.secret` in a folder.
const KEYS: &str = "import sys, pathlib
from pysequoia import Cert
folder = pathlib.Path(sys.argv[1])
for name in sys.argv[2:]:
    key = Cert.generate(f'{name} <{name}@example.com>')
    (folder / f'{name}.asc').write_text(str(key))
    (folder / f'{name}.secret').write_text(str(key.secrets))";

/// Decrypts what stands in base64 on standard input's place, by a key of the above.
const DECRYPT: &str = "import sys, base64
from pysequoia import Cert, decrypt
key = Cert.from_file(sys.argv[1])
print(decrypt(decryptor=key.secrets.decryptor(), bytes=base64.b64decode(sys.argv[2])).bytes.decode())";

fn python(program: &str, arguments: &[&str]) -> (bool, String) {
    Python::run("python", &[&["-c", program], arguments].concat())
}

#[test]
fn recovery_shares_and_root_token_come_out_encrypted_to_their_holders() {
    let site = Site::new(&["bao-1"]);
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().display().to_string();
    let holders = ["anna", "boris", "carla"];
    let (made, said) = python(KEYS, &[&[folder.as_str()], &holders[..]].concat());
    assert!(made, "{said}");

    let fake = crate::seal::host::fake();
    let beside = [
        ("plugins.hcl", site.plugins()),
        ("seal.hcl", site.seal("openbao/seal-awskms.hcl", &fake)),
    ];
    let mut server = Running::start(&site, Release::Current, "openbao/single.hcl", &beside);
    let line = format!("{} 2 anna.asc boris.asc carla.asc", script("initialize.sh"));
    let printed = run(&mut server.shell(&line, home.path()));
    let shares: Value = serde_json::from_str(&printed).expect("JSON");
    server.await_health(200);
    assert_eq!(shares["recovery_keys_shares"], 3);
    assert_eq!(shares["recovery_keys_threshold"], 2);

    let open = |holder: &str, text: &Value| {
        let secret = home.path().join(format!("{holder}.secret"));
        let secret = secret.to_str().expect("a path of ours").to_owned();
        let (opened, said) = python(DECRYPT, &[&secret, text.as_str().expect("base64")]);
        // Behind it may stand what Python warns of.
        let line = said.lines().next().unwrap_or_default().to_owned();
        (opened, if opened { line } else { said })
    };
    // The root token is the first holder's, and nobody else's.
    let (opened, token) = open("anna", &shares["root_token"]);
    assert!(opened, "{token}");
    let (opened, _) = open("boris", &shares["root_token"]);
    assert!(!opened);
    server.with_token(&token);
    server.client.read("sys/mounts").ok();

    // Two of the three shares make a root token anew.
    let share = |at: usize| {
        let (opened, share) = open(holders[at], &shares["recovery_keys_b64"][at]);
        assert!(opened, "{share}");
        share
    };
    let (first, third) = (share(0), share(2));
    assert_ne!(first, third);
    let (opened, _) = open("boris", &shares["recovery_keys_b64"][0]);
    assert!(!opened, "another's share");
    let begun = server
        .client
        .write(
            "sys/rotate/recovery/init",
            json!({"secret_shares": 1, "secret_threshold": 1}),
        )
        .ok();
    let nonce = begun.text("nonce");
    let bring = |key: &str| {
        let body = json!({"key": key, "nonce": nonce});
        server.client.write("sys/rotate/recovery/update", body).ok()
    };
    assert_ne!(bring(&first).data()["complete"], json!(true));
    assert_eq!(bring(&third).data()["complete"], json!(true));
}

#[test]
fn fewer_keys_than_the_threshold_are_refused() {
    let output = Command::new(path("initialize.sh"))
        .args(["3", "anna.asc", "boris.asc"])
        .env("BAO", "false")
        .output()
        .expect("bash runs");
    assert_eq!(output.status.code(), Some(2));
}
