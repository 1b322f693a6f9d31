//! The control plane of IAM Roles Anywhere. The only file of this crate that
//! names the service's SDK.
//!
//! Credentials come from where every AWS program finds them: environment,
//! shared files with their `credential_process`, web identity, container and
//! instance metadata.

use std::error::Error as StdError;
use std::time::Duration;

use aws_config::Region;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_rolesanywhere::Client;
use aws_sdk_rolesanywhere::config::http::HttpResponse;
use aws_sdk_rolesanywhere::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_rolesanywhere::primitives::Blob;
use aws_sdk_rolesanywhere::types::{
    CrlDetail, Source, SourceData, TrustAnchorDetail, TrustAnchorType,
};
use landfast_base::arn::Arn;
use landfast_pki::{Certificate, Crl};

use super::Progress;
use super::crl::Held;
use crate::http::{self, HttpError, causes};

/// The control plane takes one call a second of each kind; so often is one tried.
const ATTEMPTS: u32 = 6;
const CONNECT: Duration = Duration::from_secs(5);
const ATTEMPT: Duration = Duration::from_secs(15);

/// The account and Region of a trust anchor.
#[derive(Clone, Debug)]
pub struct Account {
    client: Client,
}

/// A trust anchor as AWS holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldAnchor {
    /// Its name.
    pub name: String,
    /// Whether it takes part.
    pub enabled: bool,
    /// Its certificates.
    pub certificates: Vec<Certificate>,
}

/// Why AWS gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// No answer, or no way to it.
    #[error("{operation}: no answer from AWS: {cause}{advice}")]
    Unreachable {
        /// The operation.
        operation: &'static str,
        /// What went wrong below: with which host, and by which proxy.
        cause: String,
        /// What to do, behind a semicolon, where that is known.
        advice: &'static str,
    },
    /// Nobody lends credentials.
    #[error(
        "{operation}: no AWS credentials: {cause}; set AWS_PROFILE or AWS_ACCESS_KEY_ID, or log in as for the aws command"
    )]
    Credentials {
        /// The operation.
        operation: &'static str,
        /// What the sources said.
        cause: String,
    },
    /// AWS refused.
    #[error("{operation}: {code}: {message}{hint}")]
    Refused {
        /// The operation.
        operation: &'static str,
        /// AWS's error type.
        code: String,
        /// AWS's text.
        message: String,
        /// What to do about it, after a semicolon.
        hint: String,
    },
    /// An answer that is not what the API documents.
    #[error("{operation}: the answer {what}")]
    Answer {
        /// The operation.
        operation: &'static str,
        /// What is wrong with it.
        what: String,
    },
}

impl Account {
    /// The account of `anchor`, at the public endpoint or another.
    ///
    /// # Errors
    /// [`HttpError`], when `AWS_CA_BUNDLE` names no certificates.
    pub async fn of(anchor: &Arn, endpoint: Option<&str>) -> Result<Self, HttpError> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .operation_attempt_timeout(ATTEMPT)
            .build();
        let authorities = http::ca_bundle(|name| std::env::var(name).ok());
        let loader = http::sdk(authorities.as_deref())?
            .region(Region::new(anchor.region.clone()))
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(timeouts);
        let config = loader.load().await;
        let mut own = aws_sdk_rolesanywhere::config::Builder::from(&config);
        if let Some(url) = endpoint {
            own = own.endpoint_url(url);
        }
        Ok(Self {
            client: Client::from_conf(own.build()),
        })
    }

    /// The trust anchor.
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn anchor(&self, arn: &Arn) -> Result<HeldAnchor, AwsError> {
        const OPERATION: &str = "GetTrustAnchor";
        let call = self.client.get_trust_anchor().trust_anchor_id(arn.name());
        let answer = call.send().await.map_err(|error| read(OPERATION, &error))?;
        held(OPERATION, answer.trust_anchor)
    }

    /// Replaces the anchor's certificates; its ARN stays.
    ///
    /// # Errors
    /// [`AwsError`], also when AWS then says that it holds something else.
    pub async fn replace(
        &self,
        arn: &Arn,
        certificates: &[Certificate],
    ) -> Result<HeldAnchor, AwsError> {
        const OPERATION: &str = "UpdateTrustAnchor";
        let pem: String = certificates.iter().map(Certificate::pem).collect();
        let source = Source::builder()
            .source_type(TrustAnchorType::CertificateBundle)
            .source_data(SourceData::X509CertificateData(pem))
            .build();
        let call = self.client.update_trust_anchor();
        let call = call.trust_anchor_id(arn.name()).source(source);
        let answer = call.send().await.map_err(|error| read(OPERATION, &error))?;
        let now = held(OPERATION, answer.trust_anchor)?;
        if super::anchor::Difference::of(&now.certificates, certificates).is_empty() {
            Ok(now)
        } else {
            Err(AwsError::Answer {
                operation: OPERATION,
                what: "names other certificates than were sent: look at the trust anchor".into(),
            })
        }
    }

    /// The CRLs of the anchor.
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn crls(&self, anchor: &Arn) -> Result<Vec<Held>, AwsError> {
        const OPERATION: &str = "ListCrls";
        let pages = self.client.list_crls().into_paginator().items().send();
        let all = pages.collect::<Result<Vec<CrlDetail>, _>>().await;
        let all = all.map_err(|error| read(OPERATION, &error))?;
        let arn = anchor.to_string();
        let own = all
            .into_iter()
            .filter(|crl| crl.trust_anchor_arn.as_deref() == Some(arn.as_str()));
        Ok(own.map(held_crl).collect())
    }

    /// Imports a CRL, enabled, and returns its id.
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn import(&self, name: &str, list: &Crl, anchor: &Arn) -> Result<String, AwsError> {
        const OPERATION: &str = "ImportCrl";
        let call = self.client.import_crl();
        let call = call
            .name(name)
            .crl_data(Blob::new(list.pem()))
            .trust_anchor_arn(anchor.to_string())
            .enabled(true);
        let answer = call.send().await.map_err(|error| read(OPERATION, &error))?;
        let id = answer.crl.and_then(|crl| crl.crl_id);
        id.ok_or_else(|| lacks(OPERATION, "a CRL with an id"))
    }

    /// Replaces the CRL under an id.
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn update(&self, id: &str, list: &Crl) -> Result<(), AwsError> {
        let call = self.client.update_crl().crl_id(id);
        let sent = call.crl_data(Blob::new(list.pem())).send().await;
        sent.map(drop).map_err(|error| read("UpdateCrl", &error))
    }

    /// Switches a CRL on.
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn enable(&self, id: &str) -> Result<(), AwsError> {
        let sent = self.client.enable_crl().crl_id(id).send().await;
        sent.map(drop).map_err(|error| read("EnableCrl", &error))
    }

    /// The certificates with which sessions were opened, of every anchor of the
    /// account.
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn seen(&self, progress: &mut dyn Progress) -> Result<Vec<Certificate>, AwsError> {
        let mut pages = self.client.list_subjects().into_paginator().items().send();
        let mut subjects = Vec::new();
        while let Some(subject) = pages.next().await {
            subjects.push(subject.map_err(|error| read("ListSubjects", &error))?);
            progress.at("subjects listed by AWS", subjects.len(), None);
        }
        let all = subjects.len();
        let mut certificates = Vec::new();
        for (done, subject) in subjects.into_iter().enumerate() {
            progress.at("subjects of AWS read", done, Some(all));
            let id = subject.subject_id.unwrap_or_default();
            let answer = self.client.get_subject().subject_id(id).send().await;
            let answer = answer.map_err(|error| read("GetSubject", &error))?;
            let shown = answer.subject.and_then(|subject| subject.credentials);
            for credential in shown.into_iter().flatten() {
                let pem = credential.x509_certificate_data().unwrap_or_default();
                certificates.extend(Certificate::from_pem(pem.as_bytes()));
            }
        }
        Ok(certificates)
    }
}

fn held(
    operation: &'static str,
    anchor: Option<TrustAnchorDetail>,
) -> Result<HeldAnchor, AwsError> {
    let anchor = anchor.ok_or_else(|| lacks(operation, "a trust anchor"))?;
    let data = anchor.source().and_then(|source| source.source_data());
    let Some(SourceData::X509CertificateData(pem)) = data else {
        return Err(AwsError::Answer {
            operation,
            what: "names a trust anchor that is no certificate bundle: one of AWS Private CA is not synced".into(),
        });
    };
    let certificates =
        Certificate::all_from_pem(pem.as_bytes()).map_err(|error| AwsError::Answer {
            operation,
            what: format!("holds certificates that cannot be read: {error}"),
        })?;
    Ok(HeldAnchor {
        certificates,
        enabled: anchor.enabled.unwrap_or(false),
        name: anchor.name.unwrap_or_default(),
    })
}

fn held_crl(crl: CrlDetail) -> Held {
    let data = crl.crl_data.map(Blob::into_inner).unwrap_or_default();
    let list = Crl::from_pem(&data).or_else(|_| Crl::from_der(&data));
    Held {
        id: crl.crl_id.unwrap_or_default(),
        name: crl.name.unwrap_or_default(),
        enabled: crl.enabled.unwrap_or(false),
        list: list.ok(),
    }
}

fn lacks(operation: &'static str, what: &str) -> AwsError {
    AwsError::Answer {
        operation,
        what: format!("lacks {what}"),
    }
}

/// Tells an SDK error apart.
fn read<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> AwsError
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    let cause = causes(error);
    match error {
        SdkError::ServiceError(answer) if !answer.raw().status().is_success() => {
            let status = answer.raw().status().as_u16();
            let body = answer.raw().body().bytes().unwrap_or_default();
            if http::wants_tls(status, body) {
                return AwsError::Answer {
                    operation,
                    what: "is that of a server of HTTPS: give the endpoint as https://".into(),
                };
            }
            let meta = answer.err().meta();
            let code = meta
                .code()
                .map_or_else(|| format!("HTTP status {status}"), str::to_owned);
            let hint = match code.as_str() {
                "AccessDeniedException" => {
                    format!("; the caller's policy must allow rolesanywhere:{operation}")
                }
                "ResourceNotFoundException" => {
                    "; compare the ARN with the console, and its Region".to_owned()
                }
                _ => String::new(),
            };
            AwsError::Refused {
                operation,
                code,
                message: meta.message().unwrap_or_default().to_owned(),
                hint,
            }
        }
        SdkError::ServiceError(_) | SdkError::ResponseError(_) => AwsError::Answer {
            operation,
            what: format!("cannot be read: {cause}"),
        },
        _ if lacks_credentials(error) => AwsError::Credentials { operation, cause },
        _ => AwsError::Unreachable {
            operation,
            advice: http::endpoint_advice(&cause),
            cause,
        },
    }
}

/// Whether the chain of credential sources is what failed.
fn lacks_credentials(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<CredentialsError>() {
            return true;
        }
        next = error.source();
    }
    false
}
