use proptest::prelude::*;

use super::*;
use crate::identity::Alias;

fn settings(domains: &[&str], flags: &str) -> Settings {
    let has = |flag: &str| flags.split_whitespace().any(|f| f == flag);
    Settings {
        allowed_domains: domains.iter().map(ToString::to_string).collect(),
        allow_any_name: has("any"),
        allow_bare_domains: has("bare"),
        allow_subdomains: has("sub"),
        allow_glob_domains: has("glob"),
        allow_localhost: has("local"),
        allow_wildcard_certificates: !has("no-wild"),
        enforce_hostnames: !has("loose"),
        allowed_domains_template: has("template"),
        allow_globs_in_identity_templates: has("globs-in-templates"),
        allow_token_displayname: has("display"),
        ..Settings::default()
    }
}

fn allows(domains: &[&str], flags: &str, name: &str) -> bool {
    NameRules::new(&settings(domains, flags))
        .for_caller(None, "")
        .allow(name)
}

/// The examples of the reference, and every flag against every shape of name. Rows were replayed
/// against OpenBao 2.7.2; the few that differ are in [`stricter_than_the_built_in_engine`].
#[test]
fn flags_and_names() {
    let example = &["example.com"][..];
    for (domains, flags, name, want) in [
        (example, "", "example.com", false),
        (example, "bare", "example.com", true),
        (example, "bare", "EXAMPLE.com", true),
        (example, "bare", "a.example.com", false),
        (example, "sub", "example.com", false),
        (example, "sub", "a.example.com", true),
        (example, "sub", "a.b.example.com", true),
        (example, "sub", "u@a.EXAMPLE.com", true),
        (example, "sub", "*.a.Example.com", true),
        (&["EXAMPLE.com"], "sub", "a.example.com", true),
        (example, "sub", "A.example.com", true),
        (example, "sub", "aexample.com", false),
        (example, "sub", "*.example.com", true),
        (example, "sub", "*.EXAMPLE.com", true),
        (example, "sub", "*.a.example.com", true),
        (example, "sub", "b*z.example.com", true),
        (example, "sub", "-*.example.com", false),
        (example, "sub", "*.*.example.com", false),
        (example, "sub", "a.*.example.com", false),
        (example, "sub", "**.example.com", false),
        (example, "sub no-wild", "*.example.com", false),
        (example, "any no-wild", "*.example.com", false),
        (example, "bare", "*.example.com", false),
        (example, "sub", "u@example.com", false),
        (example, "bare", "u@example.com", true),
        (example, "bare", "u@EXAMPLE.com", true),
        (example, "sub", "u@a.example.com", true),
        (example, "sub", "u@*.example.com", false),
        (example, "bare", "u@v@example.com", false),
        (&["u@example.com"], "bare", "u@example.com", true),
        (&["u@example.com"], "bare", "v@example.com", false),
        (&["ftp*.example.com"], "glob", "ftp1.example.com", true),
        (&["ftp*.example.com"], "glob", "ftp.a.b.example.com", true),
        (&["*@example.com"], "glob", "U@EXAMPLE.com", true),
        (&["u*@example.com"], "glob", "U1@example.com", false),
        (&["U*@example.com"], "glob", "U1@example.com", true),
        (&["ftp*.example.com"], "", "ftp1.example.com", false),
        (&["*.example.com"], "glob", "*.example.com", true),
        (&["*.example.com"], "glob no-wild", "*.example.com", false),
        (&["*"], "glob", "anything.at.all", true),
        (&["*"], "glob", "u@anything", true),
        // An entry without a star is no glob.
        (example, "glob", "example.com", false),
        // Empty entries, empty lists.
        (&[""], "bare sub glob", "example.com", false),
        (&[""], "sub loose", "a.", false),
        (&[], "bare sub glob", "example.com", false),
        // Any name, within the shape of host names.
        (&[], "any", "a.b", true),
        (&[], "any", "a b", false),
        (&[], "any", "a_b.c", false),
        (&[], "any", "-a.com", false),
        (&[], "any", "a..b", false),
        (&[], "any", "a.", false),
        (&[], "any", "*", true),
        (&[], "any", "a.*", false),
        (&[], "any", "münchen.de", true),
        (&[], "any", "xn--99999", false),
        (&[], "any loose", "a b", true),
        (&[], "any loose", "system:node:x", true),
        (&[], "any loose", "a.*", false),
        // localhost.
        (&[], "local", "localhost", true),
        (&[], "local", "localdomain", true),
        (&[], "local sub", "a.LocalHost", true),
        (&[], "local", "a.localhost", false),
        (&[], "local sub", "a.localhost", true),
        (&[], "local sub", "a.localdomain", true),
        (&[], "local sub", "*.localhost", true),
        (&[], "local", "u@localhost", true),
        (&[], "", "localhost", false),
    ] {
        assert_eq!(
            allows(domains, flags, name),
            want,
            "{domains:?} [{flags}] {name}"
        );
    }
}

/// Places where the built-in engine says yes and we do not, because nobody can want them.
#[test]
fn stricter_than_the_built_in_engine() {
    for (domains, flags, name) in [
        // Unicode case folding: U+212A folds to `k`, U+017F to `s`.
        (&["k8s.example"][..], "bare", "\u{212a}8s.example"),
        (&["k8s.example"], "bare", "k8\u{17f}.example"),
        // Half a mail address, or an empty DNS name from a CSR.
        (&["example.com"], "bare", "@example.com"),
        (&[], "any", "u@"),
        (&[], "any loose", ""),
        // A wildcard of the root, from a CSR.
        (&["*"], "any", "*."),
        // A wildcard is a name below localhost.
        (&[], "local", "*.localhost"),
    ] {
        assert!(
            !allows(domains, flags, name),
            "{domains:?} [{flags}] {name}"
        );
    }
}

#[test]
fn common_name_shapes() {
    for (words, mail, host, other) in [
        (&["email", "hostname"][..], true, true, true),
        (&["email"], true, false, false),
        (&["hostname"], false, true, true),
        (&[], true, true, true),
        (&["disabled"], true, true, true),
    ] {
        let settings = Settings {
            cn_validations: words.iter().map(ToString::to_string).collect(),
            ..settings(&[], "any loose")
        };
        let rules = NameRules::new(&settings);
        let names = rules.for_caller(None, "");
        for (name, want) in [("a@b", mail), ("a.b", host), ("a b", other)] {
            assert_eq!(names.allow_common_name(name), want, "{words:?} {name}");
        }
    }
    // Disabled: not even the role's domains matter.
    let settings = Settings {
        cn_validations: vec!["disabled".into()],
        ..settings(&[], "")
    };
    let rules = NameRules::new(&settings);
    assert!(rules.for_caller(None, "").allow_common_name("x@@y"));
    assert!(!rules.for_caller(None, "").allow("x.y"));
}

fn node(name: &str) -> Identity {
    let alias = Alias {
        accessor: "acc".into(),
        name: name.into(),
        ..Alias::default()
    };
    Identity {
        aliases: vec![alias],
        ..Identity::default()
    }
}

const OWN_NAME: &str = "{{identity.entity.aliases.acc.name}}";

/// The recommended role of a hybrid node: only its own name, whatever it asks.
#[test]
fn a_node_gets_its_own_name_only() {
    let rules = NameRules::new(&settings(&[OWN_NAME], "bare template no-wild"));
    for (identity, name, want) in [
        (Some(node("node-1")), "node-1", true),
        // The built-in engine accepts this spelling; so do we, unless the preset refuses it.
        (Some(node("node-1")), "NODE-1", true),
        (Some(node("node-1")), "node-2", false),
        (Some(node("node-1")), "x.node-1", false),
        (Some(node("node-1")), "*.node-1", false),
        (Some(node("node-1")), OWN_NAME, false),
        (None, "node-1", false),
        (None, OWN_NAME, false),
        (Some(Identity::default()), "node-1", false),
        (Some(node("")), "node-1", false),
    ] {
        assert_eq!(
            rules.for_caller(identity.as_ref(), "").allow(name),
            want,
            "{identity:?} {name}"
        );
    }
}

/// GHSA-59w7-v8rr-pr4p: what an identity provider writes must not become part of a pattern.
#[test]
fn values_of_an_identity_are_no_patterns() {
    let role =
        |flags: &str| NameRules::new(&settings(&[OWN_NAME, &format!("*.{OWN_NAME}")], flags));
    for value in ["*", "node-*", "a,b", "a/b", "a+b"] {
        let rules = role("bare sub glob template");
        let identity = node(value);
        let names = rules.for_caller(Some(&identity), "");
        for name in ["evil.example.com", "node-2", "x.node-2", "a", "b", "x.*"] {
            assert!(!names.allow(name), "{value} {name}");
        }
    }
    let rules = role("glob template globs-in-templates");
    assert!(rules.for_caller(Some(&node("node-*")), "").allow("node-2"));
    // Without the template flag, braces are ordinary characters.
    let rules = NameRules::new(&settings(&[OWN_NAME], "bare loose"));
    assert!(rules.for_caller(None, "").allow(OWN_NAME));
    assert!(!rules.for_caller(Some(&node("node-1")), "").allow("node-1"));
}

#[test]
fn token_display_names() {
    let rules = NameRules::new(&settings(&[], "display sub"));
    for (display, name, want) in [
        ("host.example.com", "host.example.com", true),
        ("host.example.com", "a.host.example.com", true),
        ("host.example.com", "*.host.example.com", true),
        ("u@example.com", "u@example.com", true),
        ("u@example.com", "v@a.example.com", true),
        ("u@example.com", "v@example.com", false),
        ("u@example.com", "a.example.com", false),
        ("", "a.b", false),
    ] {
        assert_eq!(
            rules.for_caller(None, display).allow(name),
            want,
            "{display:?} {name}"
        );
    }
}

proptest! {
    /// Whatever a request contains, the answer is yes or no.
    #[test]
    fn never_panics(
        domain in ".*|[a*.{}@]{0,8}",
        name in ".*|[a*.@-]{0,8}",
        flags in proptest::sample::subsequence(
            vec!["any", "bare", "sub", "glob", "local", "no-wild", "loose", "template", "display"], 0..9),
    ) {
        let rules = NameRules::new(&settings(&[&domain], &flags.join(" ")));
        let names = rules.for_caller(Some(&node(&name)), &domain);
        let _ = names.allow(&name);
        let _ = names.allow_common_name(&name);
    }

    /// HCSEC-2022-09: no combination of flags issues a wildcard where wildcards are off.
    #[test]
    fn no_flags_bring_a_wildcard_back(
        flags in proptest::sample::subsequence(
            vec!["any", "bare", "sub", "glob", "local", "loose", "template"], 0..7),
        label in "[a-z]{0,3}", tail in "[a-z]{1,3}",
    ) {
        let domains = ["*", "example.com", "*.example.com"];
        for name in [format!("{label}*"), format!("{label}*{tail}.example.com"), "*.example.com".into()] {
            let flags = format!("{} no-wild", flags.join(" "));
            let allowed = allows(&domains, &flags, &name);
            prop_assert!(!allowed);
        }
    }

    /// With host names enforced, an admitted DNS name is a host name or a wildcard of one.
    #[test]
    fn enforced_names_are_host_names(name in "[a-zA-Z0-9._* -]{1,12}") {
        if allows(&["*"], "any bare sub glob local", &name) {
            let host = name.split_once('.').map_or(name.as_str(), |(first, rest)| if first.contains('*') { rest } else { &name });
            prop_assert!(host.contains('*') || host::is_host_name(host), "{name}");
        }
    }
}
