//! Logging as a host reads it: one JSON object a line on stderr, in the form of HashiCorp's hclog.
//!
//! A host trusts these lines more than it should. A line whose `@level`, `@message` or `@timestamp` is not a JSON string ends the whole
//! server process, and a line longer than its buffer is cut in pieces. So a line is built here by hand, under three rules that no event
//! can break: those three members are always strings, no field of an event can take their names, and a line has at most
//! [`LONGEST_LINE`] bytes. Control characters of a message are written visibly, so that text which came from outside cannot forge a line.
//!
//! A line that is written while a request is handled has the request's mount and id, the one by which the audit log knows it.
//!
//! [`init`] makes `tracing` write such lines. Every level of the plugin's own events is written, as the host has the filter; the crates
//! of the transport are heard from `warn` on.

use std::{
    fmt::{self, Write as _},
    io::Write as _,
    panic,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::logical::at_present;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
};
use tracing_subscriber::{
    Layer, Registry,
    filter::Targets,
    layer::{Context, SubscriberExt as _},
    registry::LookupSpan,
};

/// Longest line in bytes, its line break included. Hosts read through a buffer of 64 KiB.
pub const LONGEST_LINE: usize = 60_000;
/// Where the fields of a line end at the latest, so that the message always has room.
const FIELDS_END: usize = 40_000;
/// Bytes of a name or of the module.
const LONGEST_NAME: usize = 200;
/// Written where a text was cut.
const CUT: &str = "...";

/// Crates that would fill the host's log, or tell it what must stay inside, at their lower levels. A name stands for all that begin
/// with it.
const QUIET: &[&str] = &[
    "h2", "hyper", "tonic", "tower", "rustls", "tokio", "reqwest", "aws",
];

/// Makes `tracing` events and panics appear in the host's log. A subscriber that is set already stays.
pub fn init() {
    let filter = Targets::new()
        .with_default(LevelFilter::TRACE)
        .with_targets(QUIET.iter().map(|name| (*name, LevelFilter::WARN)));
    let subscriber = Registry::default().with(filter).with(HclogLayer);
    // The error says only that somebody else has set one.
    let _ = tracing::subscriber::set_global_default(subscriber);
    panic::set_hook(Box::new(|info| {
        let mut line = Line::new(Level::ERROR, "panic", SystemTime::now());
        if let Some(location) = info.location() {
            line.field("location", &location);
        }
        at_present(|mount, request| {
            for (name, value) in [("mount", mount), ("request", request)] {
                if !value.is_empty() {
                    line.field(name, &value);
                }
            }
        });
        let payload = info.payload_as_str().unwrap_or("without a message");
        line.message(&format_args!("panicked: {payload}"));
        line.write();
    }));
}

/// Writes one line at a level, for what happens before [`init`] or without `tracing`.
pub(crate) fn write(level: Level, module: &str, message: &dyn fmt::Display) {
    let mut line = Line::new(level, module, SystemTime::now());
    line.message(message);
    line.write();
}

/// One line under construction.
#[derive(Debug)]
pub struct Line {
    out: String,
    message: String,
}

impl Line {
    /// Begins a line. `module` is shown in front of the message.
    pub fn new(level: Level, module: &str, now: SystemTime) -> Self {
        let level = match level {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        let mut out = String::with_capacity(256);
        out.push_str("{\"@level\":\"");
        out.push_str(level);
        out.push_str("\",\"@timestamp\":\"");
        timestamp(&mut out, now);
        out.push_str("\",\"@module\":\"");
        name_into(&mut out, module);
        out.push('"');
        Self {
            out,
            message: String::new(),
        }
    }

    /// Adds a field as text. Characters of the name that a key should not have become `_`, the `@` of the host's own members among them.
    pub fn field(&mut self, name: &str, value: &dyn fmt::Display) {
        self.text(name, format_args!("{value}"));
    }

    /// Sets the message.
    pub fn message(&mut self, message: &dyn fmt::Display) {
        self.message_text(format_args!("{message}"));
    }

    /// The finished line, with its line break.
    pub fn finish(mut self) -> String {
        self.out.push_str(",\"@message\":\"");
        self.out.push_str(&self.message);
        self.out.push_str("\"}\n");
        self.out
    }

    /// Writes the line to stderr: at once and under the lock, so that no other line can get into it.
    pub fn write(self) {
        // There is nobody to tell when the host has closed the pipe.
        let _ = std::io::stderr().lock().write_all(self.finish().as_bytes());
    }

    fn message_text(&mut self, text: fmt::Arguments<'_>) {
        self.message.clear();
        let limit = LONGEST_LINE - FIELDS_END - 1_000;
        escape(&mut self.message, limit, true, text);
    }

    fn text(&mut self, name: &str, text: fmt::Arguments<'_>) {
        if self.key(name) {
            self.out.push('"');
            escape(&mut self.out, FIELDS_END, false, text);
            self.out.push('"');
        }
    }

    /// Adds a value that is JSON already and short.
    fn json(&mut self, name: &str, text: fmt::Arguments<'_>) {
        if self.key(name) {
            self.out
                .write_fmt(text)
                .expect("a String takes every write");
        }
    }

    /// Adds a whole number: as text where a reader that knows only doubles would change it.
    fn integer(&mut self, name: &str, value: i128) {
        if value.unsigned_abs() <= 1 << 53 {
            self.json(name, format_args!("{value}"));
        } else {
            self.text(name, format_args!("{value}"));
        }
    }

    fn key(&mut self, name: &str) -> bool {
        if self.out.len() >= FIELDS_END {
            return false;
        }
        self.out.push_str(",\"");
        name_into(&mut self.out, name);
        self.out.push_str("\":");
        true
    }
}

/// Fields of events, and of spans, whose text is kept until an event needs it.
impl Visit for Line {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.json(field.name(), format_args!("{value:?}"));
        } else {
            self.text(field.name(), format_args!("{value}"));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.integer(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.integer(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.json(field.name(), format_args!("{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message_text(format_args!("{value}"));
        } else {
            self.text(field.name(), format_args!("{value}"));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message_text(format_args!("{value:?}"));
        } else {
            self.text(field.name(), format_args!("{value:?}"));
        }
    }
}

/// The fields of a span, as members of a line.
struct SpanFields(String);

struct HclogLayer;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for HclogLayer {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, ctx: Context<'_, S>) {
        let mut line = Line {
            out: String::new(),
            message: String::new(),
        };
        attributes.record(&mut line);
        if let Some(span) = ctx.span(id) {
            span.extensions_mut().insert(SpanFields(line.out));
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, ctx: Context<'_, S>) {
        if let Some(span) = ctx.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<SpanFields>()
        {
            let mut line = Line {
                out: std::mem::take(&mut fields.0),
                message: String::new(),
            };
            values.record(&mut line);
            fields.0 = line.out;
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let mut line = Self::line(event, &ctx);
        event.record(&mut line);
        line.write();
    }
}

impl HclogLayer {
    /// A line with the fields of the spans that the event is in.
    fn line<S: Subscriber + for<'a> LookupSpan<'a>>(
        event: &Event<'_>,
        ctx: &Context<'_, S>,
    ) -> Line {
        let metadata = event.metadata();
        let mut line = Line::new(*metadata.level(), metadata.target(), SystemTime::now());
        for span in ctx.event_scope(event).into_iter().flatten() {
            if let Some(SpanFields(fields)) = span.extensions().get()
                && line.out.len() + fields.len() < FIELDS_END
            {
                line.out.push_str(fields);
            }
        }
        let has = |name| {
            let mut spans = ctx.event_scope(event).into_iter().flatten();
            metadata.fields().field(name).is_some()
                || spans.any(|span| span.metadata().fields().field(name).is_some())
        };
        // As a span around each handler would, which every request would have to pay for.
        at_present(|mount, request| {
            for (name, value) in [("mount", mount), ("request", request)] {
                if !value.is_empty() && !has(name) {
                    line.field(name, &value);
                }
            }
        });
        line
    }
}

/// Appends `text` as the inside of a JSON string until `out` is `limit` bytes long.
fn escape(out: &mut String, limit: usize, visible: bool, text: fmt::Arguments<'_>) {
    let mut escaper = Escaper {
        out,
        limit: limit - CUT.len(),
        visible,
    };
    if escaper.write_fmt(text).is_err() {
        out.push_str(CUT);
    }
}

struct Escaper<'a> {
    out: &'a mut String,
    limit: usize,
    /// Whether control characters are shown as escapes rather than handed on.
    visible: bool,
}

impl fmt::Write for Escaper<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            // The longest escape has seven bytes.
            if self.out.len() + 7 > self.limit {
                return Err(fmt::Error);
            }
            match character {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' if !self.visible => self.out.push_str("\\n"),
                '\t' if !self.visible => self.out.push_str("\\t"),
                '\n' => self.out.push_str("\\\\n"),
                control if control.is_control() && self.visible => {
                    write!(self.out, "\\\\u{:04x}", u32::from(control))?;
                }
                control if control.is_control() => {
                    write!(self.out, "\\u{:04x}", u32::from(control))?
                }
                other => self.out.push(other),
            }
        }
        Ok(())
    }
}

fn name_into(out: &mut String, name: &str) {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:/".contains(&byte);
    out.extend(name.bytes().take(LONGEST_NAME).map(|byte| {
        if harmless(byte) {
            char::from(byte)
        } else {
            '_'
        }
    }));
}

/// Appends the time in UTC, with exactly six digits after the second: the host takes no other layout.
fn timestamp(out: &mut String, now: SystemTime) {
    // The last second of the year 9999: the layout has four digits for the year.
    const LAST: u64 = 253_402_300_799;
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs().min(LAST);
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    let micros = since.subsec_micros();
    write!(
        out,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z"
    )
    .expect("a String takes every write");
}

/// Year, month and day of a number of days since 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    // Years begin in March here, so that the leap day is the last of a year; an era is 400 of them.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests;
