//! The environment of a plugin: whatever it holds, it is read or refused, and what was read gives one line of six or seven fields.

#![no_main]

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _};

use landfast_sdk::{PluginKind, launch::Launch};
use libfuzzer_sys::fuzz_target;

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

fuzz_target!(|values: (Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, bool)| {
    let (versions, multiplex, dir, certificate, real) = values;
    let text = |bytes: &Vec<u8>| Some(OsString::from_vec(bytes.clone()));
    let launch = Launch::read(PluginKind::Secret, &|name| match name {
        "VAULT_BACKEND_PLUGIN" => Some("6669da05-b1c8-4f49-97d9-c8e5bed98e20".into()),
        "PLUGIN_PROTOCOL_VERSIONS" => text(&versions),
        "PLUGIN_MULTIPLEX_GRPC" => text(&multiplex),
        "PLUGIN_UNIX_SOCKET_DIR" => text(&dir),
        "PLUGIN_CLIENT_CERT" if real => Some(CERTIFICATE.into()),
        "PLUGIN_CLIENT_CERT" => text(&certificate),
        _ => None,
    });
    if let Ok(launch) = launch {
        let line = launch.handshake_line("/tmp/plugin", &launch.host_certificate);
        let fields = line.trim_end().split('|').count();
        assert_eq!(fields, 6 + usize::from(launch.seventh_field));
        assert!(line.starts_with("1|5|unix|/tmp/plugin|grpc|"));
    }
});
