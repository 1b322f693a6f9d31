//! How messages are written.

use std::marker::PhantomData;

use prost::Message;
use tonic::Status;
use tonic::codec::{EncodeBuf, Encoder};

/// Writes a message into a buffer that has room for all of it: one that grows while a large message is written is copied again and again, and ends
/// with up to twice the room.
pub(crate) struct Exact<T>(PhantomData<fn(T)>);

impl<T> Default for Exact<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Message> Encoder for Exact<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, message: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(message.encoded_len());
        message
            .encode(buffer)
            .map_err(|error| Status::internal(error.to_string()))
    }
}
