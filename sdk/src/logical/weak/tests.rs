//! Decoding, checked against what `pki` of OpenBao 2.7.2 answered to the same input.

use std::sync::Arc;

use proptest::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::logical::json::parse_object;
use crate::logical::schema::{FieldSet, schema_of};
use crate::logical::weak::Input;
use crate::logical::{
    Backend, CommaList, Cx, Error, KeyValues, Operation, Response, Setup, Table, Ttl, path,
};
use crate::testing::Harness;

struct Echo;

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
struct Fields {
    flag: Option<bool>,
    int: Option<i64>,
    small: Option<u32>,
    text: Option<String>,
    #[serde(default = "half_a_minute")]
    ttl: Ttl,
    list: Option<CommaList>,
    plain: Option<Vec<String>>,
    pairs: Option<KeyValues>,
    choice: Option<Choice>,
    any: Option<Value>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Choice {
    PemBundle,
    Der,
}

/// The same fields, which serde then buffers before it decodes them.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
struct Flattened {
    #[serde(flatten)]
    fields: Fields,
}

fn half_a_minute() -> Ttl {
    Ttl::from_secs(30)
}

impl Backend for Echo {
    async fn new(_: Setup) -> Result<Self, Error> {
        Ok(Self)
    }

    fn table() -> Table<Self> {
        Table::new(vec![
            path("direct", "Decodes.").update(|_: Arc<Self>, _: Cx, fields: Fields| async move {
                Response::data(&fields)
            }),
            path("flat", "Decodes through a buffer.").update(
                |_: Arc<Self>, _: Cx, fields: Flattened| async move { Response::data(&fields) },
            ),
        ])
    }
}

const BOOL: &str = "'' cannot parse value as 'bool': strconv.ParseBool: invalid syntax";
const INT: &str = "'' cannot parse value as 'int': strconv.ParseInt: invalid syntax";
const RANGE: &str = "'' cannot parse value as 'int': strconv.ParseInt: value out of range";
const OVERFLOW: &str =
    "multiplication of durations resulted in overflow, one operand may be too large";

/// Sends one field to both decoders and compares the value or the text with what is expected.
async fn check(field: &str, cases: &[(&str, Result<Value, &str>)]) {
    let echo = Harness::<Echo>::new().await;
    for path in ["direct", "flat"] {
        for (sent, expected) in cases {
            let reply = echo
                .send(Operation::Update, path, format!("{{\"{field}\":{sent}}}"))
                .await;
            match expected {
                Ok(value) => assert_eq!(
                    (reply.status, &reply.data[field]),
                    (200, value),
                    "{path} {field} {sent} {reply:?}"
                ),
                Err(text) => {
                    let text = format!(
                        "Field validation failed: error converting input for field {field:?}: {text}"
                    );
                    assert_eq!(reply.status, 400, "{path} {field} {sent}");
                    // What serde itself refuses behind its buffer has lost the name of the field.
                    assert!(
                        reply.error() == text || path == "flat",
                        "{field} {sent} {reply:?}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn truth_values() {
    let (yes, no) = (Ok(json!(true)), Ok(json!(false)));
    check(
        "flag",
        &[
            ("true", yes.clone()),
            ("1", yes.clone()),
            ("\"1\"", yes.clone()),
            ("\"t\"", yes.clone()),
            ("\"TRUE\"", yes),
            ("0", no.clone()),
            ("\"\"", no.clone()),
            ("null", no),
            ("\"tRUE\"", Err(BOOL)),
            ("\"yes\"", Err(BOOL)),
            ("2", Err(BOOL)),
            ("-1", Err(BOOL)),
            ("1.0", Err(BOOL)),
            ("1e0", Err(BOOL)),
            (
                "[]",
                Err("'' expected type 'bool', got unconvertible type '[]interface {}'"),
            ),
            (
                "{}",
                Err("'' expected type 'bool', got unconvertible type 'map[string]interface {}'"),
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn whole_numbers() {
    check(
        "int",
        &[
            ("2048", Ok(json!(2048))),
            ("\"2048\"", Ok(json!(2048))),
            ("\"+2048\"", Ok(json!(2048))),
            ("\"-2048\"", Ok(json!(-2048))),
            ("\"0x800\"", Ok(json!(2048))),
            ("\"0x_800\"", Ok(json!(2048))),
            ("\"2_048\"", Ok(json!(2048))),
            ("\"0b1\"", Ok(json!(1))),
            ("\"\"", Ok(json!(0))),
            ("null", Ok(json!(0))),
            ("true", Ok(json!(1))),
            ("9223372036854775807", Ok(json!(i64::MAX))),
            ("-9223372036854775808", Ok(json!(i64::MIN))),
            ("9223372036854775808", Err(RANGE)),
            ("99999999999999999999", Err(RANGE)),
            ("\"02048\"", Err(INT)),
            ("2048.7", Err(INT)),
            ("2.048e3", Err(INT)),
            ("\" 2048\"", Err(INT)),
            ("\"2048a\"", Err(INT)),
            ("\"_1\"", Err(INT)),
            ("\"1__2\"", Err(INT)),
            ("\"0x\"", Err(INT)),
            ("\"-\"", Err(INT)),
            (
                "[2048]",
                Err("'' expected type 'int', got unconvertible type '[]interface {}'"),
            ),
        ],
    )
    .await;
    check(
        "small",
        &[
            ("7", Ok(json!(7))),
            ("-1", Err(RANGE)),
            ("4294967296", Err(RANGE)),
        ],
    )
    .await;
}

#[tokio::test]
async fn durations() {
    check(
        "ttl",
        &[
            ("60", Ok(json!(60))),
            ("\"60\"", Ok(json!(60))),
            ("\"+5\"", Ok(json!(5))),
            ("\"1h30m\"", Ok(json!(5400))),
            ("\"1.5h\"", Ok(json!(5400))),
            ("\"1d\"", Ok(json!(86400))),
            ("\"1500ms\"", Ok(json!(1))),
            ("\"500ms\"", Ok(json!(0))),
            ("\"\"", Ok(json!(0))),
            // Null is as if it was not sent: the default stays.
            ("null", Ok(json!(30))),
            ("-3600", Err("cannot provide negative value '-3600'")),
            ("\"-1h\"", Err("cannot provide negative value '-3600'")),
            ("\"-1d\"", Err("cannot provide negative value '-86400'")),
            ("\"zz\"", Err("time: invalid duration \"zz\"")),
            ("\" 60\"", Err("time: invalid duration \" 60\"")),
            ("1.5", Err("time: missing unit in duration \"1.5\"")),
            ("1e2", Err("time: unknown unit \"e\" in duration \"1e2\"")),
            (
                "\"1d12h\"",
                Err("time: unknown unit \"d\" in duration \"1d12h\""),
            ),
            (
                "\"1h-1m\"",
                Err("time: unknown unit \"h-\" in duration \"1h-1m\""),
            ),
            (
                "\"1\\n\"",
                Err("time: unknown unit \"\\x0a\" in duration \"1\\x0a\""),
            ),
            (
                "\"d\"",
                Err("strconv.ParseInt: parsing \"\": invalid syntax"),
            ),
            (
                "\"1.5d\"",
                Err("strconv.ParseInt: parsing \"1.5\": invalid syntax"),
            ),
            ("99999999999", Err(OVERFLOW)),
            ("\"99999999d\"", Err(OVERFLOW)),
            (
                "9999999999999999999",
                Err("time: invalid duration \"9999999999999999999\""),
            ),
            (
                "\"2562047h48m\"",
                Err("time: invalid duration \"2562047h48m\""),
            ),
            ("true", Err("could not parse duration from input")),
            ("[\"60\"]", Err("could not parse duration from input")),
            ("{}", Err("could not parse duration from input")),
        ],
    )
    .await;
}

#[tokio::test]
async fn texts() {
    check(
        "text",
        &[
            ("\"x\"", Ok(json!("x"))),
            ("5", Ok(json!("5"))),
            ("5.50", Ok(json!("5.50"))),
            ("true", Ok(json!("1"))),
            ("false", Ok(json!("0"))),
            ("null", Ok(json!(""))),
            (
                "[\"a\"]",
                Err("'' expected type 'string', got unconvertible type '[]interface {}'"),
            ),
            (
                "{\"a\":1}",
                Err("'' expected type 'string', got unconvertible type 'map[string]interface {}'"),
            ),
        ],
    )
    .await;
    check(
        "choice",
        &[
            ("\"pem_bundle\"", Ok(json!("pem_bundle"))),
            ("\"secret\"", Err("'' expected one of pem_bundle, der")),
        ],
    )
    .await;
}

#[tokio::test]
async fn lists() {
    let element = |kind: &str| {
        format!(
            "1 error(s) decoding:\n\n* '[0]' expected type 'string', got unconvertible type '{kind}'"
        )
    };
    let (list, map) = (
        element("[]interface {}"),
        element("map[string]interface {}"),
    );
    check(
        "list",
        &[
            ("[\"a\",\" b \",\"c,d\"]", Ok(json!(["a", "b", "c,d"]))),
            ("\"a, b,,c\"", Ok(json!(["a", "b", "", "c"]))),
            ("\",\"", Ok(json!(["", ""]))),
            ("\" \"", Ok(json!([""]))),
            ("[\"\"]", Ok(json!([""]))),
            ("[1,true,null,\"x\"]", Ok(json!(["1", "1", "", "x"]))),
            ("5", Ok(json!(["5"]))),
            ("1.50", Ok(json!(["1.50"]))),
            ("true", Ok(json!(["1"]))),
            ("\"\"", Ok(json!([]))),
            ("null", Ok(json!([]))),
            ("{}", Ok(json!([]))),
            ("[[\"a\"]]", Err(&list)),
            ("[{}]", Err(&map)),
            ("{\"a\":1}", Err(&map)),
        ],
    )
    .await;
    check(
        "plain",
        &[
            ("[\"a,b\"]", Ok(json!(["a,b"]))),
            ("\"a,b\"", Ok(json!(["a,b"]))),
            ("null", Ok(json!([]))),
        ],
    )
    .await;
}

#[tokio::test]
async fn names_with_values() {
    check(
        "pairs",
        &[
            ("{\"a\":1,\"b\":\"c\"}", Ok(json!({ "a": "1", "b": "c" }))),
            ("[\"a=1\",\"b=x=y\"]", Ok(json!({ "a": "1", "b": "x=y" }))),
            ("\"a=1\"", Ok(json!({ "a": "1" }))),
            ("null", Ok(json!({}))),
            ("[\"secret\"]", Err("invalid key pair: expected name=value")),
        ],
    )
    .await;
    check(
        "any",
        &[("{\"a\":[1,null,1.5]}", Ok(json!({ "a": [1, null, 1.5] })))],
    )
    .await;
}

#[test]
fn what_was_not_sent_is_none_and_the_parameters_of_the_path_win() {
    #[derive(Deserialize, JsonSchema)]
    struct Request {
        name: String,
        size: u16,
        flag: Option<bool>,
        needed: String,
    }
    let fields = FieldSet::new([schema_of::<Request> as _]);
    let mut router = crate::logical::route::Router::default();
    let pattern = crate::logical::route::Pattern::parse("a/{name}/{size}");
    router.add(&pattern, &[]).unwrap();
    let (_, captures) = router.find("a/b/12").unwrap();
    let decode = |text| {
        let data = parse_object(text).unwrap();
        Input {
            captures: &captures.values(),
            data: &data,
            fields: &fields,
            asked: None,
        }
        .decode::<Request>()
    };
    let request = decode(r#"{"name":"other","needed":"x","more":1}"#)
        .ok()
        .unwrap();
    assert_eq!(
        (
            request.name.as_str(),
            request.size,
            request.flag,
            request.needed.as_str()
        ),
        ("b", 12, None, "x")
    );
    assert_eq!(
        decode("{}").err().unwrap(),
        "missing required field \"needed\""
    );
}

proptest! {
    #[test]
    fn any_object_decodes_or_is_refused(text in r#"\{("(flag|int|small|text|ttl|list|plain|pairs|choice|any)":(null|true|-?[0-9]{1,3}(\.5)?|"[a-z0-9,=_-]{0,6}"|\[("x"|1|null)?\]|\{("k":"v")?\}),?)?\}"#) {
        let fields = FieldSet::new([schema_of::<Fields> as _]);
        if let Ok(data) = parse_object(&text) {
            let input = Input { captures: &[], data: &data, fields: &fields, asked: None };
            let direct = input.decode::<Fields>().map(|fields| serde_json::to_value(fields).unwrap());
            let flat = input.decode::<Flattened>().map(|fields| serde_json::to_value(fields).unwrap());
            prop_assert_eq!(direct.is_ok(), flat.is_ok());
            if let (Ok(direct), Ok(flat)) = (direct, flat) {
                prop_assert_eq!(direct, flat);
            }
        }
    }

    #[test]
    fn no_text_breaks_a_decoder(text in any::<String>()) {
        let fields = FieldSet::new([schema_of::<Fields> as _]);
        for field in ["flag", "int", "ttl", "list", "plain", "pairs", "choice", "any"] {
            let document = json!({ field: text }).to_string();
            let data = parse_object(&document).unwrap();
            let input = Input { captures: &[], data: &data, fields: &fields, asked: None };
            // A caller's text is repeated only where it was meant to be a duration.
            if let (Err(error), true) = (input.decode::<Fields>(), text.len() > 12 && field != "ttl") {
                prop_assert!(!error.contains(&text), "{}", error);
            }
        }
    }
}
