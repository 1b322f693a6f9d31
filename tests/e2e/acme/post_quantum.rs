//! Requests with ML-DSA keys, to a CA with such a key: what the built-in engine does with them, and what ours does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use landfast_pki::Certificate;
use serde_json::json;

use super::client::Acme;
use super::parity::{Steps, both, picture, seen_status};
use crate::support::{MlDsa, Release, Reply};

#[test]
fn requests_with_ml_dsa_keys_are_answered_alike() {
    let (server, dns) = both(Release::Current);
    let (client, others) = (server.client(), MlDsa::new());
    for mount in ["theirs", "ours"] {
        let root = json!({"common_name": "Quantum", "key_type": "mldsa", "key_bits": 65, "issuer_name": "quantum", "ttl": "8760h"});
        let path = format!("{mount}/issuers/generate/root/internal");
        client.write(&path, root).ok();
        let default = json!({"default": "quantum"});
        client
            .write(&format!("{mount}/config/issuers"), default)
            .ok();
        for (role, kind, bits) in [("any", "any", 0), ("r65", "mldsa", 65), ("ec", "ec", 256)] {
            // An ML-DSA key has no other usages (RFC 9881 section 5): see the differences.
            let body = json!({"allow_any_name": true, "key_type": kind, "key_bits": bits, "key_usage": "DigitalSignature"});
            client.write(&format!("{mount}/roles/{role}"), body).ok();
        }
    }
    let keys = [44, 65, 87].map(|size| (size, others.key(size)));
    let root = |mount: &str| {
        let read = client.read(&format!("{mount}/issuer/quantum")).ok();
        read.text("certificate")
    };
    for directory in ["acme", "roles/any/acme", "roles/r65/acme", "roles/ec/acme"] {
        let at = directory.replace('/', "-");
        let requests = keys.each_ref().map(|(size, key)| {
            // The name server answers with all that it was told of a name: each order has its own.
            let name = format!("q{size}.{at}.test");
            let pem = others.csr(key, &name);
            let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
            (size, name, STANDARD.decode(body).expect("PEM"))
        });
        Steps::take(["theirs", "ours"], &dns, |seen, mount, dns| {
            let acme = Acme::new(&server, &format!("{mount}/{directory}")).registered();
            for (size, name, csr) in &requests {
                let what = format!("{directory} {size}");
                let order = acme.order(&[name]).ok();
                acme.prove(&order, dns);
                let mut broken = csr.clone();
                *broken.last_mut().expect("octets") ^= 1;
                let refused = acme.finalize(&order, &broken);
                assert!(refused.status >= 400, "{what}: {refused:?}");
                let mut note = |name: &str, reply: &Reply| {
                    seen.push((format!("{what} {name}"), picture(reply, mount)));
                };
                seen_status(&mut note, "broken", refused);
                let done = acme.finalize(&order, csr);
                let (status, place) = (done.status, done.body["certificate"].clone());
                seen_status(&mut note, "finalized", done);
                if status != 200 {
                    continue;
                }
                let chain = acme.follow(&place, "").ok().bytes;
                let leaf = Certificate::from_pem(&chain).expect("a certificate");
                assert!(
                    csr.windows(leaf.public_key().key_bits().len())
                        .any(|octets| octets == leaf.public_key().key_bits())
                );
                others.check(&root(mount), &[leaf.pem().as_bytes()]);
                let usage = leaf.key_usage().map(|usage| {
                    let names = usage.names();
                    names.collect::<Vec<_>>().join(" ")
                });
                // Without a role, the built-in engine puts in usages for encryption too.
                let usage = usage.filter(|_| directory != "acme");
                let facts = json!({
                    "key": leaf.public_key().bits(), "usage": usage, "names": leaf.dns_names(),
                    "algorithm": leaf.signature_algorithm().map(|one| one.name()).ok(),
                });
                seen.push((format!("{what} leaf"), facts));
            }
        })
        .alike();
    }
}
