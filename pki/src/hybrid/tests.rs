use super::*;
use crate::identity::Alias;
use crate::lint::Severity;

#[test]
fn node_names() {
    let long = format!("{}.b", "a".repeat(61));
    for good in ["n1", "node-1", "node-1.rack.example.com", "1a", &long] {
        assert_eq!(node_name(good), Ok(()), "{good}");
    }
    let too_long = "a".repeat(64);
    for (bad, why) in [
        ("", NotANodeName::Length),
        ("a", NotANodeName::Length),
        (too_long.as_str(), NotANodeName::Length),
        ("Node-1", NotANodeName::Subdomain),
        ("node_1", NotANodeName::Subdomain),
        ("-node", NotANodeName::Subdomain),
        ("node-", NotANodeName::Subdomain),
        ("a..b", NotANodeName::Subdomain),
        ("a.", NotANodeName::Subdomain),
        (".a", NotANodeName::Subdomain),
        ("*.a", NotANodeName::Subdomain),
        ("nöde", NotANodeName::Subdomain),
        ("a b", NotANodeName::Subdomain),
    ] {
        assert_eq!(node_name(bad), Err(why), "{bad}");
    }
}

#[test]
fn templates_by_login_method() {
    for (method, want) in [
        (
            "approle",
            "{{identity.entity.aliases.auth_x_1.metadata.role_name}}",
        ),
        ("userpass", "{{identity.entity.aliases.auth_x_1.name}}"),
        ("cert", "{{identity.entity.aliases.auth_x_1.name}}"),
        ("jwt", "{{identity.entity.aliases.auth_x_1.name}}"),
    ] {
        assert_eq!(
            Login::for_method(method, "auth_x_1").unwrap().template(),
            want
        );
    }
    assert!(Login::for_method("token", "auth_x_1").is_err());
    assert!(Login::for_method("kubernetes", "auth_x_1").is_err());
    for accessor in ["", "a}}", "a.b", "a b"] {
        assert_eq!(
            Login::for_method("cert", accessor),
            Err(LoginError::Accessor)
        );
    }
}

fn identity(name: &str, role_name: &str) -> Identity {
    let metadata = [("role_name".to_owned(), role_name.to_owned())].into();
    let alias = Alias {
        accessor: "acc".into(),
        name: name.into(),
        metadata,
        ..Alias::default()
    };
    Identity {
        aliases: vec![alias],
        ..Identity::default()
    }
}

fn role(method: &str) -> Profile {
    let login = Login::for_method(method, "acc").unwrap();
    let hours = |h: u64| Duration::from_secs(h * 3600);
    let mut settings = node_role(&login, hours(24), hours(72));
    settings.normalise().unwrap();
    Profile::new(settings).unwrap()
}

#[test]
fn the_recommended_role_binds_each_node_to_its_name() {
    for (method, identity) in [
        ("userpass", identity("node-1", "")),
        ("approle", identity("7a1b-uuid", "node-1")),
    ] {
        let profile = role(method);
        assert_eq!(check_role(&profile, &[("node-1", Some(&identity))]), []);
        let names = profile.names(Some(&identity), "");
        for other in [
            "node-2",
            "x.node-1",
            "*.node-1",
            "localhost",
            "7a1b-uuid",
            "u@node-2",
        ] {
            assert!(!names.allow(other), "{method} {other}");
        }
        assert!(!names.allow_common_name("u@node-1"));
        assert!(!profile.names(None, "").allow("node-1"));
    }
}

#[test]
fn findings_on_other_roles() {
    let rules = |settings: Settings, nodes: &[(&str, Option<&Identity>)]| {
        let found = check_role(&Profile::new(settings).unwrap(), nodes);
        found
            .iter()
            .map(|f| (f.rule, f.severity == Severity::Error))
            .collect::<Vec<_>>()
    };
    let login = Login::for_method("cert", "acc").unwrap();
    let good = || node_role(&login, Duration::from_secs(3600), Duration::ZERO);
    let own = identity("node-1", "");
    for (settings, nodes, want) in [
        (
            Settings {
                key_usage: vec!["KeyAgreement".into()],
                ..good()
            },
            &[][..],
            ("RL-01", true),
        ),
        (
            Settings {
                key_type: "ed25519".into(),
                ..good()
            },
            &[],
            ("RL-01", true),
        ),
        (
            Settings {
                allow_any_name: true,
                ..good()
            },
            &[],
            ("RL-02", false),
        ),
        (
            Settings {
                allow_wildcard_certificates: true,
                ..good()
            },
            &[],
            ("RL-02", false),
        ),
        (
            Settings {
                allow_ip_sans: true,
                ..good()
            },
            &[],
            ("RL-02", false),
        ),
        (
            Settings {
                allowed_domains: vec!["node-1".into(), "node-2".into()],
                allowed_domains_template: false,
                ..good()
            },
            &[],
            ("RL-02", false),
        ),
        (good(), &[("node-2", Some(&own))], ("RL-03", true)),
        (good(), &[("node-1", None)], ("RL-03", true)),
        (good(), &[("NODE-1", Some(&own))], ("RL-03", true)),
    ] {
        assert_eq!(rules(settings, nodes), [want]);
    }
}
