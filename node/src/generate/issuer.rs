//! The issuer of service-account tokens of an EKS Anywhere cluster: what AWS
//! reads of it, what the API server must be told, and the certificate of the
//! webhook that hands tokens to pods.
//!
//! Source: OpenID Connect Discovery 1.0; RFC 7517 and RFC 7518 section 6;
//! Kubernetes documentation, "Service account issuer discovery"; IAM user
//! guide, "Obtain the thumbprint for an OpenID Connect identity provider".

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use der::asn1::UintRef;
use der::{Decode, Sequence};
use landfast_base::{Secret, hex, sha1, sha256};
use landfast_pki::{Certificate, KeyType, PrivateKey, PublicKey};
use landfast_rolesanywhere::rules::is_node_name;
use landfast_rolesanywhere::trust;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Description, DescriptionError, Document, Reader};
use crate::form::{self, Wanted};

/// The audience of tokens for AWS.
const AUDIENCE: &str = "sts.amazonaws.com";
/// Where kubeadm, and so EKS Anywhere, keeps the keys of an API server: its
/// `sa.pub` and `sa.key` are those of service accounts.
const KEYS: &str = "/etc/kubernetes/pki";

/// The issuer, and who may take roles by its tokens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceAccounts {
    /// Its URL, under which AWS must be able to read the two documents.
    pub issuer: String,
    /// The public keys of service accounts in PEM: the one that signs now, and
    /// others whose tokens are still about.
    pub public_keys: Vec<PathBuf>,
    /// The chain that the issuer's host shows, in PEM, its highest CA last.
    /// AWS needs no thumbprint of hosts whose CA it trusts.
    #[serde(default)]
    pub endpoint_chain: Option<PathBuf>,
    /// Service accounts that may take the role, as `namespace/name`.
    #[serde(default)]
    pub subjects: Vec<String>,
    /// The pod-identity webhook's certificate.
    #[serde(default)]
    pub webhook: Option<Webhook>,
}

/// The serving certificate of the pod-identity webhook, from the PKI mount.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// The certificate in PEM, leaf first.
    pub certificate: PathBuf,
    /// Its private key in PEM.
    pub private_key: PathBuf,
    /// The CA that the API server is to trust, in PEM.
    pub ca: PathBuf,
    /// Its namespace.
    #[serde(default = "namespace")]
    pub namespace: String,
    /// Its service, which gives the webhook and the secret their names.
    #[serde(default = "service")]
    pub service: String,
}

#[derive(Sequence)]
struct RsaKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

impl ServiceAccounts {
    /// Every document; the AWS request gets `number`.
    pub(super) fn documents(
        &self,
        description: &Description,
        number: usize,
        read: Reader<'_>,
    ) -> Result<Vec<Document>, DescriptionError> {
        self.check()?;
        let keys = self.keys(read)?;
        let thumbprint = self.thumbprint(read)?;
        let mut all = vec![
            Document::json(
                "oidc/.well-known/openid-configuration",
                &self.discovery(&keys),
            ),
            Document::json("oidc/keys.json", &json!({ "keys": keys })),
            self.request(number, thumbprint.as_deref()),
            self.cloud_formation(thumbprint.as_deref()),
            self.terraform(thumbprint.as_deref()),
            self.flags(),
            self.cluster_patch(description),
        ];
        if !self.subjects.is_empty() {
            let policy = self.trust_policy(description);
            all.push(Document::json("pod-trust-policy.json", &policy));
        }
        if let Some(webhook) = &self.webhook {
            all.extend(webhook.documents(read)?);
        }
        Ok(all)
    }

    fn check(&self) -> Result<(), DescriptionError> {
        let refuse = |field, problem: &str| Err(DescriptionError::field(field, problem));
        let host = self.issuer.strip_prefix("https://").unwrap_or_default();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/:".contains(c);
        if host.is_empty()
            || host.starts_with('/')
            || host.ends_with('/')
            || !host.chars().all(plain)
        {
            return refuse(
                "service_accounts.issuer",
                "an https:// URL without a query and without a slash at its end, such as https://oidc.example/prod",
            );
        }
        if self.public_keys.is_empty() {
            return refuse(
                "service_accounts.public_keys",
                "name the file of --service-account-key-file",
            );
        }
        let names: Vec<_> = self
            .public_keys
            .iter()
            .map(|path| path.file_name())
            .collect();
        if (1..names.len()).any(|i| names[..i].contains(&names[i])) {
            return refuse(
                "service_accounts.public_keys",
                "two files of one name, which would be one file on the API servers",
            );
        }
        let word = |text: &str| is_node_name(text) || is_label(text);
        let subject = |text: &String| {
            text.split_once('/')
                .is_some_and(|(namespace, name)| is_label(namespace) && word(name))
        };
        if !self.subjects.iter().all(subject) {
            return refuse("service_accounts.subjects", "namespace/name each");
        }
        Ok(())
    }

    fn keys(&self, read: Reader<'_>) -> Result<Vec<Value>, DescriptionError> {
        let mut keys = Vec::new();
        for path in &self.public_keys {
            let text = read(path)?;
            let refuse = |problem: &str| {
                let problem = format!("{}: {problem}", path.display());
                DescriptionError::field("service_accounts.public_keys", problem)
            };
            if landfast_pki::pem::blocks(text.expose())
                .iter()
                .any(|block| block.label.ends_with("PRIVATE KEY"))
            {
                return Err(refuse(
                    "a private key, which belongs on the API servers only; openssl pkey -pubout makes the public one",
                ));
            }
            let key = PublicKey::from_pem(text.expose()).map_err(|error| {
                let problem = format!("no PUBLIC KEY in PEM: {error}");
                refuse(&form::other(path, text.expose(), Wanted::PublicKey).unwrap_or(problem))
            })?;
            let key = jwk(&key).ok_or_else(|| refuse("neither RSA nor P-256, P-384 or P-521"))?;
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        Ok(keys)
    }

    fn thumbprint(&self, read: Reader<'_>) -> Result<Option<String>, DescriptionError> {
        let Some(path) = &self.endpoint_chain else {
            return Ok(None);
        };
        let text = read(path)?;
        let chain = Certificate::all_from_pem(text.expose()).unwrap_or_default();
        let highest = chain.last().ok_or_else(|| {
            let problem = instead(path, &text, Wanted::Certificates, "no certificates in PEM");
            DescriptionError::field("service_accounts.endpoint_chain", problem)
        })?;
        Ok(Some(hex(&sha1(highest.der()))))
    }

    fn discovery(&self, keys: &[Value]) -> Value {
        let mut algorithms: Vec<&Value> = keys.iter().map(|key| &key["alg"]).collect();
        algorithms.dedup();
        json!({
            "issuer": self.issuer,
            "jwks_uri": format!("{}/keys.json", self.issuer),
            "authorization_endpoint": "urn:kubernetes:programmatic_authorization",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": algorithms,
            "claims_supported": ["sub", "iss"],
        })
    }

    fn request(&self, number: usize, thumbprint: Option<&str>) -> Document {
        let mut request = json!({ "Url": self.issuer, "ClientIDList": [AUDIENCE] });
        if let Some(thumbprint) = thumbprint {
            request["ThumbprintList"] = json!([thumbprint]);
        }
        let path = format!("aws/{number}-iam-create-open-id-connect-provider.json");
        Document::json(path, &request)
    }

    fn cloud_formation(&self, thumbprint: Option<&str>) -> Document {
        let mut provider = json!({ "Url": self.issuer, "ClientIdList": [AUDIENCE] });
        if let Some(thumbprint) = thumbprint {
            provider["ThumbprintList"] = json!([thumbprint]);
        }
        let template = json!({
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": "The issuer of service-account tokens of an EKS Anywhere cluster",
            "Resources": {
                "PodIssuer": {"Type": "AWS::IAM::OIDCProvider", "Properties": provider},
            },
            "Outputs": {"PodIssuerArn": {"Value": {"Ref": "PodIssuer"}}},
        });
        Document::json("cloudformation-pods.json", &template)
    }

    fn terraform(&self, thumbprint: Option<&str>) -> Document {
        let mut provider = json!({ "url": self.issuer, "client_id_list": [AUDIENCE] });
        if let Some(thumbprint) = thumbprint {
            provider["thumbprint_list"] = json!([thumbprint]);
        }
        let arn = "${aws_iam_openid_connect_provider.pods.arn}";
        let configuration = json!({
            "resource": {"aws_iam_openid_connect_provider": {"pods": provider}},
            "output": {"pod_issuer_arn": {"value": arn}},
        });
        Document::json("pods.tf.json", &configuration)
    }

    /// The issuer comes first among the audiences: tokens that ask for none
    /// keep what they have.
    fn flags(&self) -> Document {
        let mut text = format!(
            "--service-account-issuer={0}\n--service-account-jwks-uri={0}/keys.json\n--api-audiences={0},{AUDIENCE}\n",
            self.issuer
        );
        // The first signs; tokens of all of them are taken.
        let file = |path: &Path| Path::new(KEYS).join(path.file_name().unwrap_or_default());
        for path in &self.public_keys {
            let public = file(path);
            text.push_str(&format!(
                "--service-account-key-file={}\n",
                public.display()
            ));
        }
        if let Some(path) = self.public_keys.first() {
            let private = file(path).with_extension("key");
            text.push_str(&format!(
                "--service-account-signing-key-file={}\n",
                private.display()
            ));
        }
        Document::public("kube-apiserver-flags.txt", text)
    }

    fn cluster_patch(&self, description: &Description) -> Document {
        let patch = json!({
            "apiVersion": "anywhere.eks.amazonaws.com/v1alpha1",
            "kind": "Cluster",
            "metadata": {"name": description.cluster},
            "spec": {"podIamConfig": {"serviceAccountIssuer": self.issuer}},
        });
        Document::yaml("eksa-cluster-patch.yaml", &patch)
    }

    fn trust_policy(&self, description: &Description) -> Value {
        let provider = self.issuer.trim_start_matches("https://");
        let subjects: Vec<String> = self
            .subjects
            .iter()
            .map(|subject| format!("system:serviceaccount:{}", subject.replacen('/', ":", 1)))
            .collect();
        let audience = format!("{provider}:aud");
        let subject = format!("{provider}:sub");
        json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": {"Federated": format!(
                    "arn:{}:iam::{}:oidc-provider/{provider}",
                    description.trust_anchor.partition, description.account
                )},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": {audience: AUDIENCE, subject: subjects}},
            }],
        })
    }
}

/// What is wrong with a file: its form, if that is another than PEM, else `problem`.
fn instead(path: &Path, text: &Secret<Vec<u8>>, wanted: Wanted, problem: &str) -> String {
    let other = form::other(path, text.expose(), wanted);
    let problem = other.unwrap_or_else(|| problem.to_owned());
    format!("{}: {problem}", path.display())
}

impl Webhook {
    /// The secret that the webhook mounts, and the patch by which the API
    /// server trusts it.
    fn documents(&self, read: Reader<'_>) -> Result<Vec<Document>, DescriptionError> {
        let refuse = |field, problem: String| DescriptionError::field(field, problem);
        if !is_label(&self.namespace) || !is_label(&self.service) {
            return Err(refuse(
                "service_accounts.webhook",
                "namespace and service are lower-case letters, digits and dashes".into(),
            ));
        }
        let certificate = read(&self.certificate)?;
        let chain = Certificate::all_from_pem(certificate.expose()).unwrap_or_default();
        let Some(leaf) = chain.first().filter(|leaf| !leaf.is_ca()) else {
            let problem = instead(
                &self.certificate,
                &certificate,
                Wanted::Certificates,
                "no leaf in PEM",
            );
            return Err(refuse("service_accounts.webhook.certificate", problem));
        };
        let name = format!("{}.{}.svc", self.service, self.namespace);
        if !leaf.dns_names().contains(&name) {
            let problem = format!(
                "{}: the API server asks for {name}, which is no DNS name of the certificate",
                self.certificate.display()
            );
            return Err(refuse("service_accounts.webhook.certificate", problem));
        }
        let key = read(&self.private_key)?;
        let pair = PrivateKey::from_pem(key.expose());
        let fits =
            pair.is_ok_and(|pair| landfast_pki::Signer::public_key(&pair) == leaf.public_key());
        if !fits {
            let problem = instead(
                &self.private_key,
                &key,
                Wanted::PrivateKey,
                "not the certificate's key",
            );
            return Err(refuse("service_accounts.webhook.private_key", problem));
        }
        let ca = read(&self.ca)?;
        let cas = Certificate::all_from_pem(ca.expose()).unwrap_or_default();
        let now = leaf.not_before();
        if let Err(error) = trust::path(leaf, &chain[1..], &cas, now) {
            let problem = instead(&self.ca, &ca, Wanted::Certificates, &error.to_string());
            return Err(refuse("service_accounts.webhook.ca", problem));
        }
        let bundle: String = cas.iter().map(Certificate::pem).collect();
        let served: String = chain.iter().map(Certificate::pem).collect();
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": self.service, "namespace": self.namespace},
            "type": "kubernetes.io/tls",
            "data": {
                "tls.crt": STANDARD.encode(served),
                "tls.key": STANDARD.encode(key.expose()),
            },
        });
        let patch = json!([{
            "op": "add",
            "path": "/webhooks/0/clientConfig/caBundle",
            "value": STANDARD.encode(bundle),
        }]);
        Ok(vec![
            Document {
                secret: true,
                ..Document::yaml("webhook-secret.yaml", &secret)
            },
            Document::json("webhook-cabundle-patch.json", &patch),
        ])
    }
}

/// A key of RFC 7517, under the name that Kubernetes gives it.
fn jwk(key: &PublicKey) -> Option<Value> {
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let mut jwk = match key.key_type() {
        KeyType::Rsa => {
            let parts = RsaKey::from_der(key.key_bits()).ok()?;
            json!({
                "kty": "RSA", "alg": "RS256",
                "n": text(parts.modulus.as_bytes()),
                "e": text(parts.exponent.as_bytes()),
            })
        }
        KeyType::Ec => {
            let (curve, algorithm) = match key.bits() {
                256 => ("P-256", "ES256"),
                384 => ("P-384", "ES384"),
                521 => ("P-521", "ES512"),
                _ => return None,
            };
            // An uncompressed point: 4, then both coordinates.
            let (x, y) = key.key_bits().get(1..)?.split_at(key.key_bits().len() / 2);
            json!({"kty": "EC", "alg": algorithm, "crv": curve, "x": text(x), "y": text(y)})
        }
        _ => return None,
    };
    jwk["use"] = json!("sig");
    jwk["kid"] = json!(text(&sha256(key.spki_der())));
    Some(jwk)
}

fn is_label(text: &str) -> bool {
    !text.contains('.') && (text.len() == 1 || is_node_name(text))
}

fn namespace() -> String {
    "default".to_owned()
}

fn service() -> String {
    "pod-identity-webhook".to_owned()
}
