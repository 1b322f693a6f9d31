//! `trust-anchor`: an issuer as a trust anchor of IAM Roles Anywhere, in the shapes in which AWS takes one.
//!
//! These paths need no token, as `ca/pem` needs none: what they show is CA certificates, which are public, in a text around
//! them that the caller could write too.

use std::collections::HashSet;

use jiff::Timestamp;
use landfast_base::limits::ANCHOR_CERTIFICATES;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use landfast_pki::Certificate;
use landfast_pki::anchor::{self, Anchor, Content, Expectations, Form, Notification};
use landfast_pki::lint::Finding;
use landfast_sdk::logical::{CommaList, Cx, Error, Response};

use crate::Mount;
use crate::issuers;
use crate::mount::Shared;
use crate::names::DEFAULT;
use crate::paths::issuers::IssuerRef;

/// Most issuers beside the first one. An anchor of the usual quota holds two certificates.
const MAX_ALSO: usize = 16;

/// What the anchor holds and how it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct AnchorFields {
    /// Other issuers that the anchor holds too, by name or id: the old and the new one while a CA is being changed. At most 16.
    also: CommaList,
    /// Which certificates: `issuing`, the CA that signs leaves, which EKS hybrid nodes need because they send no chain; its `root`;
    /// or `both`.
    #[schemars(extend("default" = "issuing", "enum" = ["issuing", "root", "both"]))]
    anchor: String,
    /// Shape: `pem`, `pem_line`, `pem_body`, `cli`, `cloudformation`, `terraform`, `terraform_json` or `eks_parameters`.
    #[schemars(extend(
        "default" = "pem",
        "enum" = Form::ALL.map(Form::name)
    ))]
    format: String,
    /// Lifetime of the nodes' certificates in days, to set the expiry notices by; 0 leaves the notices out.
    #[schemars(extend("default" = 0))]
    leaf_days: u64,
    /// How many certificates an anchor may hold: the quota of the AWS account.
    #[schemars(extend("default" = ANCHOR_CERTIFICATES))]
    max_certificates: usize,
    /// Name of the anchor: letters, digits, blanks, `-` and `_`. By default made from the mount's path.
    name: String,
    /// Id of an anchor that exists. The text then updates it, which keeps its ARN.
    trust_anchor_id: Option<String>,
}

impl Default for AnchorFields {
    fn default() -> Self {
        Self {
            also: CommaList::default(),
            anchor: Content::Issuing.name().to_owned(),
            format: Form::Pem.name().to_owned(),
            leaf_days: 0,
            max_certificates: ANCHOR_CERTIFICATES,
            name: String::new(),
            trust_anchor_id: None,
        }
    }
}

/// `GET trust-anchor`.
pub(crate) async fn read(mount: Shared, cx: Cx, fields: AnchorFields) -> Result<Response, Error> {
    export(&mount, &cx, DEFAULT, &fields).await?.answer()
}

/// `GET issuer/REF/trust-anchor`.
pub(crate) async fn read_of(
    mount: Shared,
    cx: Cx,
    (issuer, fields): (IssuerRef, AnchorFields),
) -> Result<Response, Error> {
    export(&mount, &cx, &issuer.issuer_ref, &fields)
        .await?
        .answer()
}

/// `GET trust-anchor/raw`: the text alone, to go into a file.
pub(crate) async fn raw(mount: Shared, cx: Cx, fields: AnchorFields) -> Result<Response, Error> {
    Ok(export(&mount, &cx, DEFAULT, &fields).await?.raw())
}

/// `GET issuer/REF/trust-anchor/raw`.
pub(crate) async fn raw_of(
    mount: Shared,
    cx: Cx,
    (issuer, fields): (IssuerRef, AnchorFields),
) -> Result<Response, Error> {
    Ok(export(&mount, &cx, &issuer.issuer_ref, &fields)
        .await?
        .raw())
}

/// An anchor that passed the checks, written out.
struct Export {
    form: Form,
    text: String,
    certificates: Vec<Certificate>,
    warnings: Vec<String>,
}

impl Export {
    fn answer(self) -> Result<Response, Error> {
        let pems: Vec<_> = self.certificates.iter().map(Certificate::pem).collect();
        let ends = self.certificates.iter().map(Certificate::not_after).min();
        let data = json!({
            "trust_anchor": self.text,
            "format": self.form.name(),
            "certificates": pems,
            "expiration": ends.map(Timestamp::as_second),
        });
        Ok(Response::data(&data)?.warn_all(self.warnings))
    }

    fn raw(self) -> Response {
        let mut text = self.text;
        if !text.ends_with('\n') {
            text.push('\n');
        }
        Response::raw(200, self.form.content_type(), text.into_bytes())
    }
}

async fn export(
    mount: &Mount,
    cx: &Cx,
    reference: &str,
    fields: &AnchorFields,
) -> Result<Export, Error> {
    let content: Content = parse(&fields.anchor, "anchor")?;
    let form: Form = parse(&fields.format, "format")?;
    // Before anything is looked up: whoever asks needs no token.
    if fields.also.0.len() > MAX_ALSO {
        return Err(Error::bad_request(format!(
            "also: {} issuers, and at most {MAX_ALSO} are taken; an anchor holds as many certificates as max_certificates says",
            fields.also.0.len()
        )));
    }
    let mut certificates: Vec<Certificate> = Vec::new();
    let mut warnings = Vec::new();
    let mut ids = HashSet::new();
    for reference in std::iter::once(reference).chain(fields.also.iter().map(String::as_str)) {
        let issuer = issuers::load(mount, reference).await?;
        if !ids.insert(issuer.id().to_owned()) {
            continue;
        }
        let chosen = anchor::select_from(content, &issuer.certificate, issuer.root())
            .map_err(|cause| Error::bad_request(format!("issuer {}: {cause}", issuer.label())))?;
        if content == Content::Root && !chosen.contains(&issuer.certificate) {
            warnings.push(format!(
                "CA-09: EKS hybrid nodes send no chain, so an anchor without the issuing CA ({}) refuses them; use anchor=issuing or anchor=both for them",
                issuer.certificate.subject()
            ));
        }
        for one in chosen {
            if !certificates.contains(&one) {
                certificates.push(one);
            }
        }
    }
    let expected = Expectations {
        max_certificates: fields.max_certificates,
        ..Expectations::default()
    };
    let report = anchor::check_against(&certificates, expected, mount.now());
    if !report.is_usable() {
        return Err(Error::bad_request(refusal(&report.errors)));
    }
    warnings.extend(report.warnings.iter().map(said));
    let name = if fields.name.is_empty() {
        name_of(&cx.mount_point)
    } else {
        fields.name.clone()
    };
    let anchor = Anchor {
        trust_anchor_id: fields.trust_anchor_id.clone().filter(|id| !id.is_empty()),
        notifications: match fields.leaf_days {
            0 => Vec::new(),
            days => Notification::for_leaves_of(days).to_vec(),
        },
        ..Anchor::new(name, certificates.iter().map(Certificate::pem).collect())
    };
    if let (Some(_), Err(what)) = (&anchor.trust_anchor_id, form.takes_over()) {
        warnings.push(what.to_owned());
    }
    let text =
        anchor::render(form, &anchor).map_err(|cause| Error::bad_request(cause.to_string()))?;
    Ok(Export {
        form,
        text,
        certificates,
        warnings,
    })
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
    text: &str,
    field: &str,
) -> Result<T, Error> {
    text.parse()
        .map_err(|cause| Error::bad_request(format!("{field}: {cause}")))
}

fn said(finding: &Finding) -> String {
    format!("{}: {}", finding.rule, finding.text)
}

/// What is wrong, and what to do about it: AWS itself would only say that the certificate is not acceptable.
fn refusal(errors: &[Finding]) -> String {
    let mut text = "IAM Roles Anywhere would refuse this trust anchor".to_owned();
    for error in errors {
        text.push_str("; ");
        text.push_str(&said(error));
        let advice = match error.rule {
            "CA-06" => "make an issuer with an RSA or EC key (root/rotate with key_type=ec)",
            "CA-07" => "make a new issuer that is valid long enough (root/rotate with ttl)",
            "CA-08" => {
                "leave issuers out, or raise max_certificates if the quota of the account was raised"
            }
            _ => "make or import a CA certificate that has it",
        };
        text.push_str(" (");
        text.push_str(advice);
        text.push(')');
    }
    text
}

/// The mount's path in the letters that AWS takes for a name.
fn name_of(mount_point: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') {
            c
        } else {
            '-'
        }
    };
    let name: String = mount_point
        .trim_matches('/')
        .chars()
        .map(plain)
        .take(255)
        .collect();
    if name.is_empty() {
        "pki".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_names_the_anchor() {
        assert_eq!(name_of("pki/"), "pki");
        assert_eq!(name_of("team/pki.int/"), "team-pki-int");
        assert_eq!(name_of("/"), "pki");
        assert_eq!(name_of(&"ü".repeat(300)).len(), 255);
    }
}
