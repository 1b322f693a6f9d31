//! Conditional downloads (RFC 9110 section 13.1.3) of what changes seldom: CA certificates and CRLs.
//!
//! The server lets `If-Modified-Since` in and `Last-Modified` out only where the mount is tuned so (docs/operators.md).

use jiff::Timestamp;
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};
use landfast_sdk::logical::{Cx, Response};

use crate::entry::time::StoredTime;

/// 304 where the caller's copy is younger than what there is; `None` where it must be sent.
///
/// Only a copy that is younger to the fraction of a second counts, as in the built-in engine: what changed again within the second in
/// which it was fetched is sent. A date that cannot be read asks for nothing (RFC 9110 section 13.1.3).
pub(crate) fn unless(cx: &Cx, changed: StoredTime) -> Option<Response> {
    let asked = since(cx.header("If-Modified-Since")?)?;
    if changed.is_never() || changed.0 >= asked {
        return None;
    }
    let date = DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&changed.0)
        .ok()?;
    Some(Response::raw(304, "", Vec::new()).header("Last-Modified", date))
}

fn since(text: &str) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_http() {
        let time: Timestamp = "2026-11-29T12:25:09Z".parse().unwrap();
        assert_eq!(since("Sun, 29 Nov 2026 12:25:09 GMT"), Some(time));
        for bad in ["", "zz", "2026-11-29T12:25:09Z", "Sun, 29 Nov 2026"] {
            assert_eq!(since(bad), None, "{bad}");
        }
        let shown = DateTimePrinter::new().timestamp_to_rfc9110_string(&time);
        assert_eq!(shown.unwrap(), "Sun, 29 Nov 2026 12:25:09 GMT");
    }
}
