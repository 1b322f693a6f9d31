//! RFC 3339 times, refused in the words that Go's parser uses, since those reach clients.

use jiff::Timestamp;
use jiff::civil::date;
use jiff::tz::Offset;

use crate::FOREVER;
use crate::refusal::{Quoted, Refusal};

/// Reads `2026-11-22T13:45:00.5+01:00`. Letters are upper case, as the profile of the standard in
/// section 5.6 lets a reader insist.
///
/// # Errors
/// [`Refusal::Time`] naming the part that did not fit.
pub fn parse(text: &str) -> Result<Timestamp, Refusal> {
    let mut scan = Scan { text, rest: text };
    let year = scan.number(4, "2006")?;
    scan.literal("-")?;
    let month = scan.number(2, "01")?;
    scan.within(month, 1..=12, "month")?;
    scan.literal("-")?;
    let day = scan.number(2, "02")?;
    scan.literal("T")?;
    let hour = scan.number(2, "15")?;
    scan.within(hour, 0..=23, "hour")?;
    scan.literal(":")?;
    let minute = scan.number(2, "04")?;
    scan.within(minute, 0..=59, "minute")?;
    scan.literal(":")?;
    let second = scan.number(2, "05")?;
    scan.within(second, 0..=59, "second")?;
    let nanosecond = scan.fraction();
    let offset = scan.offset()?;
    if !scan.rest.is_empty() {
        return Err(scan.error(&format!(": extra text: {}", Quoted(scan.rest))));
    }
    let days = date(year as i16, month as i8, 1).days_in_month();
    scan.within(day, 1..=i32::from(days), "day")?;
    let moment = date(year as i16, month as i8, day as i8)
        .at(hour as i8, minute as i8, second as i8, nanosecond)
        .to_zoned(offset.to_time_zone());
    match moment {
        Ok(moment) => Ok(moment.timestamp()),
        // The last day of 9999 means "no end" and lies beyond what the time type counts.
        Err(_) if year == 9999 => Ok(FOREVER),
        Err(_) => Err(scan.error(": out of range")),
    }
}

struct Scan<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Scan<'a> {
    /// Exactly `digits` digits; at most four, so that every cast above holds.
    fn number(&mut self, digits: usize, element: &str) -> Result<i32, Refusal> {
        match self.rest.split_at_checked(digits) {
            Some((head, tail)) if head.bytes().all(|b| b.is_ascii_digit()) => {
                self.rest = tail;
                Ok(head.bytes().fold(0, |n, b| n * 10 + i32::from(b - b'0')))
            }
            _ => Err(self.mismatch(element)),
        }
    }

    fn literal(&mut self, expected: &str) -> Result<(), Refusal> {
        match self.rest.strip_prefix(expected) {
            Some(tail) => {
                self.rest = tail;
                Ok(())
            }
            None => Err(self.mismatch(expected)),
        }
    }

    /// An optional fraction of a second; digits beyond the ninth are dropped.
    fn fraction(&mut self) -> i32 {
        let Some(tail) = self.rest.strip_prefix('.') else {
            return 0;
        };
        let digits = tail.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return 0;
        }
        self.rest = &tail[digits..];
        let mut nanoseconds = 0;
        for i in 0..9 {
            let digit = tail.as_bytes()[..digits].get(i).map_or(0, |b| b - b'0');
            nanoseconds = nanoseconds * 10 + i32::from(digit);
        }
        nanoseconds
    }

    fn offset(&mut self) -> Result<Offset, Refusal> {
        const ELEMENT: &str = "Z07:00";
        if let Some(tail) = self.rest.strip_prefix('Z') {
            self.rest = tail;
            return Ok(Offset::UTC);
        }
        let start = self.rest;
        let sign = match start.as_bytes().first() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return Err(self.mismatch(ELEMENT)),
        };
        self.rest = &start[1..];
        let mut read = || {
            let hours = self.number(2, ELEMENT).ok()?;
            self.literal(":").ok()?;
            let minutes = self.number(2, ELEMENT).ok()?;
            Some((hours, minutes))
        };
        let Some((hours, minutes)) = read() else {
            self.rest = start;
            return Err(self.mismatch(ELEMENT));
        };
        self.within(hours, 0..=24, "time zone offset hour")?;
        self.within(minutes, 0..=59, "time zone offset minute")?;
        Offset::from_seconds(sign * (hours * 3600 + minutes * 60))
            .map_err(|_| self.error(": time zone offset hour out of range"))
    }

    fn within(
        &self,
        value: i32,
        range: std::ops::RangeInclusive<i32>,
        what: &str,
    ) -> Result<(), Refusal> {
        if range.contains(&value) {
            Ok(())
        } else {
            Err(self.error(&format!(": {what} out of range")))
        }
    }

    fn mismatch(&self, element: &str) -> Refusal {
        self.error(&format!(
            " as \"2006-01-02T15:04:05Z07:00\": cannot parse {} as {}",
            Quoted(self.rest),
            Quoted(element)
        ))
    }

    fn error(&self, what: &str) -> Refusal {
        Refusal::Time(format!("parsing time {}{what}", Quoted(self.text)))
    }
}
