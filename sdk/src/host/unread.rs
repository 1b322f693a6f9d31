//! Answers of the host that may be large: a request that gets much goes on apart before any of it is read.

use std::marker::PhantomData;

use http::{Uri, uri::PathAndQuery};
use prost::{
    Message,
    bytes::{Buf as _, Bytes},
};
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder},
};

use super::{HostChannel, LARGEST_MESSAGE};
use crate::encoder::Exact;
use crate::logical::carry;

/// Asks the host. A clone is cheap.
#[derive(Clone)]
pub(super) struct Unread(Grpc<HostChannel>);

impl Unread {
    pub(super) fn new(channel: HostChannel) -> Self {
        let grpc = Grpc::with_origin(channel, Uri::from_static("http://localhost"));
        Self(
            grpc.max_decoding_message_size(LARGEST_MESSAGE)
                .max_encoding_message_size(LARGEST_MESSAGE),
        )
    }

    /// Calls the method with this path.
    ///
    /// # Errors
    /// What the host, or the way to it, says; also an answer that is none.
    pub(super) async fn ask<Args, Reply>(
        &self,
        path: &'static str,
        args: Args,
    ) -> Result<Reply, Status>
    where
        Args: Message + 'static,
        Reply: Message + Default,
    {
        // A call needs a client of its own. This one is always ready.
        let mut grpc = self.0.clone();
        let path = PathAndQuery::from_static(path);
        let reply = grpc.unary(Request::new(args), path, Messages(PhantomData));
        let reply = reply.await?.into_inner();
        carry(reply.len()).await;
        Reply::decode(reply).map_err(|error| Status::internal(error.to_string()))
    }
}

/// Writes messages, and hands out those that come as they are.
struct Messages<T>(PhantomData<fn(T)>);

impl<T: Message + 'static> Codec for Messages<T> {
    type Encode = T;
    type Decode = Bytes;
    type Encoder = Exact<T>;
    type Decoder = Self;

    fn encoder(&mut self) -> Self::Encoder {
        Exact::default()
    }

    fn decoder(&mut self) -> Self {
        Self(PhantomData)
    }
}

impl<T> Decoder for Messages<T> {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, reply: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(reply.copy_to_bytes(reply.remaining())))
    }
}
