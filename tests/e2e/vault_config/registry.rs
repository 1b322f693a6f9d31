//! The plugin as an OCI image, from a registry that is played here.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

use super::*;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// What a registry has: content by its digest, with its type.
#[derive(Default)]
struct Store {
    dir: Option<TempDir>,
    blobs: HashMap<String, (&'static str, Vec<u8>)>,
}

impl Store {
    /// Puts content in and answers how a manifest names it.
    fn put(&mut self, kind: &'static str, content: Vec<u8>) -> Value {
        let dir = self
            .dir
            .get_or_insert_with(|| tempfile::tempdir().expect("a folder"));
        let file = dir.path().join("blob");
        fs::write(&file, &content).expect("a folder of ours");
        let digest = format!("sha256:{}", sum(&file));
        let named = json!({"mediaType": kind, "digest": digest, "size": content.len()});
        self.blobs.insert(digest, (kind, content));
        named
    }
}

/// Serves a store; where.
///
/// Source: OCI Distribution Specification 1.1, "Pull".
fn serve(store: Store) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("a bound socket").port();
    let store = Arc::new(store);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let store = Arc::clone(&store);
            std::thread::spawn(move || answer(stream, &store));
        }
    });
    port
}

fn answer(mut stream: std::net::TcpStream, store: &Store) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut line = String::new();
    while reader.read_line(&mut line).ok()? > 2 {
        line.clear();
    }
    let mut words = first.split_whitespace();
    let (method, path) = (words.next()?, words.next()?);
    let found = path
        .rsplit('/')
        .next()
        .and_then(|digest| store.blobs.get(digest));
    let (status, kind, content) = match found {
        _ if path == "/v2/" => ("200 OK", "application/json", &b"{}"[..]),
        Some((kind, content)) => ("200 OK", *kind, &content[..]),
        None => ("404 Not Found", "application/json", &b"{}"[..]),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        content.len()
    )
    .ok()?;
    if method != "HEAD" {
        stream.write_all(content).ok()?;
    }
    Some(())
}

/// An image with the binary under test as its ENTRYPOINT, in an index with another architecture; the registry's port and the index's digest.
fn published() -> (u16, String) {
    let dir = directory();
    // A copy: links to the binary under test come and go, and tar takes that for a change of the file.
    let binary = dir.path().join("plugins").join(PLUGIN_NAME);
    let copy = dir.path().join("copy");
    fs::copy(&binary, &copy).expect("the binary can be copied");
    fs::rename(&copy, &binary).expect("within one folder");
    let tar = Command::new("tar")
        .args(["--create", "--file=-", "--directory"])
        .args([dir.path().join("plugins").as_os_str(), PLUGIN_NAME.as_ref()])
        .output()
        .expect("tar runs");
    assert!(tar.status.success(), "{tar:?}");
    let mut store = Store::default();
    let layer = store.put(LAYER, tar.stdout);
    let config = json!({
        "architecture": "amd64", "os": "linux",
        "config": {"Entrypoint": [format!("/{PLUGIN_NAME}")]},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    });
    let config = store.put(CONFIG, config.to_string().into_bytes());
    let manifest =
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
    let mut own = store.put(MANIFEST, manifest.to_string().into_bytes());
    own["platform"] = json!({"os": "linux", "architecture": "amd64"});
    let other = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []});
    let mut other = store.put(MANIFEST, other.to_string().into_bytes());
    other["platform"] = json!({"os": "linux", "architecture": "s390x"});
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [other, own]});
    let index = store.put(INDEX, index.to_string().into_bytes());
    let digest = index["digest"].as_str().expect("a digest").to_owned();
    (serve(store), digest)
}

/// `plugins-image.hcl` for a registry here. A binary with debug information may be larger than the file allows.
fn stanza(port: u16, digest: &str) -> String {
    filled(
        "openbao/plugins-image.hcl",
        &[
            ("registry.example.com", format!("127.0.0.1:{port}")),
            ("sha256:DIGEST_OF_THE_MANIFEST", digest.to_owned()),
            (
                "plugin_download_max_size = 134217728",
                "plugin_download_max_size = 2000000000".to_owned(),
            ),
        ],
    )
}

#[test]
fn the_server_fetches_the_image_that_the_digest_names() {
    let (port, digest) = published();
    let site = Site::new(&["bao-1"]);
    // What the server fetches goes beside nothing else.
    fs::remove_file(site.dir.path().join("plugins").join(PLUGIN_NAME)).expect("our own file");
    let beside = [("plugins.hcl", stanza(port, &digest))];
    let mut server = Running::start(&site, Release::Current, "openbao/single.hcl", &beside);
    let key = server.init_shamir();
    let body = json!({"type": "landfast", "config": {"max_lease_ttl": "87600h"}});
    server.client.write("sys/mounts/pki", body).ok();
    let mounted = server.client.read("sys/mounts/pki").ok();
    assert_eq!(mounted.text("running_plugin_version"), "v0.1.0", "the tag");
    let root = json!({"common_name": "Nodes", "key_type": "ec", "ttl": "8760h"});
    server.client.write("pki/root/generate/internal", root).ok();

    // It keeps what it has fetched: the registry is not needed at the next start.
    let token = server.client.token().to_owned();
    drop(server);
    let mut server = Running::start(&site, Release::Current, "openbao/single.hcl", &beside);
    server.unseal(&key);
    server.with_token(&token);
    server.client.read("pki/issuer/default").ok();
}

#[test]
fn the_stanza_that_register_prints_is_fetched_and_run() {
    let (port, digest) = published();
    let output = Command::new(env!("CARGO_BIN_EXE_landfast"))
        .args([
            "register", "--json", "--server", "openbao", "--name", "landfast",
        ])
        .arg(format!("--image=127.0.0.1:{port}/landfast@{digest}"))
        .output()
        .expect("the binary under test runs");
    let printed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let stanza = printed["entries"][0]["image_stanza"]
        .as_str()
        .expect("a stanza");
    let settings = "plugin_auto_download = true\nplugin_auto_register = true\nplugin_download_max_size = 2000000000\n";
    let site = Site::new(&["bao-1"]);
    fs::remove_file(site.dir.path().join("plugins").join(PLUGIN_NAME)).expect("our own file");
    let beside = [("plugins.hcl", format!("{settings}{stanza}"))];
    let mut server = Running::start(&site, Release::Current, "openbao/single.hcl", &beside);
    server.init_shamir();
    server
        .client
        .write("sys/mounts/pki", json!({"type": "landfast"}))
        .ok();
    let mounted = server.client.read("sys/mounts/pki").ok();
    assert_eq!(mounted.text("running_plugin_version"), "v0.1.0");
}

#[test]
fn an_image_of_another_digest_is_not_run() {
    let (port, _) = published();
    let site = Site::new(&["bao-1"]);
    fs::remove_file(site.dir.path().join("plugins").join(PLUGIN_NAME)).expect("our own file");
    let other = format!("sha256:{}", "0".repeat(64));
    let folder = site.dir.path().join("server.d");
    fs::create_dir_all(&folder).expect("a fresh folder");
    fs::create_dir_all(site.dir.path().join("data")).expect("a fresh folder");
    let server = filled("openbao/single.hcl", &own_paths(&site, 1, "data"));
    fs::write(folder.join("server.hcl"), server).expect("a fresh folder");
    fs::write(folder.join("plugins.hcl"), stanza(port, &other)).expect("a fresh folder");
    let output = Command::new("timeout")
        .arg("60")
        .arg(Release::Current.binary())
        .args(["plugin", "init", "-config"])
        .arg(&folder)
        .env("HOME", site.dir.path())
        .output()
        .expect("the server's binary runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && said.contains("404"), "{said}");
    let left = fs::read_dir(site.dir.path().join("plugins")).expect("our own folder");
    let files = left
        .flatten()
        .filter(|entry| entry.path().is_file())
        .count();
    assert_eq!(files, 0);
}
