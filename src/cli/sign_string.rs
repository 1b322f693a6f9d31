//! `landfast sign-string`: a signature by the node's key, to check with.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use landfast_base::hex;
use landfast_node::crypto::Digest;
use landfast_node::{helper, identity};

use super::{Failure, output};

const EXAMPLES: &str = "\
Example:
  landfast sign-string --private-key server.key --digest SHA256 --format text

The text is \"AWS Roles Anywhere Credential Helper Signing Test\", the version 1,
and for RSA and EC keys the SHA-256 of \"IAM RA\" with the public key (the point,
or the RSAPublicKey of PKCS#1).";

/// Sign a fixed text with a private key, as aws_signing_helper does
///
/// For a look at whether a key works: the text is always the same, so that the
/// signature is good for nothing else. Works offline.
#[derive(Args, Debug)]
#[command(after_help = super::help::below(EXAMPLES, &[]))]
pub(super) struct Arguments {
    /// The private key in PEM
    #[arg(long, value_name = "FILE", default_value = "/etc/iam/pki/server.key")]
    private_key: PathBuf,

    /// A file with the passphrase of an encrypted private key
    #[arg(long, value_name = "FILE", env = "LANDFAST_PKCS8_PASSWORD_FILE")]
    pkcs8_password_file: Option<PathBuf>,

    /// The digest; a curve has its own, ML-DSA has none
    #[arg(long, value_enum, default_value = "SHA256")]
    digest: Hash,

    /// How the signature is printed: hex as JSON or as text, or its octets
    #[arg(long, value_enum, default_value = "json")]
    format: Format,

    /// Taken for scripts that give it: the certificate plays no part
    #[arg(long, value_name = "FILE", hide = true)]
    certificate: Option<PathBuf>,

    /// Taken for scripts that give it: there is nothing more to tell
    #[arg(long, hide = true)]
    debug: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Hash {
    #[value(name = "SHA256")]
    Sha256,
    #[value(name = "SHA384")]
    Sha384,
    #[value(name = "SHA512")]
    Sha512,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Json,
    Text,
    Bin,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    super::log::to_stderr(super::log::Detail::Warnings);
    let path = &arguments.private_key;
    let key =
        identity::key_der(path, arguments.pkcs8_password_file.as_deref()).map_err(Failure::of)?;
    let digest = match arguments.digest {
        Hash::Sha256 => Digest::Sha256,
        Hash::Sha384 => Digest::Sha384,
        Hash::Sha512 => Digest::Sha512,
    };
    let signature = helper::sign_string(key.expose(), digest)
        .map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
    // No line end: the helper prints none, and scripts compare.
    match arguments.format {
        Format::Json => output::print(&format!("\"{}\"", hex(&signature))),
        Format::Text => output::print(&hex(&signature)),
        Format::Bin => output::write(&signature),
    }
}
