//! The shapes in which people hand a trust anchor to AWS.
//!
//! | form | for |
//! | --- | --- |
//! | [`Form::Pem`] | files, `--certificate-authority-data`, most tools |
//! | [`Form::PemLine`] | environment files, `-var`, `jq` |
//! | [`Form::PemBody`] | templates that want the base64 body alone |
//! | [`Form::Cli`] | `aws rolesanywhere create-trust-anchor` or `update-trust-anchor` with `--cli-input-json` |
//! | [`Form::CloudFormation`] | a stack |
//! | [`Form::Terraform`], [`Form::TerraformJson`] | the `aws` provider |
//! | [`Form::EksParameters`] | the parameters of AWS's template for EKS hybrid nodes |

use std::fmt::Write as _;
use std::str::FromStr;

use serde_json::{Value, json};

/// A shape of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// PEM blocks, each ending in a newline.
    Pem,
    /// The same in one line, newlines as `\n`.
    PemLine,
    /// The base64 body of the only certificate, without line breaks.
    PemBody,
    /// Input of CreateTrustAnchor, or of UpdateTrustAnchor if the anchor exists already.
    Cli,
    /// A CloudFormation template in YAML.
    CloudFormation,
    /// Terraform configuration.
    Terraform,
    /// Terraform configuration in JSON.
    TerraformJson,
    /// A CloudFormation parameter file with `CABundleCert`.
    EksParameters,
}

impl Form {
    /// All of them: the names that the API, the commands and errors know.
    pub const ALL: [Self; 8] = [
        Self::Pem,
        Self::PemLine,
        Self::PemBody,
        Self::Cli,
        Self::CloudFormation,
        Self::Terraform,
        Self::TerraformJson,
        Self::EksParameters,
    ];

    /// The name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pem => "pem",
            Self::PemLine => "pem_line",
            Self::PemBody => "pem_body",
            Self::Cli => "cli",
            Self::CloudFormation => "cloudformation",
            Self::Terraform => "terraform",
            Self::TerraformJson => "terraform_json",
            Self::EksParameters => "eks_parameters",
        }
    }

    /// What it is, in a few words.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Pem => "PEM blocks",
            Self::PemLine => "The same in one line, newlines as \\n: for variables and jq",
            Self::PemBody => "The base64 body of the only certificate",
            Self::Cli => "For aws --cli-input-json",
            Self::CloudFormation => "A CloudFormation template",
            Self::Terraform => "Terraform configuration",
            Self::TerraformJson => "Terraform configuration in JSON",
            Self::EksParameters => "Parameters for AWS's template of EKS hybrid nodes",
        }
    }

    /// Whether the text takes an anchor over that exists ([`Anchor::trust_anchor_id`]), by the line to the reader of
    /// one that does not.
    ///
    /// # Errors
    /// What to do instead.
    pub const fn takes_over(self) -> Result<(), &'static str> {
        match self {
            Self::Cli | Self::Terraform | Self::TerraformJson => Ok(()),
            Self::CloudFormation => Err(
                "the id of the trust anchor is not in this template, which makes a new anchor: import the one that exists into the stack (aws cloudformation create-change-set --change-set-type IMPORT), or take the form cli",
            ),
            Self::Pem | Self::PemLine | Self::PemBody | Self::EksParameters => Err(
                "the id of the trust anchor is not in this form, which holds certificates only: take the form cli or terraform to change an anchor that exists",
            ),
        }
    }

    /// The media type of the text.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Pem => "application/x-pem-file",
            Self::PemLine | Self::PemBody | Self::Terraform => "text/plain",
            Self::Cli | Self::TerraformJson | Self::EksParameters => "application/json",
            Self::CloudFormation => "application/yaml",
        }
    }
}

impl FromStr for Form {
    type Err = FormError;

    fn from_str(text: &str) -> Result<Self, FormError> {
        Self::ALL
            .into_iter()
            .find(|form| form.name() == text)
            .ok_or(FormError::Unknown)
    }
}

/// Why a form cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormError {
    /// Not the name of a form.
    #[error("unknown form; one of {}", Form::ALL.map(Form::name).join(", "))]
    Unknown,
    /// A body without markers cannot say where one certificate ends.
    #[error("the form pem_body holds one certificate, and this trust anchor has {0}")]
    OneBody(usize),
    /// IAM Roles Anywhere: 1 to 255 letters, digits, blanks, `-` and `_`.
    #[error(
        "the name of a trust anchor has 1 to 255 letters, digits, blanks, hyphens and underscores"
    )]
    Name,
    /// IAM Roles Anywhere names anchors by UUID.
    #[error("a trust anchor id is a UUID in lower case, as in an ARN behind `trust-anchor/`")]
    Id,
    /// IAM Roles Anywhere: 1 to 360 days.
    #[error("the threshold of a notification is 1 to 360 days")]
    Threshold,
    /// IAM Roles Anywhere: keys of 1 to 128, values of up to 256 characters.
    #[error(
        "a tag has a key of 1 to 128 and a value of up to 256 letters, digits, blanks and _ . : / = + @ -"
    )]
    Tag,
}

/// Everything that a form may say about an anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// Name of the anchor.
    pub name: String,
    /// One PEM block for each certificate.
    pub certificates: Vec<String>,
    /// The id of an existing anchor: the form updates it or takes it over, where it can
    /// ([`Form::takes_over`]), which keeps the ARN that trust policies and nodes hold.
    pub trust_anchor_id: Option<String>,
    /// When AWS speaks up. An update leaves them as they are.
    pub notifications: Vec<Notification>,
    /// Tags, in order. An update leaves them as they are.
    pub tags: Vec<(String, String)>,
    /// A CRL in PEM for templates that can carry one.
    pub crl: Option<String>,
}

/// One notification setting of an anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notification {
    /// What ends.
    pub event: Event,
    /// Days ahead, 1 to 360.
    pub threshold: u16,
    /// Whether AWS should speak up at all.
    pub enabled: bool,
}

/// What a notification is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A certificate of the anchor.
    CaCertificateExpiry,
    /// The certificate of a node.
    EndEntityCertificateExpiry,
}

impl Event {
    const fn name(self) -> &'static str {
        match self {
            Self::CaCertificateExpiry => "CA_CERTIFICATE_EXPIRY",
            Self::EndEntityCertificateExpiry => "END_ENTITY_CERTIFICATE_EXPIRY",
        }
    }
}

impl Notification {
    /// Settings that fit leaves of a given life, in days: two months ahead for the CA; for nodes a
    /// quarter of a life, and silence where leaves live less than four days, because AWS counts in
    /// whole days and a node with a fresh certificate would always be "about to expire".
    pub fn for_leaves_of(days: u64) -> [Self; 2] {
        let threshold = u16::try_from((days / 4).clamp(1, 45)).unwrap_or(45);
        [
            Self {
                event: Event::CaCertificateExpiry,
                threshold: 60,
                enabled: true,
            },
            Self {
                event: Event::EndEntityCertificateExpiry,
                threshold,
                enabled: days >= 4,
            },
        ]
    }
}

impl Anchor {
    /// An anchor with nothing but a name and certificates.
    pub fn new(name: impl Into<String>, certificates: Vec<String>) -> Self {
        Self {
            name: name.into(),
            certificates,
            trust_anchor_id: None,
            notifications: Vec::new(),
            tags: Vec::new(),
            crl: None,
        }
    }

    /// The certificates as one PEM text.
    pub fn pem(&self) -> String {
        self.certificates
            .iter()
            .map(|pem| format!("{}\n", pem.trim()))
            .collect()
    }

    fn check(&self) -> Result<(), FormError> {
        let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_');
        if !(1..=255).contains(&self.name.len()) || !self.name.chars().all(name) {
            return Err(FormError::Name);
        }
        let id = |id: &String| {
            let groups: Vec<&str> = id.split('-').collect();
            let plain = |b: u8| b.is_ascii_digit() || b.is_ascii_lowercase();
            groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
                && groups[0]
                    .bytes()
                    .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
                && groups.iter().flat_map(|group| group.bytes()).all(plain)
        };
        if !self.trust_anchor_id.as_ref().is_none_or(id) {
            return Err(FormError::Id);
        }
        if !self
            .notifications
            .iter()
            .all(|n| (1..=360).contains(&n.threshold))
        {
            return Err(FormError::Threshold);
        }
        // Nothing here means anything to YAML, JSON or Terraform inside of double quotes.
        let plain = |c: char| c.is_ascii_alphanumeric() || " _.:/=+@-".contains(c);
        let tag = |(key, value): &(String, String)| {
            (1..=128).contains(&key.len())
                && value.len() <= 256
                && key.chars().chain(value.chars()).all(plain)
        };
        if self.tags.iter().all(tag) {
            Ok(())
        } else {
            Err(FormError::Tag)
        }
    }

    fn source(&self) -> Value {
        json!({
            "sourceType": CERTIFICATE_BUNDLE,
            "sourceData": { "x509CertificateData": self.pem() },
        })
    }
}

/// Writes an anchor in a form.
///
/// # Errors
/// The form cannot carry the anchor, or AWS would refuse a part of it.
pub fn render(form: Form, anchor: &Anchor) -> Result<String, FormError> {
    anchor.check()?;
    Ok(match form {
        Form::Pem => anchor.pem(),
        Form::PemLine => anchor.pem().trim_end().replace('\n', "\\n"),
        Form::PemBody => match anchor.certificates.as_slice() {
            [only] => only
                .lines()
                .filter(|line| !line.starts_with('-'))
                .map(str::trim)
                .collect(),
            other => return Err(FormError::OneBody(other.len())),
        },
        Form::Cli => pretty(&cli(anchor)),
        Form::CloudFormation => cloudformation(anchor),
        Form::Terraform => terraform(anchor),
        Form::TerraformJson => pretty(&terraform_json(anchor)),
        Form::EksParameters => pretty(&json!({ "Parameters": { "CABundleCert": anchor.pem() } })),
    })
}

fn cli(anchor: &Anchor) -> Value {
    if let Some(id) = &anchor.trust_anchor_id {
        return json!({ "trustAnchorId": id, "source": anchor.source() });
    }
    let mut request = json!({
        "name": anchor.name,
        "enabled": true,
        "source": anchor.source(),
    });
    if !anchor.notifications.is_empty() {
        let settings = anchor.notifications.iter().map(|n| {
            json!({
                "enabled": n.enabled,
                "event": n.event.name(),
                "threshold": n.threshold,
                "channel": "ALL",
            })
        });
        request["notificationSettings"] = settings.collect();
    }
    if !anchor.tags.is_empty() {
        let tags = anchor
            .tags
            .iter()
            .map(|(key, value)| json!({ "key": key, "value": value }));
        request["tags"] = tags.collect();
    }
    request
}

/// The service trims trailing white space of a PEM text, so block scalars end in `|-`: otherwise
/// every later change set would report drift.
fn cloudformation(anchor: &Anchor) -> String {
    let mut out = String::from(
        "AWSTemplateFormatVersion: '2010-09-09'\n\
         Resources:\n\
         \x20 HybridAnchor:\n\
         \x20   Type: AWS::RolesAnywhere::TrustAnchor\n\
         \x20   Properties:\n",
    );
    let _ = write!(
        out,
        "      Name: {}\n      Enabled: true\n      Source:\n        SourceType: {CERTIFICATE_BUNDLE}\n        SourceData:\n          X509CertificateData: |-\n",
        quoted(&anchor.name)
    );
    indent(&mut out, 12, &anchor.pem());
    if !anchor.notifications.is_empty() {
        out.push_str("      NotificationSettings:\n");
        for n in &anchor.notifications {
            let _ = writeln!(
                out,
                "        - {{Enabled: {}, Event: {}, Threshold: {}, Channel: ALL}}",
                n.enabled,
                n.event.name(),
                n.threshold
            );
        }
    }
    if !anchor.tags.is_empty() {
        out.push_str("      Tags:\n");
        for (key, value) in &anchor.tags {
            let _ = writeln!(
                out,
                "        - {{Key: {}, Value: {}}}",
                quoted(key),
                quoted(value)
            );
        }
    }
    if let Some(crl) = &anchor.crl {
        let _ = write!(
            out,
            "  HybridCrl:\n    Type: AWS::RolesAnywhere::CRL\n    Properties:\n      Name: {}\n      Enabled: true\n      TrustAnchorArn: !GetAtt HybridAnchor.TrustAnchorArn\n      CrlData: |-\n",
            quoted(&crl_name(&anchor.name))
        );
        indent(&mut out, 8, crl);
    }
    out.push_str("Outputs:\n  TrustAnchorArn:\n    Value: !GetAtt HybridAnchor.TrustAnchorArn\n");
    out
}

fn terraform(anchor: &Anchor) -> String {
    let mut out = anchor
        .trust_anchor_id
        .as_ref()
        .map_or_else(String::new, |id| {
            format!(
                "import {{\n  to = {RESOURCE}\n  id = {}\n}}\n\n",
                quoted(id)
            )
        });
    let _ = write!(
        out,
        "resource \"aws_rolesanywhere_trust_anchor\" \"hybrid\" {{\n  name    = {}\n  enabled = true\n\n  source {{\n    source_type = \"{CERTIFICATE_BUNDLE}\"\n    source_data {{\n      x509_certificate_data = chomp(<<-PEM\n",
        quoted(&anchor.name)
    );
    indent(&mut out, 8, &anchor.pem());
    out.push_str("      PEM\n      )\n    }\n  }\n");
    for n in &anchor.notifications {
        let _ = write!(
            out,
            "\n  notification_settings {{\n    channel   = \"ALL\"\n    enabled   = {}\n    event     = \"{}\"\n    threshold = {}\n  }}\n",
            n.enabled,
            n.event.name(),
            n.threshold
        );
    }
    if !anchor.tags.is_empty() {
        out.push_str("\n  tags = {\n");
        for (key, value) in &anchor.tags {
            let _ = writeln!(out, "    {} = {}", quoted(key), quoted(value));
        }
        out.push_str("  }\n");
    }
    out.push_str(
        "}\n\noutput \"trust_anchor_arn\" {\n  value = aws_rolesanywhere_trust_anchor.hybrid.arn\n}\n",
    );
    out
}

fn terraform_json(anchor: &Anchor) -> Value {
    let mut resource = json!({
        "name": anchor.name,
        "enabled": true,
        "source": [{
            "source_type": CERTIFICATE_BUNDLE,
            "source_data": [{ "x509_certificate_data": anchor.pem().trim_end() }],
        }],
    });
    if !anchor.notifications.is_empty() {
        let settings = anchor.notifications.iter().map(|n| {
            json!({
                "channel": "ALL",
                "enabled": n.enabled,
                "event": n.event.name(),
                "threshold": n.threshold,
            })
        });
        resource["notification_settings"] = settings.collect();
    }
    if !anchor.tags.is_empty() {
        let tags = anchor
            .tags
            .iter()
            .map(|(key, value)| (key.clone(), json!(value)));
        resource["tags"] = Value::Object(tags.collect());
    }
    let mut document = json!({
        "resource": { "aws_rolesanywhere_trust_anchor": { "hybrid": resource } },
        "output": {
            "trust_anchor_arn": { "value": "${aws_rolesanywhere_trust_anchor.hybrid.arn}" },
        },
    });
    // From version 1.5 on, Terraform takes over what exists by the plan; so does OpenTofu.
    if let Some(id) = &anchor.trust_anchor_id {
        document["import"] = json!([{ "to": RESOURCE, "id": id }]);
    }
    document
}

/// Room for the suffix within the 255 characters of a name.
fn crl_name(anchor: &str) -> String {
    format!("{}-crl", &anchor[..anchor.len().min(251)])
}

fn indent(out: &mut String, by: usize, text: &str) {
    for line in text.lines() {
        let _ = writeln!(out, "{:by$}{}", "", line.trim_end());
    }
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// A JSON string, which YAML reads as the same text; a plain scalar could be taken for a number
/// or a truth value.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The anchor's address in Terraform configuration.
const RESOURCE: &str = "aws_rolesanywhere_trust_anchor.hybrid";

const CERTIFICATE_BUNDLE: &str = "CERTIFICATE_BUNDLE";

#[cfg(test)]
mod tests;
