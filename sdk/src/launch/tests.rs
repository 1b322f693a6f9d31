use std::collections::HashMap;

use super::*;

fn pem() -> String {
    crate::mtls::Identity::generate().unwrap().pem()
}

fn read(kind: PluginKind, vars: &[(&str, &str)], without: &[&str]) -> Result<Launch, LaunchError> {
    let pem = pem();
    let (cookie, value) = kind.cookie();
    let mut all: HashMap<&str, &str> = HashMap::from([
        (cookie, value),
        ("PLUGIN_PROTOCOL_VERSIONS", "3,5,4,1"),
        ("PLUGIN_CLIENT_CERT", &pem),
    ]);
    all.extend(vars.iter().copied());
    all.retain(|name, _| !without.contains(name));
    Launch::read(kind, &|name| all.get(name).map(OsString::from))
}

#[test]
fn the_servers_are_told_apart_by_their_versions() {
    let with = |vault: Option<&str>, bao: Option<&str>| {
        let (vault, bao) = (vault.map(OsString::from), bao.map(OsString::from));
        product_of(&|name| match name {
            "VAULT_VERSION" => vault.clone(),
            "BAO_VERSION" => bao.clone(),
            _ => None,
        })
    };
    assert_eq!(with(Some("2.7.2"), Some("2.7.2")), Product::OpenBao);
    assert_eq!(with(Some("1.14.7"), None), Product::Vault);
    // A variable that an operator left in the environment of Vault.
    assert_eq!(with(Some("1.14.7"), Some("2.7.2")), Product::Vault);
    assert_eq!(with(None, None), Product::OpenBao);
}

#[test]
fn the_highest_common_version_wins_whatever_the_order() {
    assert_eq!(negotiate("3,5,4", &[5]), Some(5));
    assert_eq!(negotiate("5,3,4", &[3, 4]), Some(4));
    assert_eq!(negotiate(" 5 , x", &[5]), Some(5));
    assert_eq!(negotiate("3,4", &[5]), None);
    assert_eq!(negotiate("", &[5]), None);
    assert_eq!(negotiate("99999999999", &[5]), None);
}

#[test]
fn the_cookie_needs_name_and_value() {
    let vars = |name: &'static str, value: &'static str| {
        move |asked: &str| (asked == name).then(|| OsString::from(value))
    };
    let secret = vars(SECRET_COOKIE.0, SECRET_COOKIE.1);
    assert_eq!(kind_of(&secret), Some(PluginKind::Secret));
    assert_eq!(
        kind_of(&vars(KMS_COOKIE.0, KMS_COOKIE.1)),
        Some(PluginKind::Kms)
    );
    assert_eq!(kind_of(&vars(SECRET_COOKIE.0, KMS_COOKIE.1)), None);
    assert_eq!(
        read(PluginKind::Secret, &[(SECRET_COOKIE.0, "1")], &[]).err(),
        Some(LaunchError::NotAPlugin)
    );
}

#[test]
fn a_database_plugin_speaks_the_newest_version_that_the_host_offers() {
    for (offered, version) in [("5,6", 6), ("6,5,4", 6), ("5,4", 5), ("5", 5)] {
        let launch = read(
            PluginKind::Database,
            &[("PLUGIN_PROTOCOL_VERSIONS", offered)],
            &[],
        );
        let launch = launch.unwrap();
        assert_eq!(launch.version, version);
        let line = launch.handshake_line("/s", &CertificateDer::from(vec![0]));
        assert!(line.starts_with(&format!("1|{version}|")), "{line}");
    }
}

#[test]
fn a_wrong_kind_is_told_which_ones_there_are() {
    let text = |served: &[PluginKind], wanted| {
        let served = served.to_vec();
        LaunchError::WrongKind { served, wanted }.to_string()
    };
    let text = text(&[PluginKind::Secret, PluginKind::Kms], PluginKind::Database);
    assert!(text.starts_with(
        "this binary serves plugins of type secret and kms, and was started as one of type database"
    ));
    assert!(
        !text.contains(['|', '\n']),
        "the text goes out as one line: {text}"
    );
    assert_eq!(names(&[PluginKind::Auth]), "auth");
    let three = [PluginKind::Secret, PluginKind::Auth, PluginKind::Kms];
    assert_eq!(names(&three), "secret, auth and kms");
}

#[test]
fn an_old_protocol_is_refused() {
    let error = read(
        PluginKind::Secret,
        &[("PLUGIN_PROTOCOL_VERSIONS", "4,3")],
        &[],
    );
    assert_eq!(
        error.err(),
        Some(LaunchError::Version {
            offered: "4,3".into(),
            ours: 5
        })
    );
}

#[test]
fn a_host_without_certificate_is_refused() {
    let missing = read(PluginKind::Secret, &[], &["PLUGIN_CLIENT_CERT"]);
    assert_eq!(missing.err(), Some(LaunchError::NoCertificate));
    let broken = read(
        PluginKind::Kms,
        &[("PLUGIN_CLIENT_CERT", "not a certificate")],
        &[],
    );
    assert_eq!(broken.err(), Some(LaunchError::BadCertificate));
}

#[test]
fn broker_multiplexing_is_refused_when_demanded() {
    for demand in ["true", "1", "maybe"] {
        let launch = read(
            PluginKind::Secret,
            &[("PLUGIN_MULTIPLEX_GRPC", demand)],
            &[],
        );
        assert_eq!(
            launch.err(),
            Some(LaunchError::BrokerMultiplexing),
            "{demand}"
        );
    }
    assert!(
        read(
            PluginKind::Secret,
            &[("PLUGIN_MULTIPLEX_GRPC", "false")],
            &[]
        )
        .unwrap()
        .seventh_field
    );
}

#[test]
fn the_handshake_line_has_six_fields_and_unpadded_base64() {
    let launch = read(PluginKind::Secret, &[], &[]).unwrap();
    let certificate = CertificateDer::from(vec![0xfb, 0xff, 0xfe, 0x00]);
    assert_eq!(
        launch.handshake_line("/tmp/plugin1", &certificate),
        "1|5|unix|/tmp/plugin1|grpc|+//+AA\n"
    );
}

#[test]
fn the_handshake_line_gets_its_seventh_field_only_when_asked() {
    let launch = read(PluginKind::Kms, &[("PLUGIN_MULTIPLEX_GRPC", "0")], &[]).unwrap();
    let certificate = CertificateDer::from(vec![0, 0, 0]);
    assert_eq!(
        launch.handshake_line("/s", &certificate),
        "1|1|unix|/s|grpc|AAAA|false\n"
    );
}

#[test]
fn the_socket_goes_where_the_host_says() {
    let launch = read(
        PluginKind::Secret,
        &[
            ("PLUGIN_UNIX_SOCKET_DIR", "/run/p"),
            ("PLUGIN_UNIX_SOCKET_GROUP", "bao"),
        ],
        &[],
    )
    .unwrap();
    assert_eq!(launch.socket_dir, PathBuf::from("/run/p"));
    assert_eq!(launch.socket_group.as_deref(), Some("bao"));
    let launch = read(PluginKind::Secret, &[("TMPDIR", "/var/tmp")], &[]).unwrap();
    assert_eq!(launch.socket_dir, PathBuf::from("/var/tmp"));
    assert_eq!(
        read(PluginKind::Secret, &[], &[]).unwrap().socket_dir,
        PathBuf::from("/tmp")
    );
}
