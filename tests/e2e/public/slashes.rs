//! OCSP behind a server that makes one slash of two in a path, as HashiCorp Vault does. A stand-in does that here in front of OpenBao: it says nothing else of Vault.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use super::outage::post;
use super::*;
use crate::support::Openssl;

/// Answers a request whose path has two slashes in a row, encoded or not, by a redirect to the path with one; passes on all others. Gives its address.
fn cleaning(server: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let server = server.trim_start_matches("http://").to_owned();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = server.clone();
            thread::spawn(move || one(client, &server));
        }
    });
    address
}

/// One request of a connection, which ends after it.
fn one(mut client: TcpStream, server: &str) -> Option<()> {
    let mut head = Vec::new();
    let mut octet = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut octet).ok()?;
        head.push(octet[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let path = head.split(' ').nth(1)?;
    let plain = path.replace("%2F", "/");
    if plain.contains("//") {
        let mut clean = plain;
        while clean.contains("//") {
            clean = clean.replace("//", "/");
        }
        let answer = format!(
            "HTTP/1.1 307 x\r\nlocation: {clean}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        return client.write_all(answer.as_bytes()).ok();
    }
    let mut server = TcpStream::connect(server).ok()?;
    let head = head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
    server.write_all(head.as_bytes()).ok()?;
    let mut upload = (client.try_clone().ok()?, server.try_clone().ok()?);
    thread::spawn(move || std::io::copy(&mut upload.0, &mut upload.1));
    let _ = std::io::copy(&mut server, &mut client);
    client.shutdown(Shutdown::Both).ok()
}

#[test]
fn a_question_with_two_slashes_is_answered_behind_a_server_that_takes_one_away() {
    let server = server(Release::Current);
    for address in [server.address().to_owned(), cleaning(server.address())] {
        let front = Front::start(&config(&address));
        for (mount, _) in MOUNTS {
            let ca = front.curl(&format!("/{mount}/ca/pem"), &[]);
            let ca = String::from_utf8(body(&ca).to_vec()).expect("PEM");
            // Ones all over: base64 of them is slashes. With a nonce the mount is asked for this client alone.
            let serial = ["-serial", "0x7fffffffffffffffffffffffffffffffffffff"];
            let openssl = Openssl::new();
            let plain = openssl.ocsp_request(&ca, &serial);
            let own = openssl.ocsp_request(&ca, &[&serial[..], &["-nonce"]].concat());
            for (what, question) in [("plain", plain), ("own", own)] {
                let text =
                    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &question);
                assert!(text.contains("//"), "{text}");
                let file = front::file(&front, "question.der", question);
                let answer = post(&front, mount, &format!("@{}", file.display()));
                assert_eq!(status(&answer), 200, "{mount} {what} {address}");
                // OCSPResponse, successful (RFC 6960 section 4.2.1).
                let der = body(&answer);
                assert!(
                    der.windows(3).take(6).any(|part| part == [10, 1, 0]),
                    "{mount} {what}"
                );
            }
        }
    }
}
