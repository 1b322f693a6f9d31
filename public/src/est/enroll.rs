//! Has the server sign, or make keys.

use http::StatusCode;
use hyper::body::Bytes;
use landfast_base::Secret;
use landfast_pki::{Certificate, Csr, KeyEncoding, PrivateKey};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::label::Label;
use super::login::{Session, forwarded};
use super::refusal::Refusal;
use super::{answers, body};
use crate::certs_only::{self, certs_only};
use crate::request::Visitor;
use crate::upstream::{Answer, Call};

/// The media type of a key with its certificate. The boundary cannot stand in base64.
pub(crate) const PARTS: &str = "multipart/mixed; boundary=est--part";

#[derive(Deserialize)]
struct Issued {
    certificate: String,
    #[serde(default, deserialize_with = "answers::maybe_secret")]
    private_key: Option<Secret<String>>,
}

/// Has a request signed; the answer is the certificate alone (RFC 7030 section 4.2.3).
///
/// # Errors
/// The server refuses, or cannot be asked.
pub(crate) async fn sign(
    label: &Label,
    session: &Session,
    visitor: &Visitor,
    csr: &Csr,
) -> Result<Bytes, Refusal> {
    let request = json!({"csr": csr.pem(), "format": "pem"});
    let issued = ask(label, session, visitor, "sign", &request).await?;
    let certificate = certificate(&issued)?;
    if certificate.public_key().spki_der() != csr.public_key().spki_der() {
        return Err(Refusal::upstream(
            "the certificate is not over the key of the request",
        ));
    }
    Ok(body::encode(&certs_only([certificate.der()])))
}

/// Has the server make a key, for the names in a request; the answer is the key and its certificate (RFC 7030 section 4.4.2).
///
/// # Errors
/// The server refuses, or cannot be asked, or a name is of a kind that it cannot be told of.
pub(crate) async fn issue(
    label: &Label,
    session: &Session,
    visitor: &Visitor,
    csr: &Csr,
) -> Result<Bytes, Refusal> {
    let request = names(csr)?;
    let issued = ask(label, session, visitor, "issue", &request).await?;
    let certificate = certificate(&issued)?;
    let broken = || Refusal::upstream("the server's answer has no private key");
    let key = issued.private_key.as_ref().ok_or_else(broken)?;
    let key = PrivateKey::from_pem(key.expose().as_bytes()).map_err(|_| broken())?;
    if certificate.public_key().spki_der() != key.public_key().spki_der() {
        return Err(Refusal::upstream(
            "the certificate is not over the key that came with it",
        ));
    }
    let key = key.to_der(KeyEncoding::Pkcs8).map_err(|_| broken())?;
    Ok(parts(&key, &certificate))
}

fn certificate(issued: &Issued) -> Result<Certificate, Refusal> {
    let read = Certificate::from_pem(issued.certificate.as_bytes());
    read.map_err(|_| Refusal::upstream("the server's answer has no certificate"))
}

async fn ask(
    label: &Label,
    session: &Session,
    visitor: &Visitor,
    verb: &str,
    request: &Value,
) -> Result<Issued, Refusal> {
    let (mount, role) = (&label.mount.path, &label.role);
    let path = match &label.issuer {
        Some(issuer) => format!("{mount}/issuer/{issuer}/{verb}/{role}"),
        None => format!("{mount}/{verb}/{role}"),
    };
    let mut call = Call::post(&path, Bytes::from(request.to_string()));
    call.namespace = label.mount.namespace.as_deref();
    call.token = Some(session.token());
    call.active = true;
    call.headers = forwarded(visitor);
    let answer = label.mount.upstream.call(call).await?;
    if answer.status != StatusCode::OK {
        return Err(refused(&path, &answer));
    }
    answers::data(answer)
}

/// What the server says of a request is about the request, which the client may know.
fn refused(path: &str, answer: &Answer) -> Refusal {
    let text = answer.error().unwrap_or_default();
    let cause = format!("{path}: {} {text}", answer.status.as_u16());
    match answer.status {
        StatusCode::FORBIDDEN => {
            Refusal::forbidden("the policies of this login do not allow to enrol here")
                .because(cause)
        }
        StatusCode::BAD_REQUEST => {
            let line: String = text.chars().filter(|c| !c.is_control()).take(500).collect();
            Refusal::bad(format!("the certificate authority refuses: {line}")).because(cause)
        }
        _ => Refusal::upstream(cause),
    }
}

/// The names of a request as the fields of `issue`.
fn names(csr: &Csr) -> Result<Value, Refusal> {
    let names = csr.subject_alt_names();
    if !names.rest.is_empty() {
        return Err(Refusal::bad(
            "the request has alternative names of a kind that no key is made for here: only DNS, mail, IP, URI and UTF-8 names",
        ));
    }
    let texts: Vec<&str> = names
        .dns
        .iter()
        .chain(&names.emails)
        .map(String::as_str)
        .collect();
    if texts
        .iter()
        .chain(&names.uris.iter().map(String::as_str).collect::<Vec<_>>())
        .any(|name| name.contains(','))
    {
        return Err(Refusal::bad("a name of the request has a comma in it"));
    }
    let other = names
        .other
        .iter()
        .map(|one| format!("{};UTF8:{}", one.oid, one.value));
    let ips = names.ips.iter().map(ToString::to_string);
    Ok(json!({
        "common_name": csr.subject().common_name().unwrap_or_default(),
        "alt_names": texts.join(","),
        "ip_sans": ips.collect::<Vec<_>>(),
        "uri_sans": names.uris,
        "other_sans": other.collect::<Vec<_>>(),
        "format": "pem",
        "private_key_format": "pkcs8",
    }))
}

/// Two parts of MIME: the key in PKCS#8, then its certificate.
fn parts(key: &Secret<Vec<u8>>, certificate: &Certificate) -> Bytes {
    let key = body::encode_secret(key);
    let certificates = body::encode(&certs_only([certificate.der()]));
    let mut whole = Zeroizing::new(Vec::with_capacity(key.len() + certificates.len() + 512));
    for (kind, part) in [
        ("application/pkcs8", &key[..]),
        (certs_only::KIND, &certificates[..]),
    ] {
        whole.extend_from_slice(b"--est--part\r\nContent-Type: ");
        whole.extend_from_slice(kind.as_bytes());
        whole.extend_from_slice(b"\r\nContent-Transfer-Encoding: base64\r\n\r\n");
        whole.extend_from_slice(part);
        whole.extend_from_slice(b"\r\n");
    }
    whole.extend_from_slice(b"--est--part--\r\n");
    Bytes::from_owner(whole)
}
