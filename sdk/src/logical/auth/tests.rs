use super::*;
use serde_json::json;

#[test]
fn a_name_is_alias_and_display_name() {
    let token = TokenParams {
        token_policies: ["web", "db"].into_iter().collect(),
        token_ttl: Ttl::from_secs(60),
        token_type: TokenType::Batch,
        ..TokenParams::default()
    };
    let auth = Auth::of("web-1")
        .with_token(&token)
        .with_metadata("rack", "7")
        .with_groups(["front"])
        .with_internal(&json!({ "machine": "web-1" }))
        .unwrap();
    let alias = auth.alias.as_ref().unwrap();
    assert_eq!(
        (alias.name.as_str(), auth.display_name.as_str()),
        ("web-1", "web-1")
    );
    assert_eq!(alias.metadata, auth.metadata);
    assert_eq!(auth.policies, ["web", "db"]);
    assert_eq!(auth.ttl, Duration::from_secs(60));
    assert!(auth.renewable);
    let login = Login::from(auth);
    let internal: BTreeMap<String, String> = login.internal_as().unwrap();
    assert_eq!(internal["machine"], "web-1");
    assert!(login.internal_as::<Vec<String>>().is_err());
}

#[test]
fn a_login_is_renewed_by_its_role_while_the_policies_are_the_same() {
    let login = Login {
        auth: Auth::of("web-1"),
        token_policies: vec!["default".to_owned(), "web".to_owned()],
        ..Login::default()
    };
    let role = |policies: &[&str]| TokenParams {
        token_policies: policies.iter().copied().collect(),
        token_ttl: Ttl::from_secs(30),
        ..TokenParams::default()
    };
    for same in [&["web"][..], &["Web ", "web"], &["default", "web"]] {
        let renewed = login.renew_by(&role(same)).unwrap();
        assert_eq!(renewed.ttl, Duration::from_secs(30));
        assert_eq!(renewed.alias.unwrap().name, "web-1");
    }
    for other in [&["db"][..], &[], &["web", "db"]] {
        assert!(login.renew_by(&role(other)).is_err());
    }
}

#[test]
fn what_a_method_stores_is_not_printed() {
    let auth = Auth::of("web-1").with_internal(&json!({ "key": "hunter2" }));
    let login = Login::from(auth.unwrap());
    let printed = format!(
        "{login:?} {:?}",
        super::super::Response::from(login.auth.clone())
    );
    assert!(
        printed.contains("web-1") && !printed.contains("hunter2"),
        "{printed}"
    );
}

#[test]
fn what_no_token_can_have_is_refused_by_the_fields_names() {
    let with = |value: Value| {
        serde_json::from_value::<TokenParams>(value)
            .unwrap()
            .check()
    };
    assert!(with(json!({})).is_ok());
    assert!(with(json!({ "token_type": "batch", "token_ttl": 60 })).is_ok());
    assert!(with(json!({ "token_ttl": 60, "token_max_ttl": 60 })).is_ok());
    for (bad, field) in [
        (
            json!({ "token_type": "batch", "token_period": 60 }),
            "token_period",
        ),
        (
            json!({ "token_type": "batch", "token_num_uses": 1 }),
            "token_num_uses",
        ),
        (json!({ "token_ttl": 61, "token_max_ttl": 60 }), "token_ttl"),
    ] {
        let text = with(bad).unwrap_err().to_string();
        assert!(text.starts_with(field), "{text}");
    }
}

#[test]
fn blocks_of_addresses_are_told_from_other_texts() {
    let read = |text: &str| serde_json::from_value::<Cidrs>(json!(text));
    let good = read("10.0.0.0/8, 192.0.2.1,2001:db8::/32,::1").unwrap();
    assert_eq!(good.as_slice().len(), 4);
    assert!(read("").unwrap().as_slice().is_empty());
    for bad in [
        "10.0.0.0/33",
        "::/129",
        "10.0.0/8",
        "a",
        "10.0.0.1/",
        "10.0.0.1/+8",
        "10.0.0.1/0x8",
        "1.2.3.4,",
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
    assert_eq!(Cidrs::only("192.0.2.1").unwrap().as_slice(), ["192.0.2.1"]);
    assert!(Cidrs::only("").is_err());
}
