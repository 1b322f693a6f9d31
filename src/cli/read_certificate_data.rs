//! `landfast read-certificate-data`: a certificate as AWS's helper shows it.

use std::path::PathBuf;

use clap::Args;
use landfast_node::helper::CertificateData;
use landfast_node::identity;

use super::{Failure, output};

const EXAMPLES: &str = "\
Example:
  landfast read-certificate-data --certificate server.pem | jq -r .serialNumber";

/// Show a certificate as aws_signing_helper does
///
/// Prints one JSON object: keyType, certificateData (DER in base64, what goes
/// into the X-Amz-X509 header), serialNumber (decimal, what goes into the
/// credential) and supportedAlgorithms. Works offline.
#[derive(Args, Debug)]
#[command(after_help = super::help::below(EXAMPLES, &[]))]
pub(super) struct Arguments {
    /// The certificate in PEM; the first one counts
    #[arg(long, value_name = "FILE", default_value = "/etc/iam/pki/server.pem")]
    certificate: PathBuf,

    /// Taken for scripts that give it: there is nothing more to tell
    #[arg(long, hide = true)]
    debug: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(error.to_string());
    let (leaf, _) =
        identity::certificates(&arguments.certificate).map_err(|error| failed(&error))?;
    let text =
        serde_json::to_string(&CertificateData::of(&leaf)).map_err(|error| failed(&error))?;
    output::print(&text)
}
