use super::*;
use landfast_pki::{KeySpec, PrivateKey};
use landfast_rolesanywhere::policy::{ACTIONS, Context, TrustPolicy};
use landfast_rolesanywhere::tags::Facts;

fn description() -> Value {
    json!({
        "cluster": "prod", "region": "us-west-2", "account": "111122223333", "nodes": "node-*.example",
        "trust_anchor": "arn:aws:rolesanywhere:us-west-2:111122223333:trust-anchor/11111111-2222-4333-8444-555555555555",
        "profile_arn": "arn:aws:rolesanywhere:us-west-2:111122223333:profile/66666666-7777-4888-9999-aaaaaaaaaaaa",
        "seal": "vault-*",
    })
}

fn read(value: &Value) -> Result<Description, DescriptionError> {
    Description::read(&value.to_string())
}

fn json_of(description: &Description, path: &str) -> Value {
    let documents = description.documents();
    let found = documents
        .iter()
        .find(|one| one.path == std::path::Path::new(path));
    serde_json::from_str(&found.unwrap_or_else(|| panic!("no {path}")).text).unwrap()
}

fn facts(name: &str) -> Facts {
    Facts {
        subject: vec![("CN".into(), name.into())],
        ..Facts::default()
    }
}

/// Whether the policy lets a node with this certificate take this name.
fn admits(policy: &Value, certificate: &str, session: &str, anchor: &Arn) -> bool {
    let policy = TrustPolicy::parse(&policy.to_string()).unwrap();
    let context = Context::of_session(&facts(certificate), anchor, session);
    ACTIONS
        .iter()
        .all(|action| policy.allows(action, &context).unwrap())
}

#[test]
fn a_node_gets_its_own_name_and_no_other() {
    let description = read(&description()).unwrap();
    let anchor = &description.trust_anchor;
    let policy = trust_policy(anchor, &description.nodes);
    assert!(admits(&policy, "node-1.example", "node-1.example", anchor));
    assert!(!admits(&policy, "node-1.example", "node-2.example", anchor));
    assert!(!admits(&policy, "other.example", "other.example", anchor));
    let elsewhere = Arn {
        resource: "trust-anchor/other".into(),
        ..anchor.clone()
    };
    assert!(!admits(
        &policy,
        "node-1.example",
        "node-1.example",
        &elsewhere
    ));
    assert!(admits(&trust_policy(anchor, "*"), "any", "any", anchor));
}

#[test]
fn the_three_languages_say_the_same() {
    let description = read(&description()).unwrap();
    let policy = trust_policy(&description.trust_anchor, &description.nodes);
    let inner = |value: &Value| -> Value { serde_json::from_str(value.as_str().unwrap()).unwrap() };
    let cli = json_of(&description, "aws/1-iam-create-role.json");
    assert_eq!(inner(&cli["AssumeRolePolicyDocument"]), policy);
    let template = json_of(&description, "cloudformation.json");
    let role = &template["Resources"]["HybridNodeRole"]["Properties"];
    assert_eq!(role["AssumeRolePolicyDocument"], policy);
    let terraform = json_of(&description, "main.tf.json");
    let text = &terraform["resource"]["aws_iam_role"]["hybrid_node"]["assume_role_policy"];
    assert!(text.as_str().unwrap().contains("$${aws:PrincipalTag"));
    assert_eq!(
        inner(&json!(text.as_str().unwrap().replace("$${", "${"))),
        policy
    );
    let key = description.key_policy("vault-*");
    assert_eq!(
        template["Resources"]["SealKey"]["Properties"]["KeyPolicy"],
        key
    );
    assert_eq!(
        inner(&json_of(&description, "aws/8-kms-create-key.json")["Policy"]),
        key
    );
}

/// In each language: the key's policy names a role that the servers of `seal`
/// can take, and neither kind of machine gets into the other's role.
#[test]
fn the_seal_has_a_role_that_its_servers_can_take() {
    let description = read(&description()).unwrap();
    let anchor = &description.trust_anchor;
    let inner = |value: &Value| -> Value {
        serde_json::from_str(&value.as_str().unwrap().replace("$${", "${")).unwrap()
    };
    let seal = "arn:aws:iam::111122223333:role/landfast-seal";
    let template = &json_of(&description, "cloudformation.json")["Resources"];
    let terraform = &json_of(&description, "main.tf.json")["resource"];
    let request = |name: &str| json_of(&description, &format!("aws/{name}.json"));
    let trust = |role: &Value| role["AssumeRolePolicyDocument"].clone();
    let roles = &terraform["aws_iam_role"];
    for (nodes, servers, key) in [
        (
            inner(&trust(&request("1-iam-create-role"))),
            inner(&trust(&request("6-iam-create-role"))),
            inner(&request("8-kms-create-key")["Policy"]),
        ),
        (
            trust(&template["HybridNodeRole"]["Properties"]),
            trust(&template["SealRole"]["Properties"]),
            template["SealKey"]["Properties"]["KeyPolicy"].clone(),
        ),
        (
            inner(&roles["hybrid_node"]["assume_role_policy"]),
            inner(&roles["seal"]["assume_role_policy"]),
            inner(&terraform["aws_kms_key"]["seal"]["policy"]),
        ),
    ] {
        assert_eq!(key["Statement"][1]["Principal"]["AWS"], seal);
        assert!(admits(&servers, "vault-1", "vault-1", anchor));
        assert!(!admits(&servers, "vault-1", "vault-2", anchor));
        assert!(!admits(
            &servers,
            "node-1.example",
            "node-1.example",
            anchor
        ));
        assert!(!admits(&servers, "node-1.example", "vault-1", anchor));
        assert!(admits(&nodes, "node-1.example", "node-1.example", anchor));
        assert!(!admits(&nodes, "vault-1", "vault-1", anchor));
        let elsewhere = Arn {
            resource: "trust-anchor/other".into(),
            ..anchor.clone()
        };
        assert!(!admits(&servers, "vault-1", "vault-1", &elsewhere));
    }
    assert_eq!(request("6-iam-create-role")["RoleName"], "landfast-seal");
    let profile = request("7-rolesanywhere-create-profile");
    assert_eq!(profile["roleArns"], json!([seal]));
    assert_eq!(profile["acceptRoleSessionName"], true);
    assert_eq!(
        template["SealProfile"]["Properties"]["RoleArns"],
        json!([{"Fn::GetAtt": ["SealRole", "Arn"]}])
    );
    assert_eq!(
        terraform["aws_rolesanywhere_profile"]["seal"]["role_arns"],
        json!(["${aws_iam_role.seal.arn}"])
    );
    // Nothing but the key: no policy, and no way into the cluster.
    assert!(template["SealRole"]["Properties"].get("Policies").is_none());
    let entry = &template["HybridNodeAccessEntry"]["Properties"]["PrincipalArn"];
    assert_eq!(entry, &json!({"Fn::GetAtt": ["HybridNodeRole", "Arn"]}));
}

#[test]
fn without_a_seal_there_is_no_key() {
    let mut bare = description();
    bare.as_object_mut().unwrap().remove("seal");
    let bare = read(&bare).unwrap();
    assert_eq!(bare.documents().len(), 7);
    assert!(
        bare.documents()
            .iter()
            .all(|one| !one.text.to_lowercase().contains("kms")
                && !one.text.contains("landfast-seal"))
    );
}

#[test]
fn a_node_config_is_for_a_node_of_the_pattern() {
    let mut given = description();
    let config = read(&given).unwrap().node_config("node-1.example").unwrap();
    assert_eq!(config.path, PathBuf::from("nodeconfig-node-1.example.yaml"));
    assert!(
        config
            .text
            .contains("\n      nodeName: \"node-1.example\"\n")
    );
    assert!(
        config
            .text
            .contains("roleArn: \"arn:aws:iam::111122223333:role/landfast-hybrid-node\"\n")
    );
    let refused = |node: &str| {
        read(&given)
            .unwrap()
            .node_config(node)
            .unwrap_err()
            .to_string()
    };
    assert!(refused("other.example").starts_with("nodes:"));
    assert!(refused("Node-1.example").starts_with("node:"));
    given.as_object_mut().unwrap().remove("profile_arn");
    let error = read(&given)
        .unwrap()
        .node_config("node-1.example")
        .unwrap_err();
    assert!(error.to_string().starts_with("profile_arn:"), "{error}");
}

/// In each language: sessions are bounded by what the documents give, however
/// much the role gets later.
#[test]
fn a_profile_bounds_its_sessions() {
    let of = |session_policy: Option<Value>| {
        let mut given = description();
        if let Some(policy) = session_policy {
            given["session_policy"] = policy;
        }
        let description = read(&given).unwrap();
        let request = |name: &str| {
            json_of(
                &description,
                &format!("aws/{name}-rolesanywhere-create-profile.json"),
            )
        };
        let template = json_of(&description, "cloudformation.json")["Resources"].take();
        let terraform =
            json_of(&description, "main.tf.json")["resource"]["aws_rolesanywhere_profile"].take();
        let policy = |text: &Value| {
            text.as_str()
                .map(|text| serde_json::from_str::<Value>(&text.replace("$${", "${")).unwrap())
        };
        let three = |request: Value, resource: &str, block: &str| {
            let stack = &template[resource]["Properties"];
            let block = &terraform[block];
            let found = policy(&request["sessionPolicy"]);
            assert_eq!(policy(&stack["SessionPolicy"]), found);
            assert_eq!(policy(&block["session_policy"]), found);
            assert_eq!(stack["ManagedPolicyArns"], request["managedPolicyArns"]);
            assert_eq!(block["managed_policy_arns"], request["managedPolicyArns"]);
            let managed = request["managedPolicyArns"].clone();
            assert!(
                found
                    .as_ref()
                    .is_none_or(|policy| policy.to_string().len() <= MAX_SESSION_POLICY)
            );
            (found, managed)
        };
        let nodes = three(request("4"), "HybridNodeProfile", "hybrid_nodes");
        let seal = three(request("7"), "SealProfile", "seal");
        (nodes, seal)
    };
    let (nodes, seal) = of(None);
    let description = read(&description()).unwrap();
    assert_eq!(nodes.0, Some(description.permissions()));
    assert_eq!(
        nodes.1,
        json!(["arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly"])
    );
    let statement = &seal.0.as_ref().unwrap()["Statement"][0];
    assert_eq!(statement["Action"], json!(SEAL_ACTIONS));
    assert_eq!(
        statement["Resource"],
        "arn:aws:kms:us-west-2:111122223333:key/*"
    );
    assert_eq!(of(Some(json!(true))), (nodes, seal.clone()));
    assert_eq!(
        of(Some(json!(false))),
        ((None, Value::Null), (None, Value::Null))
    );
    let own = json!({"Version": "2012-10-17", "Statement": []});
    assert_eq!(of(Some(own.clone())), ((Some(own), Value::Null), seal));
}

/// An older provider would stop at a name that it does not know.
#[test]
fn terraform_is_told_which_provider_knows_the_names() {
    let description = read(&description()).unwrap();
    let terraform = json_of(&description, "main.tf.json");
    let provider = &terraform["terraform"]["required_providers"]["aws"];
    assert_eq!(provider["source"], "hashicorp/aws");
    assert_eq!(provider["version"], ">= 6.25.0");
}

#[test]
fn a_wrong_field_is_named() {
    for (field, value) in [
        ("account", json!("1111")),
        ("region", json!("us-east-1")),
        ("trust_anchor", json!("arn:aws:iam::111122223333:role/x")),
        ("cluster", json!("a b")),
        ("role", json!("a/b")),
        ("session_seconds", json!(100)),
        ("nodes", json!("Node-?")),
        ("seal", json!("${aws:username}")),
        ("seal_role", json!("a/b")),
        ("seal_role", json!("Landfast-Hybrid-Node")),
        ("seal_profile", json!("")),
        ("session_policy", json!({"Version": "2012-10-17"})),
        ("session_policy", json!({"Statement": ["x".repeat(2100)]})),
    ] {
        let mut wrong = description();
        wrong[field] = value;
        let error = read(&wrong).unwrap_err().to_string();
        let named = if field == "region" {
            "trust_anchor"
        } else {
            field
        };
        assert!(error.starts_with(&format!("{named}:")), "{field}: {error}");
    }
    let mut unknown = description();
    unknown["clutser"] = json!("prod");
    assert!(read(&unknown).unwrap_err().to_string().contains("clutser"));
}

#[test]
fn patterns_match_as_in_a_policy() {
    for (pattern, name, expected) in [
        ("*", "x", true),
        ("node-*", "node-", true),
        ("node-*.example", "node-1.example", true),
        ("node-*.example", "node-1.example.org", false),
        ("a*b*c", "aXbYbZc", true),
        ("a", "ab", false),
    ] {
        assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
    }
}

fn file(name: &std::path::Path) -> Result<Secret<Vec<u8>>, FileError> {
    crate::files::read_secret(&std::path::Path::new("tests/data").join(name))
}

fn with(part: &str, value: Value) -> Result<Vec<Document>, DescriptionError> {
    let mut given = description();
    given[part] = value;
    read(&given)?.pod_documents(&file)
}

fn csi() -> Value {
    json!({
        "vault_address": "https://vault.example:8200", "auth_role": "app", "role": "pods",
        "common_name": "app.default.svc", "name": "app", "image": "registry.example/app:1",
    })
}

#[test]
fn without_their_parts_there_are_no_documents_for_pods() {
    let plain = read(&description()).unwrap();
    assert!(plain.pod_documents(&file).unwrap().is_empty());
}

#[test]
fn the_three_objects_of_a_pod_are_one_request() {
    let documents = with("csi", csi()).unwrap();
    assert_eq!(documents.len(), 3);
    let class = &documents[0].text;
    assert_eq!(class.matches("secretPath: \"pki/issue/pods\"").count(), 3);
    assert_eq!(class.matches("method: \"PUT\"").count(), 3);
    assert!(documents[2].text.contains("capabilities = [\"update\"]"));
}

#[test]
fn a_wrong_field_of_a_pod_is_named() {
    for (field, value) in [
        ("vault_address", json!("vault:8200")),
        ("vault_address", json!("https://vault\" x")),
        ("auth_role", json!("a b")),
        ("role", json!("")),
        ("mount", json!("a\nb")),
        ("ttl", json!("soon")),
        ("name", json!("App")),
        ("common_name", json!("a\nb")),
        ("image", json!("")),
        ("mount_path", json!("relative")),
    ] {
        let mut wrong = csi();
        wrong[field] = value;
        let error = with("csi", wrong).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("csi.{field}")),
            "{field}: {error}"
        );
    }
}

/// The API server does not start without the key that signs, and takes tokens
/// of the keys that it is told only.
#[test]
fn the_api_server_is_told_every_key_and_the_one_that_signs() {
    let key = PrivateKey::generate(KeySpec::parse("ec", 256).unwrap()).unwrap();
    let public = key.public_key().to_pem();
    let mut given = description();
    given["service_accounts"] = json!({
        "issuer": "https://oidc.example/prod", "public_keys": ["keys/sa.pub", "keys/sa-old.pub"],
    });
    let read = read(&given).unwrap();
    let documents = read
        .pod_documents(&|_| Ok(Secret::new(public.clone().into_bytes())))
        .unwrap();
    let flags = documents
        .iter()
        .find(|one| one.path == std::path::Path::new("kube-apiserver-flags.txt"))
        .unwrap();
    let lines: Vec<&str> = flags.text.lines().collect();
    assert_eq!(
        lines,
        [
            "--service-account-issuer=https://oidc.example/prod",
            "--service-account-jwks-uri=https://oidc.example/prod/keys.json",
            "--api-audiences=https://oidc.example/prod,sts.amazonaws.com",
            "--service-account-key-file=/etc/kubernetes/pki/sa.pub",
            "--service-account-key-file=/etc/kubernetes/pki/sa-old.pub",
            "--service-account-signing-key-file=/etc/kubernetes/pki/sa.key",
        ]
    );
}

#[test]
fn a_wrong_issuer_is_named() {
    // A certificate's key is no PUBLIC KEY block, a private key none at all.
    let good = json!({"issuer": "https://oidc.example/prod", "public_keys": ["pki/rsa-int.crt"]});
    for (field, value, named) in [
        ("issuer", json!("http://oidc.example"), "issuer"),
        ("issuer", json!("https://oidc.example/"), "issuer"),
        ("issuer", json!("https://oidc.example?x"), "issuer"),
        ("public_keys", json!([]), "public_keys"),
        ("public_keys", json!(["pki/rsa-int.key"]), "public_keys"),
        ("public_keys", json!(["pki/rsa-int.crt"]), "public_keys"),
        (
            "public_keys",
            json!(["old/sa.pub", "sa.pub"]),
            "public_keys",
        ),
        ("subjects", json!(["app"]), "subjects"),
        ("subjects", json!(["Default/app"]), "subjects"),
    ] {
        let mut wrong = good.clone();
        wrong[field] = value;
        let error = with("service_accounts", wrong).unwrap_err().to_string();
        let named = format!("service_accounts.{named}");
        assert!(error.starts_with(&named), "{field}: {error}");
    }
    let missing = json!({"issuer": "https://oidc.example", "public_keys": ["none"]});
    let error = with("service_accounts", missing).unwrap_err();
    assert!(matches!(error, DescriptionError::File(_)), "{error}");
}
