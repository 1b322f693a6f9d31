//! CEL roles: what is taken and shown, what programs see and decide, and the certificates that they make.

use serde_json::{Value, json};

use super::{dump, with_root};
use crate::support::{Openssl, Pair, Release, Reply};

/// A certificate for an hour of the name `a`.
const PLAIN: &str =
    "Subject: PKIX.Name{CommonName: 'a'}, NotBefore: now, NotAfter: now + duration('1h')";

/// A program of an expression alone.
fn program(expression: &str) -> Value {
    json!({"cel_program": {"expression": expression}})
}

/// A program of variables and an expression.
fn with_variables(variables: &[(&str, &str)], expression: &str) -> Value {
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, expression)| json!({"name": name, "expression": expression}))
        .collect();
    json!({"cel_program": {"variables": variables, "expression": expression}})
}

/// A program that makes a certificate of this template.
fn template(fields: &str, more: &str) -> Value {
    program(&format!(
        "ValidationOutput{{template: CertTemplate{{{fields}}}, key_type: 'ec'{more}}}"
    ))
}

/// Writes a role to both, and says whether both took it.
fn write(pair: &mut Pair, role: Value) -> bool {
    let both = pair.same("POST", "cel/roles/one", role);
    both.theirs.status == 200 && both.ours.status == 200
}

#[test]
fn a_role_reads_back_as_the_built_in_writes_it() {
    let mut pair = Pair::new();
    pair.same("LIST", "cel/roles", Value::Null);
    for sent in [
        json!({}),
        json!({"cel_program": "x"}),
        json!({"cel_program": 5}),
        json!({"cel_program": true}),
        json!({"cel_program": {}}),
        json!({"cel_program": []}),
        json!({"cel_program": null}),
        json!({"cel_program": [{"expression": "true"}, {"expression": "false"}]}),
        json!({"cel_program": {"expression": 5}}),
        json!({"cel_program": {"expression": true}}),
        json!({"cel_program": {"expression": null}}),
        json!({"cel_program": {"expression": "true", "unknown": 1}}),
        json!({"cel_program": {"Expression": "true"}, "more": 3, "name": "two"}),
        json!({"cel_program": {"expression": "true", "variables": {}}}),
        json!({"cel_program": {"expression": "true", "variables": {"name": "a", "expression": "1"}}}),
        json!({"cel_program": {"expression": "true", "variables": []}}),
        json!({"cel_program": {"expression": "true", "variables": null}}),
        json!({"cel_program": {"expression": "true", "variables": "x"}}),
        json!({"cel_program": {"expression": "true", "variables": 5}}),
        json!({"cel_program": {"expression": "true", "variables": true}}),
        json!({"cel_program": {"expression": [], "variables": 5}}),
        json!({"cel_program": {"expression": "true", "variables": ["x"]}}),
        json!({"cel_program": {"expression": "true", "variables": [{"name": 1, "expression": "2"}]}}),
        json!({"cel_program": {"expression": "true", "variables": [
            {"name": true, "expression": []}, 3, null, {"name": "x", "expression": {}}]}}),
        json!({"cel_program": {"expression": "true", "variables": [{"name": "x"}]}}),
        json!({"cel_program": {"expression": "true", "variables": [{"expression": "1"}]}}),
        json!({"cel_program": {"expression": "true", "variables": [{"name": "1x", "expression": "1"}]}}),
        with_variables(&[("a", "1"), ("a", "2")], "true"),
        with_variables(&[("request", "1")], "true"),
        with_variables(&[("client_token", "1")], "true"),
        with_variables(&[("x", "1 +")], "true"),
        with_variables(&[("x", "no.such(thing)"), ("y", "1 + 'a'")], "x"),
        program("'<a>' == '&' ? 'x' : \"y\""),
    ] {
        pair.same("POST", "cel/roles/one", sent);
        pair.same("GET", "cel/roles/one", Value::Null);
    }
    pair.same("GET", "cel/roles/none", Value::Null);
    pair.same("DELETE", "cel/roles/none", Value::Null);
    pair.same("POST", "cel/roles/a/b", program("true"));
    for name in ["a", "b", "c", "with.dot"] {
        pair.same("POST", &format!("cel/roles/{name}"), program("true"));
    }
    for query in [
        "",
        "&limit=2",
        "&after=a",
        "&after=a&limit=1",
        "&limit=-1",
        "&after=zz",
        "&limit=x",
    ] {
        pair.same("GET", &format!("cel/roles?list=true{query}"), Value::Null);
    }
    pair.same("DELETE", "cel/roles/a", Value::Null);
    pair.same("LIST", "cel/roles", Value::Null);
    pair.finish();
}

#[test]
fn a_patch_changes_the_parts_that_are_sent() {
    let mut pair = Pair::new();
    pair.same("PATCH", "cel/roles/one", program("true"));
    let first = with_variables(&[("a", "1"), ("b", "2")], "a == b");
    pair.same("POST", "cel/roles/one", first);
    for sent in [
        json!({}),
        json!({"cel_program": {}}),
        json!({"cel_program": null}),
        json!({"cel_program": "x"}),
        json!({"cel_program": {"variables": [{"expression": "3"}, {"expression": "4"}]}}),
        json!({"cel_program": {"expression": "b"}}),
        json!({"cel_program": {"expression": ""}}),
        json!({"cel_program": {"expression": true}}),
        json!({"cel_program": {"variables": []}}),
        json!({"cel_program": {"variables": null}}),
        json!({"cel_program": {"variables": [{"name": "q", "expression": "1"}]}}),
        json!({"cel_program": {"variables": [{"name": "b", "expression": "1"}]}}),
        json!({"name": "two", "unknown": 1}),
    ] {
        pair.same("PATCH", "cel/roles/one", sent);
        pair.same("GET", "cel/roles/one", Value::Null);
    }
    pair.finish();
}

#[test]
fn programs_are_refused_in_the_same_words() {
    let mut pair = Pair::new();
    for expression in [
        "",
        " ",
        "1 +",
        "nope",
        "nope()",
        "x.y.z",
        "1 + 'a'",
        "now + 1",
        "ValidationOutput{",
        "ValidationOutput{foo: 1}",
        "Validation{}",
        "ValidationOutput{no_store: 'a'}",
        "ValidationOutput{key_bits: 1}",
        "ValidationOutput{template: PKIX.Name{}}",
        "CertTemplate{DNSNames: [1]}",
        "has(request)",
        "request.x.f()",
        "request.x.startsWith(1)",
        "'a'.startsWith(1)",
        "size(1)",
        "decode_json(1)",
        "check_valid_email(1)",
        "true && 1",
        "1 || false",
        "cel.bind(x, 1, x)",
        "a\nb",
        "'é' +\n  nope",
        "@",
        "a b",
        "1u + 1",
        "-'a'",
        "!1",
        "[1][0] + 'a'",
        "now.foo",
        "request.all(x, x)",
        "1 == 'a'",
        "1 in ['a']",
        "KeyUsage",
        "net.IP{IP: 'a'}",
        "string(request)",
        "[1].map(x, y)",
        "1.exists(x, true)",
        "{'a': 1}.b + 'c'",
        "math.greatest('a')",
        "sets.contains([1], 2)",
        "now - 1",
        "duration(true)",
        "use_csr ? 1 : nope",
        "1 ? 2 : 3",
        "entity_id + 1",
        "[1, 2].sortBy(x)",
        "''.format(1)",
        "size()",
        "size(1, 2)",
        "type(1) == 2",
        "optional.of(1) + 1",
        "1 == 1.0 || 1u < 2",
    ] {
        pair.same("POST", "cel/roles/one", program(expression));
    }
    for expression in [
        "request.x",
        "use_csr ? 'a' : false",
        "request.a ? 1 : 'b'",
        "has(request.x)",
        "parsed_csr.x",
        "entity_id",
        "client_token == 'a'",
        "encode_json(request)",
        "[1,'a']",
        "{1:2,'a':3}",
        "'a'.matches('[')",
        "dyn(1) + 'a'",
        "KeyUsage.KeyUsageCertSign",
        "openbao.pki.PKIX.Name{}",
        ".openbao.pki.PKIX.Name{}",
        "net.IP{IP: b'a'}",
        "int",
        "type(1)",
        "null",
        "b'a'",
        "1.5",
        "optional.of(1)",
        "request.?x.orValue(1)",
        "request[?'x']",
        "1 == 2 || 1u < 2u",
        "[1,2].map(x, x * 2)",
        "math.greatest(1, 2u)",
        "'%s'.format([1])",
        "[3,1].sort() == [1,3]",
        "[1].first().orValue(2)",
        "// a comment\n true",
        "{'a': [1]}.a[0] + 1",
        "CertTemplate{}.DNSNames",
        "\"\"\"a\nb\"\"\"",
        "r'\\d' + '\\u00e9'",
        "0x1F == 31",
        "1e3 > 2.0",
    ] {
        assert!(write(&mut pair, program(expression)), "{expression}");
    }
    pair.finish();
}

#[test]
fn programs_see_and_decide_the_same() {
    let mut pair = with_root(json!({}));
    pair.same("POST", "cel/issue/none", json!({}));
    pair.same("POST", "cel/sign/none", json!({}));
    let request = json!({
        "text": "s", "number": 256, "negative": -3, "fraction": 1.5, "truth": true, "nothing": null, "list": [1, "a", {"b": 2.5}],
        "object": {"k": "v"}, "ttl": "90m", "names": ["a.example.com", "b.example.com"], "json": "{\"emails\":[\"a@b.c\"]}",
        "long": "aXbXcXd", "html": "<&>",
    });
    for expression in EXPRESSIONS {
        if write(&mut pair, program(expression)) {
            pair.same("POST", "cel/issue/one", request.clone());
        }
    }
    for (variables, expression) in [
        (&[("a", "optional.of('v')")][..], "a"),
        (&[("a", "'x'"), ("b", "a + 'y'"), ("a", "b + 'z'")], "a"),
        (&[("a", "g()")], "'x'"),
        (&[("a", "nope")], "'x'"),
        (&[("a", "Foo{}")], "'x'"),
        (&[("a", "ValidationOutput{foo: 1}")], "'x'"),
        (&[("a", "ValidationOutput{no_store: 1}")], "'x'"),
        (&[("a", "1 + 'a'")], "'x'"),
        (&[("a", "request")], "a.?x.orValue('d')"),
        (
            &[("ok", "size(request.names) > 1"), ("err", "'too few'")],
            "ok ? err : false",
        ),
        (
            &[("emails", "decode_json(request.json).emails")],
            "emails[0] + string(check_valid_email(emails[0]))",
        ),
    ] {
        if write(&mut pair, with_variables(variables, expression)) {
            pair.same("POST", "cel/issue/one", request.clone());
        }
    }
    pair.finish();
}

/// Each comes to a text, which is the answer, or fails.
const EXPRESSIONS: &[&str] = &[
    "true",
    "false",
    "'no'",
    "''",
    "1",
    "1u",
    "1.5",
    "null",
    "b'a'",
    "now",
    "duration('1h')",
    "int",
    "optional.of('a')",
    "ValidationOutput{}",
    "request.x",
    "request.text",
    "request.number",
    "request.truth",
    "request.nothing",
    "request.fraction",
    "string(request.number + 1)",
    "request.number + 'a'",
    "string(uint(request.number))",
    "string(request.number == 256)",
    "string(request.fraction)",
    "string(request.negative)",
    "encode_json(request)",
    "encode_json(request.object)",
    "encode_json([1])",
    "encode_json({1:2})",
    "encode_json({'b': b'x', 'a': [1u, 2.0], 'h': request.html})",
    "string(use_csr)",
    "entity_id",
    "client_token",
    "parsed_csr",
    "string(1/0)",
    "string(1 % 0)",
    "string(9223372036854775807 + 1)",
    "string(-(-9223372036854775807 - 1))",
    "[1,2][5]",
    "[1,2][-1]",
    "{'a':1}['b']",
    "string('a1'.matches('^\\\\w\\\\d$'))",
    "string('é'.matches('^\\\\w$'))",
    "string(matches('x.y', '[.]'))",
    "string(int('x'))",
    "string(int('12'))",
    "string(int(1.9))",
    "string(uint(-1))",
    "string(double('1.5'))",
    "string(1.0)",
    "string(100000.0 * 1000000.0)",
    "string(1e100)",
    "string(0.1 + 0.2)",
    "string(duration('x'))",
    "string(duration('1h rest'))",
    "string(duration('90m'))",
    "string(duration('1.5s'))",
    "string(duration('-1h'))",
    "string(duration(request.ttl) < duration('2h'))",
    "string(timestamp('x'))",
    "string(timestamp('2027-01-02T03:04:05Z'))",
    "string(timestamp('2027-01-02T03:04:05.5+01:00'))",
    "string(timestamp('2027-01-02 03:04:05Z'))",
    "string(timestamp(0))",
    "string(timestamp('2027-01-02T03:04:05Z') + duration('1h'))",
    "string(timestamp('2027-01-02T03:04:05Z') - timestamp('2027-01-01T03:04:05Z'))",
    "string(timestamp('2027-01-02T03:04:05Z').getFullYear())",
    "string(timestamp('2027-01-02T03:04:05Z').getHours('Europe/Vienna'))",
    "string(int(timestamp('2027-01-02T03:04:05Z')))",
    "string(int(duration('1s')))",
    "decode_json('{')",
    "string(decode_json('{\"a\":[1,2]}').a[1])",
    "string(check_valid_email('a@b.c'))",
    "string(check_valid_email('Me <a@b.c>'))",
    "string(check_valid_email('a b'))",
    "request.text ? 'a' : 'b'",
    "request.text || true",
    "string(request.x == 1 || true)",
    "string(request.x == 1 && false)",
    "dyn('a') || false",
    "true ? 'a' : request.x",
    "string(has(request.text)) + string(has(request.x)) + string(has(request.object.k))",
    "string('s' in request) + string('a' in request.list)",
    "string(size(request.list)) + string(size('é')) + string(size(b'é'))",
    "request.names.map(n, n.split('.')[0]).join(',')",
    "request.names.filter(n, n.startsWith('a')).join()",
    "string(request.names.all(n, n.endsWith('.example.com')))",
    "string(request.names.exists(n, n == 'b.example.com'))",
    "string(request.names.exists_one(n, n.contains('example')))",
    "request.object.map(k, k).join()",
    "request.long.replace('X', '-')",
    "request.long.replace('X', '-', 2)",
    "request.long.replace('', '.')",
    "request.long.split('X', 2).join('|')",
    "string(request.long.indexOf('X')) + string(request.long.indexOf('X', 2)) + string(request.long.lastIndexOf('X'))",
    "string('abc'.indexOf('', 1)) + string('abc'.indexOf('z')) + string('abc'.lastIndexOf('c', 1))",
    "string('abc'.indexOf('a', 5))",
    "'hello'.substring(1, 3) + 'hello'.charAt(4) + 'héllo'.substring(1)",
    "'abc'.substring(5)",
    "'aBé'.upperAscii() + 'AbÉ'.lowerAscii() + '  x '.trim()",
    "'abc'.reverse() + strings.quote('a\"b')",
    "'%s %d %.2f %x %b'.format(['a', 3, 1.5, 255, 5])",
    "'%s %s'.format([[1, 'b'], {'a': 1}])",
    "[3,1,2].sort().map(x, string(x)).join()",
    "['b','a'].sortBy(x, x).join()",
    "[1,1,2].distinct().map(x, string(x)).join()",
    "[[1],[2]].flatten().map(x, string(x)).join()",
    "lists.range(4).map(x, string(x)).join()",
    "[1,2,3].slice(1, 3).reverse().map(x, string(x)).join()",
    "string([1,2].first().value()) + string([1,2].last().orValue(0)) + string([].first().hasValue())",
    "string(math.greatest(1, 5, 3)) + string(math.least([2, 1]))",
    "string(math.ceil(1.2)) + string(math.abs(-3)) + string(math.sqrt(16))",
    "string(math.bitAnd(6, 3)) + string(math.bitShiftLeft(1, 4))",
    "string(sets.contains([1,2], [1])) + string(sets.intersects([1], [2])) + string(sets.equivalent([1,1], [1]))",
    "base64.encode(b'hello') + string(base64.decode('aGVsbG8='))",
    "regex.replace('a1b2', '[0-9]', 'x')",
    "regex.replace('a1b2', '([a-z])([0-9])', '\\\\2\\\\1', 1)",
    "regex.extract('user@host', '@(.*)').orValue('none')",
    "regex.extractAll('a1b2', '[0-9]').join()",
    "regex.extract('x', '(a)(b)').orValue('')",
    "request.?missing.orValue('d')",
    "request[?'text'].orValue('d')",
    "optional.of(1).hasValue() ? 'yes' : 'no'",
    "optional.none().orValue('n')",
    "request.?object.?k.optMap(v, v + '!').orValue('none')",
    "string(bytes('é') == b'é')",
    "string(b'\\x61')",
    "string(b'\\xff')",
    "string([1, 2] == [1.0, 2u])",
    "string({'a': 1} == {'a': 1.0})",
    "string('a' < 'b') + string(1 < 1.5)",
    "string(type(1) == int) + string(type('a') == string)",
    "string(type(now) == google.protobuf.Timestamp)",
    "string(KeyUsage.KeyUsageCertSign) + string(ExtKeyUsage.ExtKeyUsageOCSPSigning)",
    "string(CertTemplate{IsCA: false} == CertTemplate{})",
    "string(has(CertTemplate{Version: 0}.Version))",
    "CertTemplate{DNSNames: ['a']}.DNSNames[0]",
    "string([1,2,3].map(x, x > 1, x * 2).size())",
    "string(bool('true')) + string(bool('x'))",
    "['a', 'b'].join(1)",
    "string(1 == 1u)",
    "'a' + request.names[0] + request.list[2].b",
    "string(request.list[2].b)",
    "string([request.x].size())",
];

#[test]
fn the_same_certificates_are_made() {
    let mut pair = with_root(json!({"ttl": "40000h"}));
    let more = |fields: &str| format!("{PLAIN}, {fields}");
    let templates = [
        PLAIN.to_owned(),
        "Subject: PKIX.Name{CommonName: 'x', Country: ['US', 'ZW'], Organization: ['o1', 'o2'], OrganizationUnit: ['u'], Locality: ['l'], \
         Province: ['p'], StreetAddress: ['s'], PostalCode: ['c'], SerialNumber: '77'}, NotBefore: now, NotAfter: now + duration('48h')"
            .to_owned(),
        more("BasicConstraintsValid: true"),
        more("IsCA: true, MaxPathLen: 10"),
        more("KeyUsage: 5, ExtKeyUsage: [1, 2, 13], UnknownExtKeyUsage: [ObjectIdentifier{arc: [1u, 2u, 3u]}]"),
        more("KeyUsage: KeyUsage.KeyUsageCertSign, ExtKeyUsage: [ExtKeyUsage.ExtKeyUsageServerAuth, ExtKeyUsage.ExtKeyUsageAny]"),
        more("KeyUsage: 256"),
        more("DNSNames: ['a.b', '*.c'], EmailAddresses: ['a@b.c'], IPAddresses: [net.IP{IP: b'\\x0a\\x00\\x00\\x01'}, \
              net.IP{IP: b'0123456789abcdef'}, net.IP{}], URIs: [url.URL{Scheme: 'https', Host: 'a.b', Path: '/c d', RawQuery: 'q=1', \
              Fragment: 'f', User: Userinfo{username: 'u', password: 'p', password_set: true}}, url.URL{Scheme: 'urn', Opaque: 'x'}, \
              url.URL{Scheme: 'spiffe', Host: 'd', Path: '/a/b', RawPath: '/a%2Fb'}]"),
        more("ExtraExtensions: [PKIX.Extension{Id: [1, 2, 3, 4], Critical: true, Value: b'\\x05\\x00'}]"),
        more("ExtraExtensions: [PKIX.Extension{Id: [2, 5, 29, 17], Value: b'\\x30\\x03\\x82\\x01a'}], DNSNames: ['b']"),
        more("PolicyIdentifiers: [ObjectIdentifier{arc: [1u, 2u, 3u]}], Policies: [OID{arc: [1u, 2u, 4u]}, OID{arc: [1u, 2u, 5u]}]"),
        more("PolicyIdentifiers: [ObjectIdentifier{arc: [1u, 2u, 3u]}]"),
        more("SubjectKeyId: b'abc', Version: 7, InhibitAnyPolicy: 1"),
        "DNSNames: ['only.name'], NotBefore: now - duration('1h'), NotAfter: now + duration('1h')".to_owned(),
        "Subject: PKIX.Name{CommonName: request.common_name}, NotBefore: now, NotAfter: now + duration(request.ttl)".to_owned(),
    ];
    let requests = [
        json!({"common_name": "from.request", "ttl": "3h"}),
        Value::Null,
    ];
    let csr = csr_of(
        "/CN=me/O=org",
        "DNS:a.b,email:m@a.b,IP:10.0.0.1,URI:https://x/y",
    );
    for fields in &templates {
        assert!(write(&mut pair, template(fields, "")), "{fields}");
        for path in ["cel/issue/one", "cel/sign/one"] {
            let mut request = requests[0].clone();
            if path.contains("sign") {
                request["csr"] = json!(csr);
            }
            let both = pair.same("POST", path, request);
            let [theirs, ours] = both.ok().text("certificate");
            let openssl = Openssl::new();
            let show = |pem: &str| dump(&openssl.text("x509", pem));
            pair.equal(&format!("{path} {fields}"), &show(&theirs), &show(&ours));
        }
    }
    pair.finish();
}

#[test]
fn what_comes_with_a_certificate_is_the_same() {
    let mut pair = with_root(json!({}));
    let csr = csr_of("/CN=me", "DNS:a.b");
    for more in [
        "",
        ", generate_lease: true",
        ", no_store: true",
        ", warnings: ['a', '', 'b']",
        ", issuer_ref: 'root'",
        ", issuer_ref: 'nope'",
        ", subject_key_id: b'abc'",
        ", use_pss: true",
    ] {
        assert!(write(&mut pair, template(PLAIN, more)), "{more}");
        pair.same("POST", "cel/issue/one", json!({}));
        pair.same("POST", "cel/sign/one", json!({"csr": csr}));
    }
    for key in [
        "'rsa', key_bits: 2048u",
        "'ec', key_bits: 384u",
        "'ec', key_bits: 5u",
        "'ed25519'",
        "'x'",
        "'rsa', signature_bits: 100u",
    ] {
        let role = program(&format!(
            "ValidationOutput{{template: CertTemplate{{{PLAIN}}}, key_type: {key}}}"
        ));
        assert!(write(&mut pair, role), "{key}");
        pair.same("POST", "cel/issue/one", json!({}));
    }
    write(&mut pair, template(PLAIN, ""));
    for request in [
        json!({"ttl": "1h", "not_after": "2027-01-01T00:00:00Z"}),
        json!({"ttl": 0, "not_after": "x"}),
        json!({"ttl": "x"}),
        json!({"key_bits": "x"}),
        json!({"use_pss": "x"}),
        json!({"remove_roots_from_chain": true}),
        json!({"format": "der", "unknown": {"a": 1}, "role": "two", "csr": "x"}),
    ] {
        pair.same("POST", "cel/issue/one", request);
    }
    for csr in [
        json!({}),
        json!({"csr": ""}),
        json!({"csr": "x"}),
        json!({"csr": 5}),
        json!({"csr": csr, "remove_roots_from_chain": true}),
    ] {
        pair.same("POST", "cel/sign/one", csr);
    }
    for name in [
        "{'a': parsed_csr.Subject.Organization, 'b': parsed_csr.Subject.SerialNumber}",
        "{'a': parsed_csr.Extensions}",
        "{'a': parsed_csr.DNSNames, 'b': parsed_csr.IPAddresses}",
    ] {
        write(&mut pair, program(&format!("encode_json({name})")));
        pair.same(
            "POST",
            "cel/sign/one",
            json!({"csr": csr_of("/C=US/O=org/CN=me/serialNumber=7", "DNS:a.b,IP:10.0.0.1")}),
        );
    }
    for expression in [
        "parsed_csr.SignatureAlgorithm + parsed_csr.PublicKeyAlgorithm + string(parsed_csr.Version)",
        "string(size(parsed_csr.RawSubjectPublicKeyInfo)) + ' ' + string(size(parsed_csr.RawSubject))",
        "string(use_csr) + parsed_csr.EmailAddresses[0] + parsed_csr.URIs[0]",
        "parsed_csr.nothing",
        "string(size(parsed_csr))",
    ] {
        write(&mut pair, program(expression));
        pair.same("POST", "cel/sign/one", json!({}));
        if !expression.ends_with("(parsed_csr))") {
            let csr = csr_of("/CN=me", "email:m@a.b,URI:https://x/y");
            pair.same("POST", "cel/sign/one", json!({"csr": csr}));
        }
    }
    pair.finish();
}

#[test]
fn no_program_gets_past_what_holds_for_every_certificate() {
    let pair = with_root(json!({}));
    let more = |fields: &str| format!("{PLAIN}, {fields}");
    for (fields, status, text) in [
        (more("IsCA: true, BasicConstraintsValid: true, KeyUsage: 32"), 500, "makes no CA certificates"),
        (more("ExtraExtensions: [PKIX.Extension{Id: [2, 5, 29, 19], Critical: true, Value: b'\\x30\\x03\\x01\\x01\\xff'}]"), 400, "makes no CA certificates"),
        (more("ExtraExtensions: [PKIX.Extension{Id: [2, 5, 29, 35], Value: b'\\x30\\x00'}]"), 400, "is the issuer's"),
        (more("PermittedDNSDomains: ['a.b']"), 500, "makes no CA certificates"),
        (more("KeyUsage: 512"), 500, "stand for no usage"),
        (more("DNSNames: ['x y']"), 400, "readers-dns-names"),
        ("Subject: PKIX.Name{CommonName: 'x\\u0000y'}, NotBefore: now, NotAfter: now + duration('1h')".to_owned(), 400, "no-control-characters"),
        ("Subject: PKIX.Name{CommonName: 'x'}, NotBefore: now, NotAfter: now - duration('1h')".to_owned(), 400, "in the past"),
        ("Subject: PKIX.Name{CommonName: 'x'}".to_owned(), 400, "in the past"),
        ("Subject: PKIX.Name{CommonName: 'x'}, NotBefore: now, NotAfter: now + duration('99999h')".to_owned(), 400, "beyond the expiration of the CA certificate"),
    ] {
        let role = template(&fields, "");
        pair.both("POST", "cel/roles/one", Some(&role)).ok();
        let both = pair.both("POST", "cel/issue/one", Some(&json!({})));
        assert_eq!(both.theirs.status, 200, "{fields}");
        both.ours.refused(status, text);
    }
    // Work without end is not even begun.
    let endless = with_variables(
        &[("l", "lists.range(1000)")],
        "l.all(a, l.all(b, l.all(c, l.all(d, true)))) ? 'done' : 'never'",
    );
    pair.both("POST", "cel/roles/one", Some(&endless)).ok();
}

/// As under any role: what does no harm is made, and told.
#[test]
fn a_doubtful_certificate_of_a_program_is_told() {
    let pair = with_root(json!({}));
    for (fields, rule) in [
        (
            format!("{PLAIN}, IsCA: true, MaxPathLen: 10, KeyUsage: 32"),
            "rfc5280-4.2.1.3",
        ),
        (
            "NotBefore: now, NotAfter: now + duration('1h')".to_owned(),
            "rfc5280-4.1.2.6",
        ),
    ] {
        let role = template(&fields, "");
        pair.both("POST", "cel/roles/one", Some(&role)).ok();
        let both = pair.both("POST", "cel/issue/one", Some(&json!({}))).ok();
        let told = |reply: &Reply| reply.warnings().iter().any(|one| one.contains(rule));
        assert_eq!(
            [&both.theirs, &both.ours].map(told),
            [false, true],
            "{rule}"
        );
    }
}

#[test]
fn the_server_before_decides_the_same() {
    let mut pair = Pair::of(Release::Previous);
    let body = json!({"common_name": "Parity CA", "key_type": "ec", "ttl": "8760h", "issuer_name": "root"});
    pair.both("POST", "root/generate/internal", Some(&body))
        .ok();
    for expression in [
        "1 +",
        "nope",
        "request.x",
        "'no'",
        "true",
        "string(request.n) + 'x'",
        "ValidationOutput{foo: 1}",
    ] {
        if write(&mut pair, program(expression)) {
            pair.same("POST", "cel/issue/one", json!({"n": 1}));
        }
    }
    let role = template(PLAIN, ", generate_lease: true, warnings: ['told']");
    assert!(write(&mut pair, role));
    pair.same("GET", "cel/roles/one", Value::Null);
    pair.same("POST", "cel/issue/one", json!({}));
    pair.same(
        "POST",
        "cel/sign/one",
        json!({"csr": csr_of("/CN=me", "DNS:a.b")}),
    );
    pair.finish();
}

/// A CSR with alternative names.
fn csr_of(subject: &str, names: &str) -> String {
    Openssl::new().csr_with(subject, &[&format!("subjectAltName={names}")])
}
