//! The lab's control plane, as AWS's own Python client sees it.

use std::process::Command;

use crate::support::{Openssl, Python, Running};

/// Walks through every operation of boto3's client, and what must be refused.
const WALK: &str = r#"
import os, sys, json
for name in [n for n in os.environ if n.startswith('AWS_')]: del os.environ[name]
import boto3
from botocore.exceptions import ClientError
ready = json.loads(sys.argv[1])
first, second, third, leaf = [open(name).read() for name in sys.argv[2:6]]
def client(service='rolesanywhere', secret=ready['secretAccessKey'], key=ready['accessKeyId']):
    return boto3.client(service, endpoint_url=ready['endpoint'], region_name='us-west-2',
        aws_access_key_id=key, aws_secret_access_key=secret)
aws = client()
def bundle(pem):
    return {'sourceType': 'CERTIFICATE_BUNDLE', 'sourceData': {'x509CertificateData': pem}}
def refused(code, call, **given):
    try:
        call(**given)
    except ClientError as error:
        assert error.response['Error']['Code'] == code, error
        return error.response['Error']['Message']
    sys.exit(f'{call.__name__} was not refused: {given}')

arn = ready['trustAnchorArn']
anchor = aws.get_trust_anchor(trustAnchorId=arn.split('/')[1])['trustAnchor']
assert anchor['trustAnchorArn'] == arn and anchor['enabled']
assert aws.get_trust_anchor(trustAnchorId=arn)['trustAnchor'] == anchor, 'by ARN, too'
made = aws.create_trust_anchor(name='two', source=bundle(first + second), enabled=True,
    notificationSettings=[{'enabled': True, 'event': 'CA_CERTIFICATE_EXPIRY', 'threshold': 90, 'channel': 'ALL'}])['trustAnchor']
two = made['trustAnchorId']
assert made['notificationSettings'][0]['threshold'] == 90
assert 'at most 2' in refused('ValidationException', aws.create_trust_anchor, name='x', source=bundle(first + second + third))
assert 'basic constraints' in refused('ValidationException', aws.create_trust_anchor, name='x', source=bundle(leaf))
refused('ValidationException', aws.create_trust_anchor, name='x;y', source=bundle(first))
refused('ValidationException', aws.create_trust_anchor, name='x', source=bundle('no PEM'))
refused('ValidationException', aws.update_trust_anchor, trustAnchorId=two, source=bundle(first + second + third))
refused('ValidationException', aws.create_trust_anchor, name='x', source=bundle(first), tags=[{'key': 'a', 'value': 'b'}])
refused('ValidationException', aws.put_notification_settings, trustAnchorId=two,
    notificationSettings=[{'enabled': True, 'event': 'CA_CERTIFICATE_EXPIRY', 'threshold': 360, 'channel': 'NONE'}])
aws.put_notification_settings(trustAnchorId=two, notificationSettings=[{'enabled': False, 'event': 'END_ENTITY_CERTIFICATE_EXPIRY'}])
kept = aws.reset_notification_settings(trustAnchorId=two, notificationSettingKeys=[{'event': 'CA_CERTIFICATE_EXPIRY'}])
ca, leafs = kept['trustAnchor']['notificationSettings']
assert ca['threshold'] == 45 and ca['configuredBy'] == 'rolesanywhere.amazonaws.com', ca
assert not leafs['enabled'] and leafs['configuredBy'] == '111122223333', leafs
names = {aws.list_crls()['ResponseMetadata']['RequestId'] for _ in range(3)}
assert len(names) == 3, names
assert kept['trustAnchor']['createdAt'] <= kept['trustAnchor']['updatedAt']
assert aws.update_trust_anchor(trustAnchorId=two, name='renamed', source=bundle(second))['trustAnchor']['name'] == 'renamed'
assert not aws.disable_trust_anchor(trustAnchorId=two)['trustAnchor']['enabled']
assert aws.enable_trust_anchor(trustAnchorId=two)['trustAnchor']['enabled']
pages = aws.get_paginator('list_trust_anchors').paginate(pageSize=1)
assert [len(page['trustAnchors']) for page in pages] == [1, 1]

crl = open(sys.argv[6], 'rb').read()
own = aws.create_trust_anchor(name='own', source=bundle(open(sys.argv[7]).read()), enabled=True)['trustAnchor']['trustAnchorArn']
imported = aws.import_crl(name='c', crlData=crl, trustAnchorArn=own, enabled=True)['crl']
assert imported['crlData'] == crl and imported['enabled']
assert 'not signed' in refused('ValidationException', aws.import_crl, name='c', crlData=crl, trustAnchorArn=arn)
aws.import_crl(name='c', crlData=crl, trustAnchorArn=own)
assert 'two CRLs' in refused('ValidationException', aws.import_crl, name='c', crlData=crl, trustAnchorArn=own)
refused('ValidationException', aws.update_crl, crlId=imported['crlId'], crlData=b'x' * 300_000)
assert aws.update_crl(crlId=imported['crlId'], name='d', crlData=crl)['crl']['crlId'] == imported['crlId']
assert [one['name'] for one in aws.list_crls()['crls']] == ['d', 'c']
assert not aws.disable_crl(crlId=imported['crlId'])['crl']['enabled']
assert aws.enable_crl(crlId=imported['crlId'])['crl']['enabled']
assert aws.get_crl(crlId=imported['crlId'])['crl']['name'] == 'd'
aws.delete_crl(crlId=imported['crlId'])
refused('ResourceNotFoundException', aws.get_crl, crlId=imported['crlId'])

profile = aws.create_profile(name='p', roleArns=[ready['roleArn']], durationSeconds=900, acceptRoleSessionName=True, enabled=True)['profile']
id = profile['profileId']
assert {m['certificateField'] for m in profile['attributeMappings']} == {'x509Subject', 'x509Issuer', 'x509SAN'}
refused('ValidationException', aws.update_profile, profileId=id, sessionPolicy='no JSON')
managed = aws.update_profile(profileId=id, managedPolicyArns=['arn:aws:iam::aws:policy/ReadOnlyAccess'])['profile']
assert managed['managedPolicyArns'] == ['arn:aws:iam::aws:policy/ReadOnlyAccess'] and managed['createdBy'] == '111122223333'
refused('ValidationException', aws.update_profile, profileId=id, durationSeconds=43200, roleArns=['arn:aws:iam::999999999999:role/x'])
assert aws.get_profile(profileId=id)['profile']['durationSeconds'] == 900, 'all or nothing'
assert aws.update_profile(profileId=id, durationSeconds=43200)['profile']['durationSeconds'] == 43200
narrow = aws.put_attribute_mapping(profileId=id, certificateField='x509Subject', mappingRules=[{'specifier': 'CN'}, {'specifier': 'O'}])
aws.delete_attribute_mapping(profileId=id, certificateField='x509Subject', specifiers=['O'])
aws.delete_attribute_mapping(profileId=id, certificateField='x509SAN')
left = {m['certificateField']: [r['specifier'] for r in m['mappingRules']] for m in aws.get_profile(profileId=id)['profile']['attributeMappings']}
assert left == {'x509Subject': ['CN'], 'x509Issuer': ['*']}, left
assert not aws.disable_profile(profileId=id)['profile']['enabled']
assert aws.enable_profile(profileId=id)['profile']['enabled']
assert len(aws.list_profiles()['profiles']) == 2
aws.delete_profile(profileId=id)
assert aws.list_subjects()['subjects'] == []
aws.delete_trust_anchor(trustAnchorId=own.split('/')[1])

assert client('sts').get_caller_identity()['Account'] == '111122223333'
refused('InvalidSignatureException', client(secret='x' * 40).list_crls)
refused('UnrecognizedClientException', client(key='AKIAELSE').list_crls)
import urllib.request, urllib.error
try:
    urllib.request.urlopen(ready['endpoint'] + '/crls')
    sys.exit('an unsigned call was taken')
except urllib.error.HTTPError as error:
    assert error.code == 403 and 'not AWS' in error.headers['Server']
print('walked')
"#;

#[test]
fn boto_walks_through_the_control_plane() {
    let openssl = Openssl::new();
    let file = |name: &str, text: &str| {
        let path = openssl.file(name, text);
        path.to_str().expect("a temporary path is text").to_owned()
    };
    let [one, two, three] = ["one", "two", "three"].map(|name| {
        let (certificate, _) = openssl.authority(name);
        file(name, &certificate)
    });
    let leaf = file("leaf", &openssl.leaf("leaf").0);
    let data = |name: &str| format!("{}/node/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut lab = Command::new(env!("CARGO_BIN_EXE_landfast"));
    let lab = Running::start(lab.args(["lab", "--listen", "127.0.0.1:0", "--trust-anchor", &one]));
    let (content, said) = Python::run(
        "python",
        &[
            "-c",
            WALK,
            &lab.ready.to_string(),
            &one,
            &two,
            &three,
            &leaf,
            &data("crl/rsa-int-empty.crl.pem"),
            &data("pki/rsa-int.crt"),
        ],
    );
    assert!(content, "{said}");
    assert!(said.ends_with("walked\n"), "{said}");
}

#[test]
fn a_lab_serves_this_machine_only() {
    let data = format!(
        "{}/node/tests/data/pki/rsa-int.crt",
        env!("CARGO_MANIFEST_DIR")
    );
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let output = Command::new(env!("CARGO_BIN_EXE_landfast"))
            .args(["lab", "--listen", address, "--trust-anchor", &data])
            .output()
            .expect("the binary under test runs");
        assert_eq!(output.status.code(), Some(4), "{address}: {output:?}");
        assert!(output.stdout.is_empty(), "no key, no endpoint");
    }
}

/// Exit code 4 is for what the lab refuses; what cannot be read or had is 1,
/// and the text names it.
#[test]
fn a_lab_names_the_file_or_the_address_that_it_cannot_have() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let data = |name: &str| format!("{}/node/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    let ca = data("pki/rsa-int.crt");
    let bad = dir.path().join("bad.pem");
    std::fs::write(&bad, "no PEM at all").expect("a fresh folder");
    let bad = bad.to_str().expect("a temporary path is text");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = listener.local_addr().expect("it listens").to_string();
    let leaf = data("pki/rsa-leaf.crt");
    let with_key = dir.path().join("with-key.pem");
    let read = |path: &str| std::fs::read_to_string(path).expect("the test data");
    std::fs::write(&with_key, read(&ca) + &read(&data("pki/rsa-int.key"))).expect("a fresh folder");
    let with_key = with_key.to_str().expect("a temporary path is text");
    for (arguments, code, named) in [
        (
            &["--listen", "127.0.0.1:0", "--trust-anchor", bad][..],
            1,
            bad,
        ),
        (
            &["--listen", "127.0.0.1:0", "--trust-anchor", &leaf],
            4,
            &leaf,
        ),
        (
            &["--listen", "127.0.0.1:0", "--trust-anchor", with_key],
            4,
            "holds a private key",
        ),
        (&["--trust-anchor", &ca, "--region", "here"], 2, "--region"),
        (
            &["--trust-anchor", &ca, "--listen", "9912"],
            2,
            "an IP address and a port",
        ),
        (
            &[
                "--listen",
                "127.0.0.1:0",
                "--trust-anchor",
                &ca,
                "--trust-policy",
                bad,
            ],
            1,
            bad,
        ),
        (&["--trust-anchor", &ca, "--listen", &taken], 1, &taken),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_landfast"))
            .arg("lab")
            .args(arguments)
            .output()
            .expect("the binary under test runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(named), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty(), "no key, no endpoint");
    }
}

/// Faults that were not played yet can be taken back.
#[test]
fn faults_to_come_are_forgotten_on_request() {
    let data = format!(
        "{}/node/tests/data/pki/rsa-int.crt",
        env!("CARGO_MANIFEST_DIR")
    );
    let mut lab = Command::new(env!("CARGO_BIN_EXE_landfast"));
    let lab = Running::start(lab.args(["lab", "--listen", "127.0.0.1:0", "--trust-anchor", &data]));
    let faults = |arguments: &[&str]| {
        let output = Command::new("curl")
            .args(["-sS", "--noproxy", "*"])
            .args(arguments)
            .arg(format!("{}/lab/faults", lab.text("endpoint")))
            .output()
            .expect("curl runs");
        String::from_utf8(output.stdout).expect("a text")
    };
    assert_eq!(
        faults(&[
            "-d",
            r#"{"sessions": ["drop", "throttle"], "control": ["unavailable"]}"#
        ]),
        "{}"
    );
    let forgotten = r#"{"forgotten":{"control":1,"sessions":2}}"#;
    assert_eq!(faults(&["-X", "DELETE"]), forgotten);
    // The next call is not disturbed: refused for its signature, not by a fault.
    let output = Command::new("curl")
        .args([
            "-sS",
            "--noproxy",
            "*",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
        ])
        .arg(format!("{}/crls", lab.text("endpoint")))
        .output()
        .expect("curl runs");
    assert_eq!(output.stdout, b"403");
}

/// What curl gets: the status, the headers and the body.
fn curl(lab: &Running, path: &str, arguments: &[&str]) -> (u16, String, String) {
    let output = Command::new("curl")
        .args(["-sS", "-i", "--noproxy", "*"])
        .args(arguments)
        .arg(format!("{}{path}", lab.text("endpoint")))
        .output()
        .expect("curl runs");
    let answer = String::from_utf8(output.stdout).expect("a text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).expect("a status");
    let status = status.parse().expect("a number");
    (status, head.to_lowercase(), body.to_owned())
}

/// The page is there beside the call that shares its path, and its form listens to nobody else.
#[test]
fn the_lab_has_a_page_of_its_own() {
    let data = format!(
        "{}/node/tests/data/pki/rsa-int.crt",
        env!("CARGO_MANIFEST_DIR")
    );
    let mut lab = Command::new(env!("CARGO_BIN_EXE_landfast"));
    let lab = Running::start(lab.args(["lab", "--listen", "127.0.0.1:0", "--trust-anchor", &data]));
    let (status, head, page) = curl(&lab, "/", &[]);
    assert_eq!(status, 200);
    for header in [
        "content-type: text/html; charset=utf-8",
        "content-security-policy: default-src 'none'; script-src 'self';",
        "frame-ancestors 'none'",
        "x-content-type-options: nosniff",
        "server: landfast-lab (this is not aws)",
    ] {
        assert!(head.contains(header), "{header}: {head}");
    }
    assert!(page.contains(lab.text("trustAnchorArn")), "{page}");
    for (file, kind) in [
        ("/lab/page.css", "text/css"),
        ("/lab/page.js", "text/javascript"),
        ("/lab/page.svg", "image/svg+xml"),
    ] {
        let (status, head, _) = curl(&lab, file, &[]);
        assert_eq!(status, 200, "{file}");
        assert!(head.contains(&format!("content-type: {kind}")), "{head}");
        assert!(page.contains(file), "the page asks for {file}");
    }
    // To look at the page is no call of the service; to ask STS is.
    assert_eq!(curl(&lab, "/lab/calls", &[]).2, r#"{"calls":[]}"#);
    assert_eq!(curl(&lab, "/", &["-d", "Action=GetCallerIdentity"]).0, 403);
    let calls = curl(&lab, "/lab/calls", &[]).2;
    assert!(calls.contains(r#""operation":"POST /""#), "{calls}");

    let form = "plane=sessions&count=2&seconds=5&fault=slow";
    let origin = format!("Origin: {}", lab.text("endpoint"));
    for (headers, expected) in [
        (&["-d", form][..], 403),
        (&["-d", form, "-H", "Origin: https://example.com"], 403),
        (&["-d", form, "-H", "Sec-Fetch-Site: cross-site"], 403),
        (&["-d", "fault=crash", "-H", &origin], 400),
        (&["-d", form, "-H", &origin], 303),
    ] {
        let (status, _, said) = curl(&lab, "/lab/page/faults", headers);
        assert_eq!(status, expected, "{headers:?}: {said}");
    }
    let (_, _, page) = curl(&lab, "/", &[]);
    assert!(
        page.contains("<dt>Sessions</dt><dd>2 × slow:5</dd>"),
        "{page}"
    );
}

/// The record says when, who, by which rule and what to do.
#[test]
fn the_record_of_a_refusal_names_rule_and_remedy() {
    let data = |name: &str| format!("{}/node/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut lab = Command::new(env!("CARGO_BIN_EXE_landfast"));
    let lab = Running::start(lab.args([
        "lab",
        "--listen",
        "127.0.0.1:0",
        "--trust-anchor",
        &data("pki/rsa-int.crt"),
    ]));
    let session = |pair: &str| {
        Command::new(env!("CARGO_BIN_EXE_landfast"))
            .args(["credential-process", "--no-cache"])
            .args(["--endpoint", lab.text("endpoint")])
            .args(["--trust-anchor-arn", lab.text("trustAnchorArn")])
            .args(["--profile-arn", lab.text("profileArn")])
            .args(["--role-arn", lab.text("roleArn")])
            .args(["--certificate", &data(&format!("pki/{pair}.crt"))])
            .args(["--private-key", &data(&format!("pki/{pair}.key"))])
            .output()
            .expect("the binary under test runs")
    };
    assert_eq!(session("ec-leaf").status.code(), Some(1), "of another CA");
    curl(&lab, "/lab/faults", &["-d", r#"["throttle"]"#]);
    session("ec-leaf");
    let calls: serde_json::Value =
        serde_json::from_str(&curl(&lab, "/lab/calls", &[]).2).expect("JSON");
    let calls = calls["calls"].as_array().expect("a list");
    let refused = &calls[0];
    assert_eq!(refused["rule"], "CA-09", "{refused}");
    assert_eq!(refused["status"], 403);
    let told = |member: &str| refused[member].as_str().unwrap_or_default();
    assert!(
        told("remedy").contains("landfast trust-anchor"),
        "{refused}"
    );
    assert!(told("subject").contains("CN="), "{refused}");
    assert!(told("at").ends_with('Z'), "{refused}");
    assert_eq!(calls[1]["fault"], "throttle", "{calls:?}");
    assert!(calls[1].get("rule").is_none(), "{calls:?}");
    assert_eq!(calls[2]["rule"], "CA-09", "the next try is no fault's");
}
