//! What is given out: octets with their kind, their mark and their dates; and the conditional requests for them (RFC 9110 section 13).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper::body::Bytes;
use landfast_base::{hex, sha256};

use crate::kept::{self, Keeping};
use crate::request::{Note, Reply};

/// Octets of the mark: enough to tell any two apart that are not made to be alike.
const MARK: usize = 16;

/// A body that never changes, and what is said of it.
#[derive(Debug)]
pub(crate) struct Sheet {
    /// Goes before the body does.
    _keeping: Option<Keeping>,
    body: Bytes,
    headers: HeaderMap,
    etag: HeaderValue,
    /// Seconds since 1970.
    modified: i64,
    until: i64,
}

impl Sheet {
    /// Octets of this kind that were made at `modified` and are good until `until`, in seconds since 1970.
    pub(crate) fn new(body: Bytes, kind: &'static str, modified: i64, until: i64) -> Self {
        let mark = format!("\"{}\"", hex(&sha256(&body)[..MARK]));
        let etag = HeaderValue::try_from(mark);
        let etag = etag.unwrap_or_else(|_| HeaderValue::from_static("\"\""));
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(ETAG, etag.clone());
        headers.insert(LAST_MODIFIED, date(modified));
        headers.insert(EXPIRES, date(until));
        Self {
            _keeping: kept::keep(&body),
            body,
            headers,
            etag,
            modified,
            until,
        }
    }

    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }

    /// What tells these octets from any others, as `ETag` has it.
    pub(crate) fn mark(&self) -> &[u8] {
        self.etag.as_bytes()
    }

    pub(crate) fn until(&self) -> i64 {
        self.until
    }

    pub(crate) fn modified(&self) -> i64 {
        self.modified
    }

    /// The answer to a request with these headers at `now`: the octets, or that they did not change. `since` is when they came to stand at this path, if that is
    /// known. Others may keep the answer for `keep` seconds, and never beyond its end.
    pub(crate) fn reply(
        &self,
        operation: &'static str,
        asked: &HeaderMap,
        now: i64,
        since: i64,
        keep: i64,
    ) -> Reply {
        let modified = self.modified.max(since);
        let mut headers = self.headers.clone();
        if modified != self.modified {
            headers.insert(LAST_MODIFIED, date(modified));
        }
        let age = keep.min(self.until - now).max(0);
        let control = format!("public, max-age={age}, no-transform, must-revalidate");
        if let Ok(control) = HeaderValue::try_from(control) {
            headers.insert(CACHE_CONTROL, control);
        }
        let (status, body) = if unchanged(asked, &self.etag, modified) {
            headers.remove(CONTENT_TYPE);
            (StatusCode::NOT_MODIFIED, Bytes::new())
        } else {
            (StatusCode::OK, self.body.clone())
        };
        Reply {
            status,
            headers,
            body,
            note: Note {
                operation,
                ..Note::default()
            },
        }
    }
}

/// Whether the client has it already. Its date counts only where it names no mark (RFC 9110 section 13.2.2).
fn unchanged(asked: &HeaderMap, etag: &HeaderValue, modified: i64) -> bool {
    let mut marks = asked.get_all(IF_NONE_MATCH).iter().peekable();
    if marks.peek().is_some() {
        return marks.any(|value| names(value.as_bytes(), etag.as_bytes()));
    }
    let Some(date) = asked.get(IF_MODIFIED_SINCE) else {
        return false;
    };
    let date = date
        .to_str()
        .ok()
        .and_then(|text| httpdate::parse_http_date(text).ok());
    date.and_then(seconds).is_some_and(|date| modified <= date)
}

/// Whether a list of marks has this one, or is a star. A weak mark counts as its strong one (RFC 9110 section 8.8.3.2).
fn names(list: &[u8], etag: &[u8]) -> bool {
    let mut marks = list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    marks.any(|mark| mark == b"*" || mark.strip_prefix(b"W/").unwrap_or(mark) == etag)
}

fn seconds(time: SystemTime) -> Option<i64> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

/// The last second that an HTTP date can tell: the end of the year 9999.
const LAST: i64 = 253_402_300_799;

/// An HTTP date (RFC 9110 section 5.6.7).
fn date(seconds: i64) -> HeaderValue {
    let seconds = u64::try_from(seconds.clamp(0, LAST)).unwrap_or_default();
    let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADE: i64 = 784_111_777;

    fn sheet() -> Sheet {
        Sheet::new(
            Bytes::from_static(b"list"),
            "application/pkix-crl",
            MADE,
            MADE + 100,
        )
    }

    fn asked(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().expect("a header"));
        }
        headers
    }

    #[test]
    fn dates_and_the_time_to_keep_it_are_its_own() {
        let reply = sheet().reply("crl", &HeaderMap::new(), MADE + 10, 0, 60);
        let header = |name| {
            reply
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        assert_eq!(reply.status, 200);
        assert_eq!(
            header("last-modified"),
            Some("Sun, 06 Nov 1994 08:49:37 GMT")
        );
        assert_eq!(header("expires"), Some("Sun, 06 Nov 1994 08:51:17 GMT"));
        assert!(header("cache-control").is_some_and(|value| value.contains("max-age=60,")));
        for (now, wanted) in [(MADE + 70, "max-age=30,"), (MADE + 200, "max-age=0,")] {
            let reply = sheet().reply("crl", &HeaderMap::new(), now, 0, 60);
            let control = reply.headers[CACHE_CONTROL].to_str().expect("text");
            assert!(control.contains(wanted), "{control}");
        }
    }

    #[test]
    fn who_has_it_gets_no_body() {
        let etag = sheet().etag.to_str().expect("text").to_owned();
        let (weak, list) = (format!("W/{etag}"), format!("\"x\", {etag}"));
        let same = "Sun, 06 Nov 1994 08:49:37 GMT";
        let before = "Sun, 06 Nov 1994 08:49:36 GMT";
        let old_form = "Sunday, 06-Nov-94 08:49:37 GMT";
        for (pairs, status) in [
            (vec![], 200),
            (vec![("if-none-match", etag.as_str())], 304),
            (vec![("if-none-match", &weak)], 304),
            (vec![("if-none-match", &list)], 304),
            (
                vec![("if-none-match", "\"x\""), ("if-none-match", &etag)],
                304,
            ),
            (vec![("if-none-match", "*")], 304),
            (vec![("if-none-match", "\"x\"")], 200),
            (
                vec![("if-none-match", "\"x\""), ("if-modified-since", same)],
                200,
            ),
            (
                vec![("if-none-match", &etag), ("if-modified-since", before)],
                304,
            ),
            (vec![("if-modified-since", same)], 304),
            (vec![("if-modified-since", old_form)], 304),
            (vec![("if-modified-since", before)], 200),
            (vec![("if-modified-since", "yesterday")], 200),
        ] {
            let reply = sheet().reply("crl", &asked(&pairs), MADE, 0, 60);
            assert_eq!(reply.status, status, "{pairs:?}");
            assert_eq!(reply.body.is_empty(), status == 304, "{pairs:?}");
            assert!(reply.headers.contains_key(ETAG), "{pairs:?}");
        }
    }

    #[test]
    fn what_came_to_stand_here_later_counts_as_changed_then() {
        let same = asked(&[("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT")]);
        let reply = sheet().reply("crl", &same, MADE + 5, MADE + 1, 60);
        assert_eq!(reply.status, 200);
        assert_eq!(
            reply.headers[LAST_MODIFIED],
            "Sun, 06 Nov 1994 08:49:38 GMT"
        );
    }

    #[test]
    fn no_date_is_too_far() {
        for (seconds, year) in [
            (i64::MIN, "1970"),
            (0, "1970"),
            (LAST, "9999"),
            (i64::MAX, "9999"),
        ] {
            assert!(date(seconds).to_str().expect("text").contains(year));
        }
    }
}
