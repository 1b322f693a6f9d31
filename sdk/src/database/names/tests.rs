use proptest::prelude::*;

use super::*;

fn made(template: &str) -> Result<String> {
    UserNames::of(template)?.of_user("token-ann", "readers")
}

#[test]
fn templates_of_the_servers_own_plugins_are_read() {
    // PostgreSQL, MySQL and Cassandra, of OpenBao 2.7.
    for (template, start, longest) in [
        (
            r#"{{ printf "v-%s-%s-%s-%s" (.DisplayName | truncate 8) (.RoleName | truncate 8) (random 20) (unix_time) | truncate 63 }}"#,
            "v-token-an-readers-",
            63,
        ),
        (
            r#"{{ printf "v-%s-%s-%s-%s" (.DisplayName | truncate 10) (.RoleName | truncate 10) (random 20) (unix_time) | truncate 32 }}"#,
            "v-token-ann-readers-",
            32,
        ),
        (
            r#"{{ printf "v_%s_%s_%s_%s" (.DisplayName | truncate 15) (.RoleName | truncate 15) (random 20) (unix_time) | truncate 100 | replace "-" "_" | lowercase }}"#,
            "v_token_ann_readers_",
            100,
        ),
    ] {
        let name = made(template).unwrap();
        assert!(name.starts_with(start) && name.len() <= longest, "{name}");
        assert_ne!(made(template).unwrap(), name, "names are not given twice");
    }
    let name = made("").unwrap();
    assert!(
        name.starts_with("v_token-an_readers_") && name.len() <= 63,
        "{name}"
    );
    assert_eq!(UserNames::default().0, UserNames::of("").unwrap().0);
}

#[test]
fn functions_do_what_their_names_say() {
    for (template, name) in [
        ("app_{{.RoleName}}", "app_readers"),
        ("{{ .RoleName | uppercase }}", "READERS"),
        ("{{ uppercase .RoleName | lowercase }}", "readers"),
        ("{{ truncate 4 .RoleName }}", "read"),
        ("{{ .RoleName | replace \"e\" `\"` }}", "r\"ad\"rs"),
        // By sha256sum, of what is cut off.
        ("{{ \"abcdefghijkl\" | truncate_sha256 9 }}", "ae7bb6e99"),
        ("{{ .RoleName | truncate_sha256 30 }}", "readers"),
        ("{{ hex .RoleName }}", "72656164657273"),
        ("{{ base64 .RoleName }}", "cmVhZGVycw=="),
        (
            "{{ printf \"%s-%d-%v-%%\" .RoleName 7 -8 }}",
            "readers-7--8-%",
        ),
        ("a {{- .RoleName -}} b", "areadersb"),
        ("{{ \"\\\"x\\\\\" }}", "\"x\\"),
        ("{{ 12 }}", "12"),
    ] {
        let made = made(template).unwrap();
        assert_eq!(made, name, "{template}");
    }
    assert_eq!(made("{{ .RoleName | sha256 }}").unwrap().len(), 64);
    assert_eq!(made("{{ random 20 }}").unwrap().len(), 20);
    let uuid = made("{{ uuid }}").unwrap();
    assert!(uuid.len() == 36 && uuid.as_bytes()[14] == b'4', "{uuid}");
    assert!(made("{{ unix_time_millis }}").unwrap() > made("{{ unix_time }}").unwrap());
}

#[test]
fn what_cannot_be_read_is_refused_when_it_is_written() {
    for bad in [
        "{{",
        "{{}}",
        "{{ . }}",
        "{{ .Password }}",
        "{{ unknown }}",
        "{{ random }}",
        "{{ random 0 }}",
        "{{ random 5000 }}",
        "{{ random \"5\" }}",
        "{{ .RoleName 5 }}",
        "{{ .RoleName | \"x\" }}",
        "{{ truncate .RoleName 4 }}",
        "{{ \"x }}",
        "{{ (.RoleName }}",
        "{{ .RoleName ) }}",
        "{{ printf \"%s\" }}",
        "{{ printf \"%s\" 1 2 }}",
        "{{ printf \"%d\" \"x\" }}",
        "{{ printf \"x\" 1 }}",
        "{{ if .RoleName }}x{{ end }}",
        "{{ .RoleName | truncate 99999999999999999999 }}",
        "{{ truncate_sha256 8 .RoleName }}",
        "{{ `` }}",
    ] {
        let error = UserNames::of(bad).unwrap_err().to_string();
        assert!(error.starts_with("username_template: "), "{bad}: {error}");
    }
    let deep = format!("{{{{ {}1{} }}}}", "(".repeat(17), ")".repeat(17));
    assert!(UserNames::of(&deep).is_err());
    assert!(UserNames::of(&"x".repeat(LONGEST_TEMPLATE + 1)).is_err());
    let grows = format!(
        "{{{{ \"a\" {} }}}}",
        "| replace \"a\" \"aaaaaaaaaa\"".repeat(20)
    );
    assert!(UserNames::of(&grows).is_err());
}

#[test]
fn whoever_asks_cannot_write_into_a_statement() {
    let names = UserNames::of("{{ .DisplayName }}.{{ .RoleName }}").unwrap();
    let name = names
        .of_user("x'; DROP TABLE \"users\" --", "r\u{e4}")
        .unwrap();
    assert_eq!(name, "x___DROP_TABLE__users__--.r_");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(\\{\\{|\\}\\}|[a-z\"`|() .0-9%-]|\\PC|random|truncate|printf|\\.RoleName){0,40}") {
        if let Ok(names) = UserNames::of(&text) {
            prop_assert!(!names.of_user("token", "role").unwrap().is_empty());
        }
    }
}
