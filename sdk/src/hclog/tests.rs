use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// What go-plugin does with a line: three members are asserted to be strings, and the time must fit its layout.
fn parse(line: &str) -> serde_json::Map<String, Value> {
    assert!(line.len() <= LONGEST_LINE, "{} bytes", line.len());
    assert_eq!(line.matches('\n').count(), 1, "one line");
    assert!(line.ends_with('\n'));
    let Value::Object(members) = serde_json::from_str(line).expect("valid JSON") else {
        panic!("not an object");
    };
    for name in ["@level", "@message", "@timestamp"] {
        assert!(members[name].is_string(), "{name}");
        assert_eq!(line.matches(&format!("\"{name}\":")).count(), 1, "{name}");
    }
    let time = members["@timestamp"].as_str().unwrap();
    let shape: String = time
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000000Z");
    members
}

proptest! {
    #[test]
    fn any_event_gives_a_line_that_the_host_accepts(
        message in any::<String>(),
        module in any::<String>(),
        fields in prop::collection::vec((any::<String>(), any::<String>()), 0..8),
        seconds in 0u64..1 << 40,
    ) {
        let mut line = Line::new(Level::WARN, &module, UNIX_EPOCH + Duration::from_secs(seconds));
        line.message(&message);
        for (name, value) in &fields {
            line.field(name, value);
        }
        let members = parse(&line.finish());
        prop_assert_eq!(&members["@level"], "warn");
        let text = members["@message"].as_str().unwrap();
        prop_assert!(!text.contains(char::is_control));
    }

    #[test]
    fn fields_of_any_length_stay_within_the_limit(count in 0usize..40, length in 0usize..20_000, character in any::<char>()) {
        let value: String = std::iter::repeat_n(character, length).collect();
        let mut line = Line::new(Level::INFO, "m", UNIX_EPOCH);
        line.message(&value);
        for _ in 0..count {
            line.field(&value, &value);
        }
        parse(&line.finish());
    }
}

#[test]
fn the_members_of_the_host_cannot_be_taken() {
    let mut line = Line::new(Level::ERROR, "m", UNIX_EPOCH);
    for name in ["@message", "@level", "@timestamp", "@module"] {
        line.field(name, &1);
    }
    line.message(&"kept");
    let members = parse(&line.finish());
    assert_eq!(members["@message"], "kept");
    assert_eq!(members["@level"], "error");
    assert_eq!(members["_message"], "1");
}

#[test]
fn a_message_cannot_forge_a_second_line() {
    let mut line = Line::new(Level::INFO, "m", UNIX_EPOCH);
    line.message(&"one\n2026-01-01T00:00:00Z [ERROR] forged \"quoted\" \u{1b}[31m");
    let members = parse(&line.finish());
    assert_eq!(
        members["@message"],
        "one\\n2026-01-01T00:00:00Z [ERROR] forged \"quoted\" \\u001b[31m"
    );
}

#[test]
fn times_have_six_digits() {
    let cases = [
        (0, 0, "1970-01-01T00:00:00.000000Z"),
        (951_782_400, 1_500, "2000-02-29T00:00:00.000001Z"),
        (1_767_323_045, 123_456_789, "2026-01-02T03:04:05.123456Z"),
        (4_107_542_399, 0, "2100-02-28T23:59:59.000000Z"),
        (4_107_542_400, 0, "2100-03-01T00:00:00.000000Z"),
        (u32::MAX.into(), 999_999_999, "2106-02-07T06:28:15.999999Z"),
    ];
    for (seconds, nanos, expected) in cases {
        let mut out = String::new();
        timestamp(&mut out, UNIX_EPOCH + Duration::new(seconds, nanos));
        assert_eq!(out, expected);
    }
}

/// Keeps the lines that the real layer would write.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Kept {
    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let mut line = HclogLayer::line(event, &ctx);
        event.record(&mut line);
        self.0.lock().unwrap().push(line.finish());
    }
}

#[tokio::test]
async fn a_line_of_a_request_says_which_one() {
    use crate::logical::{Asked, RawRequest, Turns, complete};

    let kept = Kept::default();
    // For the fields of the spans; its own lines go to this test's stderr.
    let subscriber = Registry::default().with(HclogLayer).with(kept.clone());
    let _default = tracing::subscriber::set_default(subscriber);
    let request = RawRequest {
        id: "7".to_owned(),
        mount_point: "pki/".to_owned(),
        ..RawRequest::default()
    };
    let asked = Asked::request(&request, 0, &Turns::of_cores());
    let call = async {
        tracing::warn!("of the request");
        tracing::warn!(mount = "other", "of another mount");
        let span = tracing::error_span!("request", mount = "pki/", request = "7");
        span.in_scope(|| tracing::warn!("in a span that says it"));
        span
    };
    let span = complete(Some(asked), || (), call).await.unwrap();
    tracing::warn!("of nobody");
    // As a task that a handler has started.
    span.in_scope(|| tracing::warn!("of the request"));
    let lines = kept.0.lock().unwrap();
    let members: Vec<_> = lines.iter().map(|line| parse(line)).collect();
    assert_eq!(
        (&members[0]["mount"], &members[0]["request"]),
        (&"pki/".into(), &"7".into())
    );
    assert_eq!(
        (&members[1]["mount"], &members[1]["request"]),
        (&"other".into(), &"7".into())
    );
    assert!(!members[3].contains_key("mount") && !members[3].contains_key("request"));
    for at in [2, 4] {
        assert_eq!(members[at]["request"], "7");
        assert_eq!(lines[at].matches("\"mount\":").count(), 1, "{}", lines[at]);
    }
}

#[test]
fn events_keep_their_types_and_the_fields_of_their_spans() {
    let kept = Kept::default();
    // The real layer stands first for the fields of the spans; its own lines go to this test's stderr.
    let subscriber = Registry::default().with(HclogLayer).with(kept.clone());
    tracing::subscriber::with_default(subscriber, || {
        let span = tracing::info_span!("s", mount = "pki", late = tracing::field::Empty);
        let _entered = span.enter();
        span.record("late", 7);
        tracing::warn!(
            count = 3u64,
            big = u64::MAX,
            odd = f64::NAN,
            ok = true,
            who = ?"x",
            "said {}",
            "so"
        );
    });
    let lines = kept.0.lock().unwrap();
    let members = parse(&lines[0]);
    assert_eq!(members["@message"], "said so");
    assert_eq!(members["@level"], "warn");
    assert_eq!(members["mount"], "pki");
    assert_eq!(members["late"], 7);
    assert_eq!(members["count"], 3);
    assert_eq!(members["big"], "18446744073709551615");
    assert_eq!(members["odd"], "NaN");
    assert_eq!(members["ok"], true);
    assert_eq!(members["who"], "\"x\"");
}
