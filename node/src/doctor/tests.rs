use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use landfast_rolesanywhere::rules::Severity;
use serde_json::{Value, json};

use super::*;

const ANCHOR: &str = "arn:aws:rolesanywhere:us-west-2:111122223333:trust-anchor/11111111-2222-4333-8444-555555555555";
const PROFILE: &str =
    "arn:aws:rolesanywhere:us-west-2:111122223333:profile/66666666-7777-4888-9999-aaaaaaaaaaaa";
const ROLE: &str = "arn:aws:iam::111122223333:role/hybrid-node";

fn data(name: &str) -> PathBuf {
    Path::new("tests/data").join(name)
}

fn now() -> Timestamp {
    "2026-09-01T12:00:00Z".parse().unwrap()
}

/// The good node: its leaf under an anchor that holds the issuing CA.
fn node() -> Question {
    Question {
        certificate: Some(data("pki/rsa-leaf.crt")),
        private_key: Some(data("pki/rsa-leaf.key")),
        trust_anchor: Some(data("pki/rsa-int.crt")),
        hypothetical: true,
        ..Question::default()
    }
}

fn errors(question: &Question) -> Vec<&'static str> {
    let mut rules: Vec<_> = examine(question, now())
        .unwrap()
        .findings
        .into_iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| finding.rule)
        .collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

struct Documents(tempfile::TempDir);

impl Documents {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, document: &Value) -> Option<PathBuf> {
        let path = self.0.path().join(name);
        std::fs::write(&path, document.to_string()).unwrap();
        Some(path)
    }
}

fn trust_policy() -> Value {
    let service = json!({"Service": "rolesanywhere.amazonaws.com"});
    json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": service, "Action": ["sts:TagSession", "sts:SetSourceIdentity"],
         "Condition": {"ArnEquals": {"aws:SourceArn": ANCHOR}}},
        {"Effect": "Allow", "Principal": service, "Action": "sts:AssumeRole", "Condition": {
            "StringEquals": {"sts:RoleSessionName": "${aws:PrincipalTag/x509Subject/CN}"},
            "ArnEquals": {"aws:SourceArn": ANCHOR}}},
    ]})
}

fn profile() -> Value {
    json!({"profile": {"profileArn": PROFILE, "enabled": true, "roleArns": [ROLE],
        "durationSeconds": 3600, "acceptRoleSessionName": true}})
}

fn role() -> Value {
    json!({"Role": {"Arn": ROLE, "MaxSessionDuration": 3600,
        "AssumeRolePolicyDocument": trust_policy()}})
}

/// Everything that there is to look at, and nothing wrong with it.
fn whole(documents: &Documents) -> Question {
    Question {
        profile: documents.file("profile.json", &profile()),
        role: documents.file("role.json", &role()),
        crls: vec![data("crl/rsa-int-empty.crl.pem")],
        trust_anchor_arn: Some(ANCHOR.into()),
        region: Some("us-west-2".into()),
        ..node()
    }
}

#[test]
fn a_good_node_passes_and_nothing_is_skipped() {
    let documents = Documents::new();
    let report = examine(&whole(&documents), now()).unwrap();
    assert!(!report.has_errors(), "{:?}", report.findings);
    assert_eq!(report.skipped, [""; 0]);
    assert!(
        report
            .passed
            .iter()
            .any(|one| one.contains("lets the session"))
    );
}

#[test]
fn what_is_not_given_is_said_to_be_skipped() {
    let report = examine(&Question::default(), now()).unwrap();
    assert!(!report.has_errors());
    assert!(report.passed.is_empty());
    assert_eq!(report.skipped.len(), 6);
}

#[test]
fn the_pair_is_checked() {
    let with = |certificate: &str, key: &str| {
        errors(&Question {
            certificate: Some(data(certificate)),
            private_key: Some(data(key)),
            trust_anchor: None,
            ..node()
        })
    };
    assert_eq!(with("pki/rsa-leaf.crt", "pki/ec-leaf.key"), ["EE-06"]);
    assert_eq!(with("pki/rsa-leaf.crt", "pki/nobody.key"), ["EE-06"]);
    assert_eq!(
        with("pki/rsa-chain-ca-first.pem", "pki/rsa-leaf.key"),
        ["EE-07"]
    );
    assert_eq!(with("pki/nobody.crt", "pki/rsa-leaf.key"), ["EE-07"]);
    assert!(with("pki/bad/leaf-expired.crt", "pki/rsa-leaf.key").contains(&"EE-11"));
    assert!(with("pki/bad/leaf-no-keyusage.crt", "pki/rsa-leaf.key").contains(&"EE-02"));
}

#[test]
fn the_node_name_is_compared() {
    let named = Question {
        node_name: Some("another-node".into()),
        ..node()
    };
    assert_eq!(errors(&named), ["EE-08"]);
}

#[test]
fn a_chain_that_a_hybrid_node_never_sends_does_not_help() {
    let root = Question {
        intermediates: Some(data("pki/rsa-int.crt")),
        trust_anchor: Some(data("pki/rsa-root.crt")),
        ..node()
    };
    assert_eq!(errors(&root), ["CA-09"]);
    assert_eq!(
        errors(&Question {
            not_hybrid: true,
            ..root
        }),
        [""; 0]
    );
    let foreign = Question {
        trust_anchor: Some(data("pki/ec-int.crt")),
        ..node()
    };
    assert_eq!(errors(&foreign), ["CA-09"]);
}

#[test]
fn an_anchor_that_aws_would_refuse_is_told() {
    for (name, rule) in [
        ("pki/bad/ca-false.crt", "CA-02"),
        ("pki/bad/ca-no-certsign.crt", "CA-03"),
        ("pki/bad/ca-sha1.crt", "CA-05"),
    ] {
        let question = Question {
            trust_anchor: Some(data(name)),
            ..node()
        };
        assert!(
            errors(&question).contains(&rule),
            "{name}: {:?}",
            errors(&question)
        );
    }
    let documents = Documents::new();
    let pem = std::fs::read_to_string(data("pki/rsa-int.crt")).unwrap();
    let disabled = json!({"trustAnchor": {"trustAnchorArn": ANCHOR, "enabled": false,
        "source": {"sourceType": "CERTIFICATE_BUNDLE", "sourceData": {"x509CertificateData": pem}}}});
    let question = Question {
        trust_anchor: documents.file("anchor.json", &disabled),
        ..node()
    };
    assert_eq!(errors(&question), ["CA-09"]);
}

#[test]
fn arns_must_agree() {
    let documents = Documents::new();
    for change in [
        |q: &mut Question| q.region = Some("eu-central-1".into()),
        |q: &mut Question| q.profile_arn = Some(PROFILE.replace("us-west-2", "us-east-1")),
        |q: &mut Question| q.role_arn = Some(ROLE.replace("111122223333", "444455556666")),
        |q: &mut Question| q.profile_arn = Some(ANCHOR.into()),
        |q: &mut Question| q.role_arn = Some("hybrid-node".into()),
    ] {
        let mut question = whole(&documents);
        change(&mut question);
        assert!(errors(&question).contains(&"AR-01"), "{question:?}");
    }
}

#[test]
fn the_profile_is_checked() {
    let documents = Documents::new();
    for (field, value, rule) in [
        ("acceptRoleSessionName", json!(false), "PF-01"),
        ("durationSeconds", json!(600), "PF-02"),
        ("enabled", json!(false), "PF-03"),
        ("roleArns", json!([]), "PF-03"),
    ] {
        let mut changed = profile();
        changed["profile"][field] = value;
        let question = Question {
            profile: documents.file("changed.json", &changed),
            ..whole(&documents)
        };
        assert_eq!(errors(&question), [rule], "{field}");
    }
}

#[test]
fn a_session_longer_than_the_role_allows_is_told() {
    let documents = Documents::new();
    let mut half_a_day = profile();
    half_a_day["profile"]["durationSeconds"] = json!(43_200);
    for (asked, found) in [(None, &[][..]), (Some(43_200), &["PF-02"])] {
        let question = Question {
            profile: documents.file("half-a-day.json", &half_a_day),
            session_duration: asked,
            ..whole(&documents)
        };
        assert_eq!(errors(&question), found, "{asked:?}");
    }
}

#[test]
fn the_trust_policy_is_checked_and_decided() {
    let documents = Documents::new();
    let with = |change: fn(&mut Value)| {
        let mut policy = trust_policy();
        change(&mut policy);
        errors(&Question {
            trust_policy: documents.file("policy.json", &policy),
            ..whole(&documents)
        })
    };
    assert_eq!(with(|_| ()), [""; 0]);
    let untagged = with(|policy| policy["Statement"][0]["Action"] = json!("sts:SetSourceIdentity"));
    assert_eq!(untagged, ["TP-01", "TP-05"]);
    let anywhere = with(|policy| {
        policy["Statement"][1]["Condition"]
            .as_object_mut()
            .unwrap()
            .remove("ArnEquals");
    });
    assert_eq!(anywhere, ["TP-02"]);
    let anyone = with(|policy| {
        policy["Statement"][1]["Condition"]["StringEquals"] =
            json!({"sts:RoleSessionName": "node-1"});
    });
    assert_eq!(anyone, ["TP-03", "TP-05"]);
    let elsewhere = with(|policy| {
        policy["Statement"][1]["Condition"]["ArnEquals"]["aws:SourceArn"] =
            json!(ANCHOR.replace("us-west-2", "us-east-1"));
    });
    assert_eq!(elsewhere, ["TP-05"]);
}

#[test]
fn a_negated_condition_on_a_tag_is_a_warning() {
    let documents = Documents::new();
    let mut policy = trust_policy();
    policy["Statement"][1]["Condition"]["StringNotEquals"] =
        json!({"aws:PrincipalTag/x509Subject/OU": "retired"});
    let question = Question {
        trust_policy: documents.file("policy.json", &policy),
        ..whole(&documents)
    };
    let report = examine(&question, now()).unwrap();
    assert!(!report.has_errors());
    assert!(
        report
            .findings
            .iter()
            .any(|finding| finding.rule == "TP-04")
    );
}

#[test]
fn revocation_lists_are_checked() {
    for (name, rules) in [
        ("crl/rsa-int-empty.crl.der", &[][..]),
        ("crl/rsa-int-expired.crl.pem", &["CR-01", "CR-02"]),
        ("crl/rsa-int-revokes-leaf.crl.pem", &["CR-02"]),
        ("crl/rsa-root-empty.crl.pem", &["CR-01"]),
    ] {
        let question = Question {
            crls: vec![data(name)],
            ..node()
        };
        assert_eq!(errors(&question), rules, "{name}");
    }
    let junk = Question {
        crls: vec![data("pki/rsa-int.crt")],
        ..node()
    };
    assert!(matches!(
        examine(&junk, now()),
        Err(DoctorError::Document { .. })
    ));
}

#[test]
fn awss_text_is_explained_and_tied_to_what_was_found() {
    let question = Question {
        trust_anchor: Some(data("pki/rsa-root.crt")),
        error: Some("AccessDeniedException: Untrusted signing certificate".into()),
        ..node()
    };
    let cause = examine(&question, now()).unwrap().cause.unwrap();
    assert_eq!(cause.confirmed_by, ["CA-09"]);
}

#[test]
fn a_clock_that_went_back_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("server.pem");
    std::fs::copy(data("pki/rsa-leaf.crt"), &copy).unwrap();
    let question = Question {
        certificate: Some(copy),
        private_key: None,
        hypothetical: false,
        ..node()
    };
    let yesterday = Timestamp::now() - SignedDuration::from_hours(24);
    let report = examine(&question, yesterday).unwrap();
    assert!(
        report
            .findings
            .iter()
            .any(|finding| finding.problem.contains("the clock is behind"))
    );
}

#[test]
fn no_key_is_ever_in_the_report() {
    let key = std::fs::read_to_string(data("pki/rsa-leaf.key")).unwrap();
    let body: Vec<&str> = key.lines().filter(|line| !line.starts_with('-')).collect();
    let question = Question {
        certificate: Some(data("pki/rsa-leaf.key")),
        ..node()
    };
    let text = serde_json::to_string(&examine(&question, now()).unwrap()).unwrap();
    assert!(text.contains("EE-07"));
    assert!(body.iter().all(|line| !text.contains(line)));
}

/// nodeadm takes the first block of the file for the certificate.
#[test]
fn a_key_before_the_certificate_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let text = |name: &str| std::fs::read_to_string(data(name)).unwrap();
    let (leaf, key) = (text("pki/rsa-leaf.crt"), text("pki/rsa-leaf.key"));
    let judged = |content: String, not_hybrid| {
        let path = directory.path().join("server.pem");
        std::fs::write(&path, content).unwrap();
        errors(&Question {
            certificate: Some(path),
            not_hybrid,
            ..node()
        })
    };
    assert_eq!(judged(format!("{key}{leaf}"), false), ["EE-07"]);
    assert_eq!(judged(format!("{leaf}{key}"), false), [""; 0]);
    assert_eq!(judged(format!("{key}{leaf}"), true), [""; 0]);
}

#[test]
fn node_config_says_what_is_looked_at() {
    let documents = Documents::new();
    let path = documents.0.path().join("node.yaml");
    let config = |name: &str| {
        let text = format!(
            "apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec:\n  cluster: {{name: prod, region: us-west-2}}\n  hybrid:\n    iamRolesAnywhere:\n      nodeName: {name}\n      trustAnchorArn: {ANCHOR}\n      profileArn: {PROFILE}\n      roleArn: {ROLE}\n      certificatePath: tests/data/pki/rsa-leaf.crt\n      privateKeyPath: tests/data/pki/rsa-leaf.key\n"
        );
        std::fs::write(&path, text).unwrap();
        Question {
            certificate: None,
            private_key: None,
            node_config: Some(path.clone()),
            ..node()
        }
    };
    assert_eq!(errors(&config("hybrid-node-01.example.internal")), [""; 0]);
    assert_eq!(errors(&config("another")), ["EE-08"]);
    std::fs::write(&path, "spec:\n\tcluster: {}\n").unwrap();
    let question = Question {
        node_config: Some(path.clone()),
        ..node()
    };
    let error = examine(&question, now()).unwrap_err().to_string();
    assert!(error.contains("tabs"), "{error}");
}

/// What every verifier refuses is told by its rule, though the issuer is in the anchor.
#[test]
fn constraints_and_critical_extensions_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: String| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        Some(path)
    };
    let key = rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    ca.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    ca.distinguished_name
        .push(rcgen::DnType::CommonName, "nodes");
    ca.name_constraints = Some(rcgen::NameConstraints {
        permitted_subtrees: vec![rcgen::GeneralSubtree::DnsName("nodes.example".to_owned())],
        excluded_subtrees: Vec::new(),
    });
    let anchor = file("ca.pem", ca.self_signed(&key).unwrap().pem());
    let issuer = rcgen::Issuer::new(ca, key);
    let judged = |name: &str, critical: bool| {
        let own = rcgen::KeyPair::generate().unwrap();
        let mut leaf = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        leaf.distinguished_name
            .push(rcgen::DnType::CommonName, name);
        leaf.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
        let mut extension =
            rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
        extension.set_criticality(critical);
        leaf.custom_extensions.push(extension);
        errors(&Question {
            certificate: file("leaf.pem", leaf.signed_by(&own, &issuer).unwrap().pem()),
            private_key: None,
            trust_anchor: anchor.clone(),
            ..node()
        })
    };
    assert_eq!(judged("a.nodes.example", false), [""; 0]);
    assert_eq!(judged("a.other.example", false), ["EE-13"]);
    assert_eq!(judged("a.nodes.example", true), ["EE-12"]);
}

#[test]
fn an_auditor_is_told_what_is_post_quantum() {
    let asked = Question {
        post_quantum: true,
        ..node()
    };
    let audit = examine(&asked, now()).unwrap().post_quantum.unwrap();
    assert!(!audit.all);
    let told: Vec<_> = audit
        .certificates
        .iter()
        .map(|one| (one.place.name(), one.key.as_str(), one.post_quantum))
        .collect();
    assert_eq!(
        told,
        [("anchor", "RSA 2048", false), ("node", "RSA 2048", false)]
    );
    // A node alone, and nobody who asks.
    let alone = Question {
        certificate: Some(data("pki/mldsa44-leaf.crt")),
        private_key: None,
        trust_anchor: None,
        ..asked
    };
    let report = serde_json::to_value(examine(&alone, now()).unwrap()).unwrap();
    assert_eq!(report["post_quantum"]["certificates"][0]["place"], "node");
    let report = serde_json::to_value(examine(&node(), now()).unwrap()).unwrap();
    assert_eq!(report.get("post_quantum"), None);
}
