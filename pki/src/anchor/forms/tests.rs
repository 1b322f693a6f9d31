use super::*;

macro_rules! sample {
    ($name:literal) => {
        include_str!(concat!("../../../tests/data/roles-anywhere/forms/", $name))
    };
}

const BUNDLE: &str = sample!("openssl-bundle.pem");

fn certificates() -> Vec<String> {
    crate::pem::blocks(BUNDLE.as_bytes())
        .into_iter()
        .map(|block| crate::pem::encode(&block.label, &block.contents))
        .collect()
}

/// The anchor that the samples describe.
fn sample_anchor() -> Anchor {
    Anchor {
        notifications: vec![
            Notification {
                event: Event::CaCertificateExpiry,
                threshold: 60,
                enabled: true,
            },
            Notification {
                event: Event::EndEntityCertificateExpiry,
                threshold: 7,
                enabled: true,
            },
        ],
        tags: vec![("managed-by".into(), "openbao".into())],
        ..Anchor::new("openbao-pki", vec![certificates().remove(0)])
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// PEM texts that differ only in white space at the end, which the service trims, are the same.
fn trimmed(mut value: Value) -> Value {
    fn walk(value: &mut Value) {
        match value {
            Value::String(text) => *text = text.trim_end().to_owned(),
            Value::Array(items) => items.iter_mut().for_each(walk),
            Value::Object(map) => map.values_mut().for_each(walk),
            _ => {}
        }
    }
    walk(&mut value);
    value
}

#[test]
fn names_of_forms() {
    for form in Form::ALL {
        assert_eq!(form.name().parse(), Ok(form));
        assert!(form.content_type().contains('/'));
        let unknown = FormError::Unknown.to_string();
        assert!(unknown.contains(form.name()), "{unknown}");
    }
    assert_eq!("PEM".parse::<Form>(), Err(FormError::Unknown));
}

#[test]
fn plain_pem() {
    let both = Anchor::new("a", certificates());
    assert_eq!(render(Form::Pem, &both).unwrap(), BUNDLE);
    let line = render(Form::PemLine, &both).unwrap();
    assert!(!line.contains('\n'));
    assert_eq!(line.replace("\\n", "\n"), BUNDLE.trim_end());
    assert_eq!(render(Form::PemBody, &both), Err(FormError::OneBody(2)));
    let body = render(Form::PemBody, &sample_anchor()).unwrap();
    assert_eq!(body, sample!("ca-body-single-line.txt").trim_end());
}

#[test]
fn cli_input() {
    let create = render(Form::Cli, &sample_anchor()).unwrap();
    assert_eq!(
        trimmed(json(&create)),
        trimmed(json(sample!("create-trust-anchor.cli-input.json")))
    );
    let source = &json(&create)["source"];
    assert_eq!(
        trimmed(source.clone()),
        trimmed(json(sample!("source.only.json")))
    );
    // An anchor that exists is updated, never made anew: its ARN stands in trust policies.
    let rotation = Anchor {
        trust_anchor_id: Some("11111111-2222-4333-8444-555555555555".into()),
        certificates: certificates(),
        ..sample_anchor()
    };
    assert_eq!(
        trimmed(json(&render(Form::Cli, &rotation).unwrap())),
        trimmed(json(sample!("update-trust-anchor.rotation.cli-input.json")))
    );
}

#[test]
fn eks_parameters() {
    assert_eq!(
        trimmed(json(
            &render(Form::EksParameters, &sample_anchor()).unwrap()
        )),
        trimmed(json(sample!("eks-hybrid.cfn-parameters.json")))
    );
}

#[test]
fn terraform_json() {
    let plain = Anchor {
        notifications: Vec::new(),
        tags: Vec::new(),
        ..sample_anchor()
    };
    let ours = trimmed(json(&render(Form::TerraformJson, &plain).unwrap()));
    let sample = trimmed(json(sample!("trust_anchor.tf.json")));
    assert_eq!(ours["resource"], sample["resource"]);
    let full = json(&render(Form::TerraformJson, &sample_anchor()).unwrap());
    let resource = &full["resource"]["aws_rolesanywhere_trust_anchor"]["hybrid"];
    assert_eq!(resource["notification_settings"][1]["threshold"], 7);
    assert_eq!(resource["tags"]["managed-by"], "openbao");
}

/// The lines of a text that say something, without indentation and alignment.
fn words(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|line| !line.is_empty())
        .collect()
}

#[test]
fn terraform() {
    let anchor = Anchor {
        tags: Vec::new(),
        ..sample_anchor()
    };
    let ours = render(Form::Terraform, &anchor).unwrap();
    // The heredoc's last newline is cut, where the sample leaves that to the service.
    let ours: Vec<_> = words(&ours.replace("chomp(<<-PEM", "<<-PEM"))
        .into_iter()
        .filter(|line| line != ")")
        .collect();
    assert_eq!(ours, words(sample!("trust_anchor.tf")));
    let tagged = render(Form::Terraform, &sample_anchor()).unwrap();
    assert!(words(&tagged).contains(&"\"managed-by\" = \"openbao\"".to_owned()));
}

#[test]
fn cloudformation() {
    let sample = sample!("trust-anchor.cfn.yaml");
    let (_, crl) = sample.split_once("CrlData: |-\n").unwrap();
    let (crl, _) = crl.split_once("Outputs").unwrap();
    let crl: String = crl
        .lines()
        .map(|line| format!("{}\n", line.trim()))
        .collect();
    let anchor = Anchor {
        tags: Vec::new(),
        crl: Some(crl),
        ..sample_anchor()
    };
    let ours = render(Form::CloudFormation, &anchor).unwrap();
    let unquoted = ours
        .replace("\"openbao-pki\"", "openbao-pki")
        .replace("\"openbao-pki-crl\"", "openbao-pki-crl");
    assert_eq!(unquoted, sample);
    let tagged = render(Form::CloudFormation, &sample_anchor()).unwrap();
    assert!(tagged.contains("        - {Key: \"managed-by\", Value: \"openbao\"}\n"));
    assert!(!tagged.contains("HybridCrl"));
}

/// What a tag says must not become part of the language around it.
#[test]
fn tags_are_plain_text() {
    let with = |key: &str, value: &str| Anchor {
        tags: vec![(key.into(), value.into())],
        ..sample_anchor()
    };
    assert!(render(Form::Terraform, &with("a:b/c=d+e@f", "x y-z_0.1")).is_ok());
    for (key, value) in [
        ("a\"b", "v"),
        ("k", "${file(x)}"),
        ("k", "%{if true}"),
        ("k", "a\nb"),
        ("k", "#"),
        ("", "v"),
        ("ä", "v"),
    ] {
        assert_eq!(
            render(Form::Terraform, &with(key, value)),
            Err(FormError::Tag),
            "{key} {value}"
        );
    }
}

#[test]
fn what_the_service_would_refuse() {
    let base = sample_anchor();
    let long = "n".repeat(256);
    for name in ["", "a/b", "ä", long.as_str()] {
        let anchor = Anchor {
            name: name.into(),
            ..base.clone()
        };
        assert_eq!(render(Form::Cli, &anchor), Err(FormError::Name), "{name}");
    }
    for id in [
        "",
        "a b",
        "arn:aws:x",
        "11111111-2222-4333-8444",
        "x1111111-2222-4333-8444-555555555555",
        "11111111-2222-4333-8444-55555555555A",
    ] {
        let anchor = Anchor {
            trust_anchor_id: Some(id.into()),
            ..base.clone()
        };
        assert_eq!(render(Form::Cli, &anchor), Err(FormError::Id), "{id}");
    }
    for threshold in [0, 361] {
        let event = Event::CaCertificateExpiry;
        let notifications = vec![Notification {
            event,
            threshold,
            enabled: true,
        }];
        let anchor = Anchor {
            notifications,
            ..base.clone()
        };
        assert_eq!(render(Form::Cli, &anchor), Err(FormError::Threshold));
    }
}

/// An anchor that exists is taken over, or the reader is told that it is not.
#[test]
fn an_id_is_used_or_told() {
    let id = "11111111-2222-4333-8444-555555555555";
    let existing = Anchor {
        trust_anchor_id: Some(id.into()),
        certificates: certificates()[..1].to_vec(),
        ..sample_anchor()
    };
    let import = json!([{"to": "aws_rolesanywhere_trust_anchor.hybrid", "id": id}]);
    assert_eq!(
        json(&render(Form::TerraformJson, &existing).unwrap())["import"],
        import
    );
    let text = render(Form::Terraform, &existing).unwrap();
    let block =
        format!("import {{\n  to = aws_rolesanywhere_trust_anchor.hybrid\n  id = \"{id}\"\n}}\n");
    assert!(text.starts_with(&block), "{text}");
    for form in Form::ALL {
        let text = render(form, &existing).unwrap();
        assert_eq!(
            text.contains(id),
            form.takes_over().is_ok(),
            "{}",
            form.name()
        );
    }
}

#[test]
fn notifications_fit_the_life_of_leaves() {
    let of = |days| Notification::for_leaves_of(days)[1];
    assert_eq!((of(1).threshold, of(1).enabled), (1, false));
    assert_eq!((of(3).threshold, of(3).enabled), (1, false));
    assert_eq!((of(30).threshold, of(30).enabled), (7, true));
    assert_eq!((of(3650).threshold, of(3650).enabled), (45, true));
    for days in [0, 1, u64::MAX] {
        assert!(
            Notification::for_leaves_of(days)
                .iter()
                .all(|n| (1..=360).contains(&n.threshold))
        );
    }
}
