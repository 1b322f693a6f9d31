//! The lab's page: what a developer wants to see, and a form that makes trouble.
//!
//! It works without JavaScript, which only spares it to be loaded anew, and asks for nothing from elsewhere. What others chose (names
//! in certificates, paths, ARNs) is text, see [`html`]. The form changes something, so it takes requests of this very page only; that
//! no other page is heard at all is the [door](super::door)'s work.

mod html;
mod view;

use axum::Router;
use axum::body::Body;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::Response;
use axum::routing::{get, post};

use self::view::Options;
use crate::faults::{Fault, LONGEST};
use crate::request::decode_query;
use crate::server::{Lab, SERVER};

/// Only what the lab itself serves is loaded or sent to, and nobody shows the page in a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// Faults that one click of the form brings.
const MAX_COUNT: usize = 100;

/// The page's files and its form. The page itself shares its path with a call of the service.
pub(crate) fn router() -> Router<Lab> {
    let file = |kind: &'static str, content: &'static str| {
        get(move || async move { answer(200, kind, content) })
    };
    Router::new()
        .route(
            "/lab/page.css",
            file("text/css; charset=utf-8", include_str!("page/page.css")),
        )
        .route(
            "/lab/page.js",
            file(
                "text/javascript; charset=utf-8",
                include_str!("page/page.js"),
            ),
        )
        .route(
            "/lab/page.svg",
            file("image/svg+xml", include_str!("page/page.svg")),
        )
        .route("/lab/page/faults", post(make_trouble))
}

/// `GET /`.
pub(crate) async fn show(Shared(lab): Shared<Lab>, uri: Uri) -> Response {
    page(&lab, 200, is_paused(&uri), None)
}

/// `POST /lab/page/faults`: a button of the form was pressed.
async fn make_trouble(
    Shared(lab): Shared<Lab>,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> Response {
    let paused = is_paused(&uri);
    // The door refuses what comes from another page; a form's request that does not say where it comes from is none of a browser's.
    if !headers.contains_key(header::ORIGIN) && !headers.contains_key("sec-fetch-site") {
        let text = "The form takes requests of this page only. Programs post to /lab/faults.";
        return page(&lab, 403, paused, Some(text));
    }
    let wanted = Wanted::read(&body);
    let done = wanted.and_then(|wanted| match wanted {
        Wanted::Forget => {
            lab.clear_faults();
            Ok(())
        }
        Wanted::Sessions(fault, count) => play(&lab, vec![fault; count], Vec::new()),
        Wanted::Control(fault, count) => play(&lab, Vec::new(), vec![fault; count]),
    });
    match done {
        Err(problem) => page(&lab, 400, paused, Some(&problem)),
        Ok(()) => {
            let back = if paused { "/?pause" } else { "/" };
            let mut response = answer(303, "text/plain; charset=utf-8", "");
            response
                .headers_mut()
                .insert(header::LOCATION, HeaderValue::from_static(back));
            response
        }
    }
}

fn play(lab: &Lab, sessions: Vec<Fault>, control: Vec<Fault>) -> Result<(), String> {
    lab.inject(sessions, control)
        .map_err(|problem| format!("Nothing was added: {problem}."))
}

/// What the form asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// No faults any more.
    Forget,
    /// So many of this fault for sessions.
    Sessions(Fault, usize),
    /// The same for the control plane.
    Control(Fault, usize),
}

impl Wanted {
    fn read(body: &str) -> Result<Self, String> {
        let fields = decode_query(body).ok_or("The form is not percent-encoded text.")?;
        let field = |name: &str| {
            let value = fields.iter().find(|(key, _)| key == name);
            value.map(|(_, value)| value.as_str()).unwrap_or_default()
        };
        let name = field("fault");
        if name == "forget" {
            return Ok(Self::Forget);
        }
        let fault = match name {
            "slow" => format!("slow:{}", field("seconds")).parse(),
            name => name.parse::<Fault>(),
        };
        let fault = fault.map_err(|_| match name {
            "slow" => format!("“Late by” takes 0 to {LONGEST} seconds."),
            _ => "There is no such fault.".to_owned(),
        })?;
        let count = field("count").parse().ok();
        let count = count
            .filter(|count| (1..=MAX_COUNT).contains(count))
            .ok_or_else(|| format!("“How many” takes 1 to {MAX_COUNT}."))?;
        match field("plane") {
            "sessions" => Ok(Self::Sessions(fault, count)),
            "control" => Ok(Self::Control(fault, count)),
            _ => Err("Say which calls are meant: sessions, or the control plane.".to_owned()),
        }
    }
}

/// Whether the address asks for a page that stays as it is.
fn is_paused(uri: &Uri) -> bool {
    uri.query() == Some("pause")
}

fn page(lab: &Lab, status: u16, paused: bool, notice: Option<&str>) -> Response {
    let options = Options { paused, notice };
    answer(
        status,
        "text/html; charset=utf-8",
        view::page(lab, &options),
    )
}

fn answer(status: u16, kind: &'static str, body: impl Into<Body>) -> Response {
    Response::builder()
        .status(status)
        .header(header::SERVER, SERVER)
        .header(header::CONTENT_TYPE, kind)
        .header(header::CONTENT_SECURITY_POLICY, POLICY)
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::X_FRAME_OPTIONS, "DENY")
        // `no-referrer` would hide the origin of the form from the door.
        .header(header::REFERRER_POLICY, "same-origin")
        .header("cross-origin-opener-policy", "same-origin")
        .header("cross-origin-resource-policy", "same-origin")
        .body(body.into())
        .expect("constant headers make a response")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_form_is_read_and_nothing_else() {
        for (body, wanted) in [
            (
                "plane=sessions&count=1&seconds=5&fault=throttle",
                Wanted::Sessions(Fault::Throttle, 1),
            ),
            (
                "plane=control&count=100&seconds=&fault=drop",
                Wanted::Control(Fault::Drop, 100),
            ),
            (
                "plane=sessions&count=2&seconds=5&fault=slow",
                Wanted::Sessions(Fault::Slow(Duration::from_secs(5)), 2),
            ),
            ("fault=forget", Wanted::Forget),
        ] {
            assert_eq!(Wanted::read(body), Ok(wanted), "{body}");
        }
        for (body, told) in [
            ("", "no such fault"),
            ("fault=%ff", "percent-encoded"),
            ("plane=sessions&count=1&fault=crash", "no such fault"),
            ("plane=sessions&count=1&seconds=601&fault=slow", "0 to 600"),
            ("plane=sessions&count=1&seconds=&fault=slow", "0 to 600"),
            ("plane=sessions&count=0&fault=drop", "1 to 100"),
            ("plane=sessions&count=101&fault=drop", "1 to 100"),
            ("plane=sessions&count=-1&fault=drop", "1 to 100"),
            ("plane=sessions&fault=drop", "1 to 100"),
            ("count=1&fault=drop", "which calls"),
            ("plane=both&count=1&fault=drop", "which calls"),
        ] {
            let problem = Wanted::read(body).unwrap_err();
            assert!(problem.contains(told), "{body}: {problem}");
        }
    }
}
