//! `serve` in the place of instance metadata, as SDKs ask it.

use std::net::TcpStream;

use super::*;

/// An endpoint that ends in a slash, as `aws_signing_helper` prints its own, and no
/// Region but the one that is served.
#[test]
fn boto_finds_credentials_and_region_behind_a_final_slash() {
    let node = Node::new(&[]);
    let serve = Running::start(node.session("serve").args(["--port", "0"]));
    let endpoint = format!("{}/", serve.text("endpoint"));
    let program = "
import botocore.session
from botocore.utils import InstanceMetadataRegionFetcher
found = botocore.session.Session().get_credentials()
fetcher = InstanceMetadataRegionFetcher(base_url=os.environ['AWS_EC2_METADATA_SERVICE_ENDPOINT'])
print(found.method, found.get_frozen_credentials().access_key, fetcher.retrieve_region())";
    let said = until("the metadata service", Duration::from_secs(30), || {
        let (content, said) = node.python(
            program,
            &[
                ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &endpoint),
                ("HOME", "/nonexistent"),
            ],
        );
        content.then_some(said)
    });
    assert!(said.contains("iam-role ASIALAB"), "{said}");
    assert!(said.contains(" us-west-2\n"), "{said}");
}

/// What the service answers to a request as it is written here.
fn answer(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    stream
        .write_all(request.as_bytes())
        .expect("a socket takes a request");
    let mut answer = String::new();
    // A refused connection may be reset behind the answer.
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn strangers_neither_hold_up_nor_talk_in() {
    let node = Node::new(&[]);
    let serve = Running::start(node.session("serve").args(["--port", "0"]));
    let address = serve
        .text("endpoint")
        .strip_prefix("http://")
        .expect("plain HTTP")
        .to_owned();
    let token = |host: &str| {
        let request = format!(
            "PUT /latest/api/token HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        answer(&address, &request)
    };
    assert!(
        token(&address).starts_with("HTTP/1.1 200"),
        "{}",
        token(&address)
    );
    for foreign in [
        "[::1].attacker.example",
        "localhost:80.attacker.example",
        "localhost@attacker.example",
    ] {
        let answer = token(foreign);
        assert!(answer.starts_with("HTTP/1.1 403"), "{foreign}: {answer}");
    }
    // More half requests than there are places: who says all of it is served.
    let half: Vec<TcpStream> = (0..400)
        .map(|_| {
            let mut stream = TcpStream::connect(&address).expect("somebody listens");
            let _ = stream.write_all(b"PUT /latest/api/token HTTP/1.1\r\nHost: ");
            stream
        })
        .collect();
    assert!(
        token(&address).starts_with("HTTP/1.1 200"),
        "{}",
        half.len()
    );
}
