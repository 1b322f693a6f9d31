//! What the page shows.
//!
//! The elements with `data-live` are what changes by itself: the page's script replaces their content.

use std::collections::BTreeSet;

use jiff::Timestamp;
use landfast_pki::{Certificate, SerialNumber};

use super::html::Html;
use crate::calls::{Call, Calls, End};
use crate::faults::Fault;
use crate::server::Lab;
use crate::state::{Anchor, Crl, State, Subject};

/// Sessions and refusals that are shown; `/lab/calls` has the others.
const SESSIONS: usize = 30;
/// Calls of the control plane that are shown.
const CONTROL: usize = 15;
/// Nodes that are shown.
const NODES: usize = 50;
/// A name is cut after so many characters: whoever has a certificate chooses it.
const LONGEST: usize = 300;

/// How it is shown.
pub(super) struct Options<'a> {
    /// It does not change by itself.
    pub(super) paused: bool,
    /// What to tell whoever pressed a button.
    pub(super) notice: Option<&'a str>,
}

/// The buttons of the form.
const FAULTS: [(&str, &str, &str); 6] = [
    ("throttle", "Throttle", "429, too many requests"),
    ("unavailable", "Unavailable", "503, try again in a second"),
    ("drop", "Drop", "the connection breaks off"),
    ("empty", "Empty", "a success without credentials"),
    ("truncate", "Truncate", "half of the answer"),
    ("slow", "Late", "the answer comes late"),
];

/// The whole document.
pub(super) fn page(lab: &Lab, options: &Options<'_>) -> String {
    let now = lab.now();
    let state = lab.state();
    let faults = lab.faults();
    let mut page = Html::default();
    head(&mut page, options, &state);
    if let Some(notice) = options.notice {
        page.put("<p class=\"alert\" role=\"alert\">", notice, "</p>");
    }
    page.raw("<div id=\"live\" data-live>");
    lab.with_calls(|calls| {
        tiles(&mut page, &state, calls, &faults, now);
        sessions(&mut page, calls, now);
        nodes(&mut page, &state, now);
        anchors(&mut page, &state.anchors, now);
        crls(&mut page, &state, now);
        control(&mut page, calls, now);
    });
    page.raw("</div><aside>");
    form(&mut page, options, &faults);
    connect(&mut page, &state, lab.endpoint());
    page.raw("</aside></main></body></html>\n");
    page.finish()
}

fn head(page: &mut Html, options: &Options<'_>, state: &State) {
    page.raw(concat!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">",
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">",
        "<meta name=\"color-scheme\" content=\"light dark\">",
        "<title>landfast lab</title>",
        "<link rel=\"icon\" href=\"/lab/page.svg\" type=\"image/svg+xml\">",
        "<link rel=\"stylesheet\" href=\"/lab/page.css\">",
    ));
    if !options.paused {
        page.raw(concat!(
            "<script src=\"/lab/page.js\" defer></script>",
            "<noscript><meta http-equiv=\"refresh\" content=\"5;url=/\"></noscript>",
        ));
    }
    page.raw(concat!(
        "</head><body><a class=\"skip\" href=\"#sessions\">Skip to the sessions</a><header>",
        "<img src=\"/lab/page.svg\" alt=\"\" width=\"36\" height=\"36\"><div><h1>landfast lab</h1>",
        "<p>IAM Roles Anywhere on this machine. This is not AWS: the credentials are made up. Account ",
    ));
    page.put("<b>", &state.account, "</b>");
    page.put(
        ", Region <b>",
        &state.region,
        "</b>. Times are UTC.</p></div>",
    );
    page.raw("<p class=\"switch\"><span id=\"state\" role=\"status\">");
    page.raw(if options.paused {
        "Paused</span> <a href=\"/\">Resume</a>"
    } else {
        "Updates by itself</span> <a href=\"/?pause\">Pause</a>"
    });
    page.raw("</p></header><main>");
}

fn tiles(page: &mut Html, state: &State, calls: &Calls, faults: &[Vec<Fault>; 2], now: Timestamp) {
    let running = state.sessions.values().filter(|one| one.expiration > now);
    let refused = calls
        .latest()
        .filter(|call| call.is_session() && call.end == End::Refused);
    page.raw("<dl class=\"tiles\">");
    for (title, count) in [
        ("Nodes", state.subjects.len()),
        ("Running sessions", running.count()),
        ("Refused sessions", refused.count()),
        ("Faults to come", faults.iter().map(Vec::len).sum()),
    ] {
        page.put("<div><dt>", title, "</dt>")
            .put("<dd>", count, "</dd></div>");
    }
    page.raw("</dl>");
}

fn sessions(page: &mut Html, calls: &Calls, now: Timestamp) {
    page.raw("<section aria-labelledby=\"sessions\"><h2 id=\"sessions\" tabindex=\"-1\">Sessions and refusals</h2>");
    let mut all = calls.latest().filter(|call| call.is_session());
    let shown: Vec<&Call> = all.by_ref().take(SESSIONS).collect();
    if shown.is_empty() {
        page.raw("<p class=\"none\">Nobody has asked for a session yet.</p></section>");
        return;
    }
    table(
        page,
        "Sessions and refusals",
        &["Time", "Certificate", "Result", "What"],
    );
    for call in shown {
        page.raw("<tr><td>");
        clock(page, call.at, now);
        page.raw("</td><td>");
        match &call.subject {
            Some(subject) => name(page, subject),
            None => {
                page.raw("<span class=\"none\">none that can be read</span>");
            }
        }
        page.raw("</td><td>");
        result(page, call);
        page.raw("</td><td>");
        match call.end {
            End::Done => {
                page.put("session <bdi>", cut(&call.outcome), "</bdi>");
            }
            End::Refused | End::Played => refusal(page, call),
        }
        page.raw("</td></tr>");
    }
    page.raw("</tbody></table></div>");
    more(page, all.count());
    page.raw("</section>");
}

/// How a call ended, as words; colour only repeats them.
fn result(page: &mut Html, call: &Call) {
    if let Some(fault) = &call.fault {
        page.put("<span class=\"badge warn\">fault: ", fault, "</span> ");
    }
    match call.end {
        End::Refused => {
            page.put("<span class=\"badge bad\">refused ", call.status, "</span>");
        }
        End::Done if call.fault.is_none() => {
            let word = if call.is_session() { "granted" } else { "done" };
            page.put("<span class=\"badge ok\">", word, "</span>");
        }
        End::Done | End::Played => {}
    }
}

fn refusal(page: &mut Html, call: &Call) {
    if let Some(rule) = call.rule {
        page.put("<b class=\"rule\">", rule, "</b> ");
    }
    page.put("<bdi>", cut(&call.outcome), "</bdi>");
    if let Some(remedy) = &call.remedy {
        page.raw("<p class=\"remedy\"><b>Remedy:</b> ");
        prose(page, remedy);
        page.raw("</p>");
    }
}

fn nodes(page: &mut Html, state: &State, now: Timestamp) {
    page.raw("<section aria-labelledby=\"nodes\"><h2 id=\"nodes\">Nodes</h2>");
    let last = |one: &Subject| one.seen.iter().map(|(_, at)| *at).max();
    let mut all: Vec<&Subject> = state.subjects.iter().collect();
    all.sort_by_key(|one| std::cmp::Reverse(last(one)));
    if all.is_empty() {
        page.raw("<p class=\"none\">No node has opened a session yet.</p></section>");
        return;
    }
    let revoked = Revoked::of(&state.crls);
    let columns = [
        "Node",
        "Certificate",
        "Valid until",
        "State",
        "Last session",
    ];
    table(page, "Nodes", &columns);
    for (subject, (leaf, seen)) in all
        .iter()
        .filter_map(|one| Some((one, one.seen.last()?)))
        .take(NODES)
    {
        page.raw("<tr><td>");
        name(page, &subject.name);
        page.put("</td><td><code class=\"serial\">", leaf.serial(), "</code>");
        page.put(
            "<br><span class=\"from\">by <bdi>",
            cut(&leaf.issuer().to_string()),
            "</bdi></span></td><td>",
        );
        end(page, leaf.not_after(), now);
        page.raw("</td><td>");
        let (class, standing) = standing(leaf, revoked.has(leaf), now);
        badge(page, class, standing);
        page.raw("</td><td>");
        clock(page, *seen, now);
        page.raw("</td></tr>");
    }
    page.raw("</tbody></table></div>");
    if all.len() > NODES {
        page.put("<p class=\"none\">And ", all.len() - NODES, " more.</p>");
    }
    page.raw("</section>");
}

/// The serial numbers on enabled lists, by issuer.
struct Revoked<'a>(BTreeSet<(&'a [u8], SerialNumber)>);

impl<'a> Revoked<'a> {
    fn of(crls: &'a [Crl]) -> Self {
        let enabled = crls.iter().filter(|crl| crl.enabled);
        let entries = enabled.flat_map(|crl| {
            let issuer = crl.list.issuer().der();
            crl.list.entries().map(move |entry| (issuer, entry.serial))
        });
        Self(entries.collect())
    }

    fn has(&self, leaf: &Certificate) -> bool {
        self.0
            .contains(&(leaf.issuer().der(), leaf.serial().clone()))
    }
}

/// How a certificate stands. Nodes renew when a third of a certificate's life is left.
fn standing(leaf: &Certificate, revoked: bool, now: Timestamp) -> (&'static str, &'static str) {
    let seconds = |from: Timestamp, to: Timestamp| to.duration_since(from).as_secs();
    let left = seconds(now, leaf.not_after());
    if revoked {
        ("bad", "revoked")
    } else if left <= 0 {
        ("bad", "over")
    } else if now < leaf.not_before() {
        ("bad", "not yet valid")
    } else if left < seconds(leaf.not_before(), leaf.not_after()) / 4 {
        ("warn", "renewal is late")
    } else {
        ("ok", "valid")
    }
}

fn anchors(page: &mut Html, anchors: &[Anchor], now: Timestamp) {
    page.raw("<section aria-labelledby=\"anchors\"><h2 id=\"anchors\">Trust anchors</h2>");
    if anchors.is_empty() {
        page.raw("<p class=\"none\">There is none: no session can be opened.</p></section>");
        return;
    }
    table(
        page,
        "Trust anchors",
        &["Name", "CA", "Valid until", "State"],
    );
    for anchor in anchors {
        for (index, ca) in anchor.certificates.iter().enumerate() {
            page.raw("<tr><td>");
            if index == 0 {
                page.put("<bdi>", &anchor.name, "</bdi>");
                page.put("<br><code class=\"arn\">", &anchor.arn, "</code>");
            }
            page.raw("</td><td>");
            name(page, &ca.subject().to_string());
            page.raw("</td><td>");
            end(page, ca.not_after(), now);
            page.raw("</td><td>");
            if !anchor.enabled {
                badge(page, "warn", "disabled");
            } else if ca.not_after() <= now {
                badge(page, "bad", "over");
            } else {
                badge(page, "ok", "enabled");
            }
            page.raw("</td></tr>");
        }
    }
    page.raw("</tbody></table></div></section>");
}

fn crls(page: &mut Html, state: &State, now: Timestamp) {
    page.raw("<section aria-labelledby=\"crls\"><h2 id=\"crls\">Revocation lists</h2>");
    if state.crls.is_empty() {
        page.raw(concat!(
            "<p class=\"none\">None was imported, so nothing is known to be revoked. ",
            "<code>landfast crl sync --apply</code> brings them.</p></section>",
        ));
        return;
    }
    let columns = [
        "Name",
        "Trust anchor",
        "Issuer",
        "Revoked",
        "Next update",
        "State",
    ];
    table(page, "Revocation lists", &columns);
    for crl in &state.crls {
        let anchor = state.anchors.iter().find(|one| one.arn == crl.anchor);
        page.put("<tr><td><bdi>", &crl.name, "</bdi></td>");
        page.put(
            "<td><bdi>",
            anchor.map_or("", |anchor| &anchor.name),
            "</bdi></td><td>",
        );
        name(page, &crl.list.issuer().to_string());
        page.put(
            "</td><td class=\"number\">",
            crl.list.entries().count(),
            "</td><td>",
        );
        let next = crl.list.next_update();
        match next {
            Some(next) => end(page, next, now),
            None => {
                page.raw("never");
            }
        }
        page.raw("</td><td>");
        if !crl.enabled {
            badge(page, "warn", "disabled");
        } else if next.is_some_and(|next| next <= now) {
            badge(page, "bad", "over");
        } else {
            badge(page, "ok", "enabled");
        }
        page.raw("</td></tr>");
    }
    page.raw("</tbody></table></div></section>");
}

fn control(page: &mut Html, calls: &Calls, now: Timestamp) {
    page.raw("<section aria-labelledby=\"control\"><h2 id=\"control\">Control plane</h2>");
    let mut all = calls.latest().filter(|call| !call.is_session());
    let shown: Vec<&Call> = all.by_ref().take(CONTROL).collect();
    if shown.is_empty() {
        page.raw("<p class=\"none\">It was not called yet.</p></section>");
        return;
    }
    table(
        page,
        "Calls of the control plane",
        &["Time", "Call", "Result", "What"],
    );
    for call in shown {
        page.raw("<tr><td>");
        clock(page, call.at, now);
        page.put("</td><td><code>", cut(&call.operation), "</code></td><td>");
        result(page, call);
        page.raw("</td><td>");
        refusal(page, call);
        page.raw("</td></tr>");
    }
    page.raw("</tbody></table></div>");
    more(page, all.count());
    page.raw("</section>");
}

fn form(page: &mut Html, options: &Options<'_>, faults: &[Vec<Fault>; 2]) {
    page.raw("<section aria-labelledby=\"trouble\"><h2 id=\"trouble\">Make trouble</h2><form method=\"post\" action=\"/lab/page/faults");
    page.raw(if options.paused { "?pause\">" } else { "\">" });
    page.raw(concat!(
        "<fieldset><legend>Of the next</legend>",
        "<label><input type=\"radio\" name=\"plane\" value=\"sessions\" checked> sessions</label> ",
        "<label><input type=\"radio\" name=\"plane\" value=\"control\"> control plane calls</label></fieldset>",
        "<p class=\"numbers\"><label>How many <input type=\"number\" name=\"count\" value=\"1\" min=\"1\" max=\"100\" required></label> ",
        "<label>Late by, seconds <input type=\"number\" name=\"seconds\" value=\"5\" min=\"0\" max=\"600\" required></label></p>",
        "<ul class=\"faults\">",
    ));
    for (value, title, what) in FAULTS {
        page.put("<li><button name=\"fault\" value=\"", value, "\">");
        page.put("", title, "</button>")
            .put("<span>", what, "</span></li>");
    }
    page.raw("</ul><h3>To come</h3><div id=\"to-come\" data-live><dl>");
    let [sessions, control] = faults;
    for (title, list) in [("Sessions", sessions), ("Control plane", control)] {
        page.put("<div><dt>", title, "</dt>")
            .put("<dd>", to_come(list), "</dd></div>");
    }
    page.raw("</dl></div><p><button name=\"fault\" value=\"forget\" formnovalidate>Forget them</button></p></form></section>");
}

/// The faults in their order, with repeats counted.
fn to_come(faults: &[Fault]) -> String {
    let runs = faults.chunk_by(PartialEq::eq);
    let mut words: Vec<String> = runs
        .map(|run| match run.len() {
            1 => run[0].to_string(),
            many => format!("{many} × {}", run[0]),
        })
        .collect();
    if words.is_empty() {
        return "none".to_owned();
    }
    if words.len() > 12 {
        words.truncate(12);
        words.push("…".to_owned());
    }
    words.join(", ")
}

fn connect(page: &mut Html, state: &State, endpoint: Option<&str>) {
    let (Some(anchor), Some(profile)) = (state.anchors.first(), state.profiles.first()) else {
        return;
    };
    let Some(role) = profile.roles.first() else {
        return;
    };
    page.raw("<section aria-labelledby=\"connect\"><h2 id=\"connect\">Open a session</h2>");
    page.raw("<pre tabindex=\"0\" aria-label=\"Command\"><code>landfast credential-process");
    if let Some(endpoint) = endpoint {
        page.put(" \\\n  --endpoint ", endpoint, "");
    }
    page.put(" \\\n  --trust-anchor-arn ", &anchor.arn, "");
    page.put(" \\\n  --profile-arn ", &profile.arn, "");
    page.put(" \\\n  --role-arn ", role, "");
    page.raw(" \\\n  --role-session-name NODE</code></pre><p class=\"none\">");
    page.put("At most ", profile.duration, " s. ");
    page.raw("All that was asked, with canonical requests: <a href=\"/lab/calls\">/lab/calls</a></p></section>");
}

/// The beginning of a table that may be wider than the window.
fn table(page: &mut Html, label: &'static str, columns: &[&'static str]) {
    page.put(
        "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"",
        label,
        "\"><table><thead><tr>",
    );
    for column in columns {
        page.put("<th scope=\"col\">", column, "</th>");
    }
    page.raw("</tr></thead><tbody>");
}

fn badge(page: &mut Html, class: &'static str, words: &'static str) {
    page.put("<span class=\"badge ", class, "\">")
        .put("", words, "</span>");
}

/// A distinguished name, which has room for what nodes are called mostly.
fn name(page: &mut Html, name: &str) {
    page.put("<div class=\"name\"><bdi>", cut(name), "</bdi></div>");
}

/// A sentence of ours, in which commands stand between backquotes.
fn prose(page: &mut Html, text: &str) {
    for (index, part) in text.split('`').enumerate() {
        if index % 2 == 0 {
            page.text(part);
        } else {
            page.put("<code>", part, "</code>");
        }
    }
}

fn more(page: &mut Html, count: usize) {
    if count > 0 {
        page.put(
            "<p class=\"none\">And ",
            count,
            " older ones: <a href=\"/lab/calls\">/lab/calls</a></p>",
        );
    }
}

/// A moment of the past: the time of today, with the date of other days.
fn clock(page: &mut Html, at: Timestamp, now: Timestamp) {
    let today = at.strftime("%F").to_string() == now.strftime("%F").to_string();
    let text = at.strftime(if today { "%T" } else { "%F %T" });
    page.put("<time datetime=\"", at.strftime("%FT%TZ"), "\">")
        .put("", text, "</time>");
}

/// An end, as a moment and as what is left until then.
fn end(page: &mut Html, at: Timestamp, now: Timestamp) {
    page.put("<time datetime=\"", at.strftime("%FT%TZ"), "\">")
        .put("", at.strftime("%F %R"), "</time>");
    page.put(
        "<br><span class=\"from\">",
        left(at.duration_since(now).as_secs()),
        "</span>",
    );
}

/// What is left, in one unit that is fine enough.
fn left(seconds: i64) -> String {
    let size = seconds.unsigned_abs();
    let (count, unit) = match size {
        0..120 => (size, "second"),
        120..7_200 => (size / 60, "minute"),
        7_200..172_800 => (size / 3600, "hour"),
        172_800..63_072_000 => (size / 86_400, "day"),
        _ => (size / 31_536_000, "year"),
    };
    let plural = if count == 1 { "" } else { "s" };
    if seconds > 0 {
        format!("in {count} {unit}{plural}")
    } else {
        format!("{count} {unit}{plural} ago")
    }
}

/// A text of bounded length.
fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
