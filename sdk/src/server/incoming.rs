//! Requests as they come from the host: how much of a message is read, and where.
//!
//! What a request without a token brings is read up to the limits at which [`Engine`](crate::logical::Engine) refuses it, and the rest of the message
//! is passed over: its length costs nothing more than its way through the socket, which is as long as the host allows (a head of 1 MiB, and
//! `max_request_size` of the listener). Of others a large message is read where it keeps nobody waiting.

use std::sync::Arc;

use landfast_proto::pb;
use prost::{DecodeError, Message as _, bytes::Bytes};
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder},
};

use super::convert;
use crate::encoder::Exact;
use crate::logical::{Asked, LARGE, LARGEST_OPEN_DATA, MAX_OPEN_DATA, MAX_PATH, RawRequest, Turns};

/// A message of fewer bytes is read at once, whoever sends it.
const SMALL: usize = MAX_OPEN_DATA;
/// Bytes of headers, and of any other field, that a request without a token may bring.
const MOST_OPEN: usize = 8 << 10;
/// The operation that asks for the canonical path, before anybody has looked at a token.
pub(super) const RESOLVE_PATH: &str = "resolve-path";
/// What is asked of a login before it: nobody has shown a token either, and the host does not say so.
const BEFORE_LOGIN: [&str; 2] = ["resolve-role", "alias-lookahead"];

// Numbers of fields: HandleRequestArgs and HandleExistenceCheckArgs are alike.
const REQUEST: u32 = 2;
const ID: u32 = 1;
const OPERATION: u32 = 3;
const PATH: u32 = 4;
const DATA: u32 = 5;
const HEADERS: u32 = 8;
const MOUNT_POINT: u32 = 12;
const UNAUTHENTICATED: u32 = 19;

/// A request of the host.
#[derive(Debug)]
pub(super) enum Incoming {
    /// As it came, or cut where nobody would read on.
    Read(RawRequest),
    /// A large one of somebody with a token.
    Unread(Unread),
}

/// A message that is not read yet.
#[derive(Debug)]
pub(super) struct Unread {
    /// What the log says of it.
    head: RawRequest,
    message: Bytes,
}

impl Incoming {
    /// For the log, and for the turns of what is large.
    pub(super) fn asked(&self, turns: &Arc<Turns>) -> Arc<Asked> {
        match self {
            Self::Read(request) => {
                Asked::request(request, request.path.len() + request.data.len(), turns)
            }
            Self::Unread(Unread { head, message }) => Asked::request(head, message.len(), turns),
        }
    }

    /// The request.
    ///
    /// # Errors
    /// When the message is none.
    pub(super) fn read(self) -> Result<RawRequest, Status> {
        match self {
            Self::Read(request) => Ok(request),
            Self::Unread(unread) => whole(&unread.message).map_err(malformed),
        }
    }

    fn of(message: Bytes, asks: Asks) -> Result<Self, DecodeError> {
        if let Some(sight) = Sight::of(&message) {
            if let Some(short) = sight.cut(asks) {
                let request = pb::Request::decode(&*short)?;
                return Ok(Self::Read(convert::request(request)));
            }
            if message.len() > LARGE {
                let head = sight.head();
                return Ok(Self::Unread(Unread { head, message }));
            }
        }
        whole(&message).map(Self::Read)
    }
}

impl From<Option<pb::Request>> for Incoming {
    fn from(request: Option<pb::Request>) -> Self {
        Self::Read(convert::request(request.unwrap_or_default()))
    }
}

/// Reads a message as it is read for [`Engine::handle`](crate::logical::Engine::handle).
pub(super) fn read(message: &[u8]) -> Result<RawRequest, DecodeError> {
    let short = Sight::of(message).and_then(|sight| sight.cut(Asks::Answer));
    match short {
        Some(short) => pb::Request::decode(&*short).map(convert::request),
        None => whole(message),
    }
}

fn whole(message: &[u8]) -> Result<RawRequest, DecodeError> {
    let args = pb::HandleRequestArgs::decode(message)?;
    Ok(convert::request(args.request.unwrap_or_default()))
}

fn malformed(error: DecodeError) -> Status {
    Status::internal(error.to_string())
}

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    /// `HandleRequest`.
    Answer,
    /// `HandleExistenceCheck`, for which the data of the request plays no part.
    Existence,
}

/// A message that was looked at, but for the inside of its fields.
struct Sight<'a> {
    fields: Vec<Field<'a>>,
}

impl<'a> Sight<'a> {
    /// `None` for a message that is small, or has another form than hosts send: it is read as a whole, or found to be none.
    fn of(message: &'a [u8]) -> Option<Self> {
        if message.len() <= SMALL {
            return None;
        }
        let mut request = None;
        for field in Fields(message) {
            let field = field?;
            if field.number == REQUEST && request.replace(field.content?).is_some() {
                return None;
            }
        }
        let fields: Option<Vec<_>> = Fields(request?).collect();
        Some(Self { fields: fields? })
    }

    /// The content of a field, of which the last one counts.
    fn content(&self, number: u32) -> &'a [u8] {
        let mut of = self.fields.iter().rev();
        of.find(|field| field.number == number)
            .and_then(|field| field.content)
            .unwrap_or_default()
    }

    fn text(&self, number: u32) -> String {
        String::from_utf8_lossy(self.content(number)).into_owned()
    }

    fn head(&self) -> RawRequest {
        RawRequest {
            id: self.text(ID),
            operation: self.text(OPERATION),
            path: self.text(PATH),
            mount_point: self.text(MOUNT_POINT),
            ..RawRequest::default()
        }
    }

    /// The request without what nobody reads; `None` when all of it is read.
    fn cut(&self, asks: Asks) -> Option<Vec<u8>> {
        let operation = self.content(OPERATION);
        let open = BEFORE_LOGIN.iter().any(|name| name.as_bytes() == operation)
            || self
                .fields
                .iter()
                .any(|field| field.number == UNAUTHENTICATED && field.value != 0);
        let resolving = operation == RESOLVE_PATH.as_bytes();
        let mut headers = 0;
        let mut short = Vec::new();
        let mut is_cut = false;
        for field in &self.fields {
            let length = field.content.map_or(0, <[u8]>::len);
            let most = match field.number {
                PATH => MAX_PATH,
                DATA if resolving || asks == Asks::Existence => 0,
                DATA if open => LARGEST_OPEN_DATA,
                DATA => usize::MAX,
                HEADERS if open || resolving => {
                    headers += length;
                    if headers > MOST_OPEN { 0 } else { MOST_OPEN }
                }
                _ if open || resolving => MOST_OPEN,
                _ => usize::MAX,
            };
            if length <= most {
                short.push((field, length));
                continue;
            }
            is_cut = true;
            match field.number {
                // One byte too many is kept, so that it is refused as what is too long.
                PATH | DATA if most > 0 => short.push((field, most + 1)),
                _ => {}
            }
        }
        is_cut.then(|| {
            let mut message = Vec::with_capacity(4 * SMALL);
            for (field, length) in short {
                field.write(length, &mut message);
            }
            message
        })
    }
}

/// One field of a message.
#[derive(Debug, Clone, Copy)]
struct Field<'a> {
    number: u32,
    /// With its number and length.
    whole: &'a [u8],
    /// Of a text, bytes, or a message.
    content: Option<&'a [u8]>,
    /// Of a number.
    value: u64,
}

impl Field<'_> {
    /// Writes the field, and of its content the first `length` bytes, up to the end of a letter.
    fn write(&self, length: usize, message: &mut Vec<u8>) {
        let Some(content) = self.content.filter(|content| content.len() > length) else {
            message.extend_from_slice(self.whole);
            return;
        };
        let goes_on = |byte: &&u8| **byte & 0xc0 == 0x80;
        let rest = content[length..].iter().take(3).take_while(goes_on).count();
        let kept = &content[..length + rest];
        write_number(u64::from(self.number) << 3 | LENGTH, message);
        write_number(kept.len() as u64, message);
        message.extend_from_slice(kept);
    }
}

/// The fields of a message, `None` for what is none.
///
/// Source: protobuf.dev/programming-guides/encoding.
struct Fields<'a>(&'a [u8]);

/// The wire type of what has a length.
const LENGTH: u64 = 2;

impl<'a> Iterator for Fields<'a> {
    type Item = Option<Field<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<Field<'a>> {
        let begin = self.0;
        let key = self.number()?;
        let (mut content, mut value) = (None, 0);
        match key & 7 {
            0 => value = self.number()?,
            1 => drop(self.take(8)?),
            LENGTH => {
                let length = self.number()?;
                content = Some(self.take(usize::try_from(length).ok()?)?);
            }
            5 => drop(self.take(4)?),
            _ => return None,
        }
        Some(Field {
            number: u32::try_from(key >> 3).ok()?,
            whole: &begin[..begin.len() - self.0.len()],
            content,
            value,
        })
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of 64 bits in groups of seven, the lowest first.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}

fn write_number(mut number: u64, message: &mut Vec<u8>) {
    while number >= 0x80 {
        message.push(number as u8 | 0x80);
        number >>= 7;
    }
    message.push(number as u8);
}

/// Reads requests and writes replies.
pub(super) struct Messages<R> {
    asks: Asks,
    reply: std::marker::PhantomData<fn(R)>,
}

impl<R> Messages<R> {
    pub(super) fn of(asks: Asks) -> Self {
        Self {
            asks,
            reply: std::marker::PhantomData,
        }
    }
}

impl<R: prost::Message + 'static> Codec for Messages<R> {
    type Encode = R;
    type Decode = Incoming;
    type Encoder = Exact<R>;
    type Decoder = Self;

    fn encoder(&mut self) -> Self::Encoder {
        Exact::default()
    }

    fn decoder(&mut self) -> Self {
        Self::of(self.asks)
    }
}

impl<R> Decoder for Messages<R> {
    type Item = Incoming;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Incoming>, Status> {
        use prost::bytes::Buf as _;

        let read = if message.remaining() <= SMALL {
            let args = pb::HandleRequestArgs::decode(message);
            args.map(|args| Incoming::from(args.request))
        } else {
            Incoming::of(message.copy_to_bytes(message.remaining()), self.asks)
        };
        read.map(Some).map_err(malformed)
    }
}

#[cfg(test)]
mod tests;
