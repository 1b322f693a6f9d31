//! What is sent and what comes back: CSRs, and the check of certificates.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use base64::Engine;
use serde_json::Value;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::{Args, CsrKey, Plan};

/// Checks a sampled certificate; returns its serial number.
pub(crate) fn verify(args: &Args, plan: &Plan, n: u64, body: &[u8]) -> Result<String> {
    let response: Value = serde_json::from_slice(body).context("the response is not JSON")?;
    let der = |pointer: &str| -> Result<Vec<u8>> {
        let pem = response
            .pointer(pointer)
            .and_then(Value::as_str)
            .with_context(|| format!("nothing at {pointer}"))?;
        from_pem(pem)
    };
    let leaf = der(&args.cert_pointer)?;
    let (rest, certificate) = X509Certificate::from_der(&leaf)?;
    ensure!(
        rest.is_empty(),
        "{} bytes follow the certificate",
        rest.len()
    );
    ensure!(
        certificate.validity().is_valid(),
        "outside its validity: {:?}",
        certificate.validity()
    );
    if response.pointer(&args.issuer_pointer).is_some() {
        let issuer = der(&args.issuer_pointer)?;
        let (_, issuer) = X509Certificate::from_der(&issuer)?;
        if signed_by(&certificate, &issuer).is_none_or(|good| !good) {
            certificate
                .verify_signature(Some(issuer.public_key()))
                .context("the issuer did not sign it")?;
        }
        ensure!(
            certificate.issuer() == issuer.subject(),
            "its issuer name differs from the issuer's subject"
        );
    }
    if let Some(name) = &plan.name {
        let wanted = name.replace("%n", &n.to_string());
        let names = certificate
            .subject_alternative_name()?
            .context("no subject alternative name")?;
        let found = names
            .value
            .general_names
            .iter()
            .any(|name| matches!(name, x509_parser::extensions::GeneralName::DNSName(dns) if *dns == wanted));
        ensure!(found, "{wanted} is not among its names");
    }
    Ok(certificate.raw_serial_as_string())
}

/// Whether the issuer signed the certificate with ML-DSA-65, which x509-parser does not know; none for another algorithm.
fn signed_by(certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> Option<bool> {
    use aws_lc_rs::signature::{ML_DSA_65, UnparsedPublicKey};
    (certificate.signature_algorithm.algorithm.to_id_string() == "2.16.840.1.101.3.4.3.18").then(
        || {
            let key =
                UnparsedPublicKey::new(&ML_DSA_65, &issuer.public_key().subject_public_key.data);
            let signed = certificate.tbs_certificate.as_ref();
            key.verify(signed, &certificate.signature_value.data)
                .is_ok()
        },
    )
}

fn from_pem(pem: &str) -> Result<Vec<u8>> {
    let (_, rest) = pem
        .split_once("-----BEGIN CERTIFICATE-----")
        .context("not a PEM certificate")?;
    let (body, _) = rest
        .split_once("-----END CERTIFICATE-----")
        .context("not a PEM certificate")?;
    let body: String = body.split_whitespace().collect();
    Ok(base64::engine::general_purpose::STANDARD.decode(body)?)
}

pub(crate) fn csr_name(args: &Args) -> String {
    format!("csr.{}", args.domain)
}

pub(crate) fn csr(args: &Args) -> Result<String> {
    let algorithm = match args.csr_key {
        CsrKey::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        CsrKey::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
        CsrKey::Ed25519 => &rcgen::PKCS_ED25519,
    };
    let key = rcgen::KeyPair::generate_for(algorithm)?;
    let mut parameters = rcgen::CertificateParams::new([csr_name(args)])?;
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters
        .distinguished_name
        .push(rcgen::DnType::CommonName, csr_name(args));
    Ok(parameters.serialize_request(&key)?.pem()?)
}

/// Microseconds of CPU for one P-256 key generation and one signature.
pub(crate) fn calibrate() -> Result<f64> {
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING as P256, EcdsaKeyPair};
    let random = ring::rand::SystemRandom::new();
    let bad = |_| anyhow!("ring failed");
    // Long beside the ticks at which the kernel keeps that time.
    least(2500, || {
        let key = EcdsaKeyPair::generate_pkcs8(&P256, &random).map_err(bad)?;
        let key = EcdsaKeyPair::from_pkcs8(&P256, key.as_ref(), &random)
            .map_err(|_| anyhow!("ring refused its own key"))?;
        key.sign(&random, b"to be signed").map_err(bad)?;
        Ok(())
    })
}

/// The same for ML-DSA-65, with a message as long as what is signed of a certificate for such a key. How long a signature takes is a
/// matter of luck (FIPS 204 section 5.2), so many are made.
pub(crate) fn calibrate_ml_dsa() -> Result<f64> {
    use aws_lc_rs::signature::{ML_DSA_65_SIGNING, PqdsaKeyPair};
    let bad = |_| anyhow!("aws-lc-rs failed");
    let message = [7; 2200];
    let ca = PqdsaKeyPair::generate(&ML_DSA_65_SIGNING).map_err(bad)?;
    let mut signature = vec![0; ca.algorithm().signature_len()];
    least(1500, || {
        PqdsaKeyPair::generate(&ML_DSA_65_SIGNING).map_err(bad)?;
        ca.sign(&message, &mut signature).map_err(bad)?;
        Ok(())
    })
}

/// Microseconds of CPU of one piece of work, the least of five averages over `count`.
fn least(count: u32, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut best = f64::MAX;
    for _ in 0..5 {
        let started = on_cpu()?;
        for _ in 0..count {
            work()?;
        }
        best = best.min((on_cpu()? - started).as_secs_f64() * 1e6 / f64::from(count));
    }
    Ok(best)
}

/// How long this thread has run on a CPU. Waiting for one does not count, so
/// that other work on the machine does not look like slow cryptography.
fn on_cpu() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = stat
        .split_whitespace()
        .next()
        .context("an empty schedstat")?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}
