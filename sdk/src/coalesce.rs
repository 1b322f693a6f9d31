//! Fewer, larger writes.
//!
//! HTTP/2 flushes at every seam: the answer to a ping apart from the answer to the request that came with it, the data of a message
//! apart from its trailers. Over TLS each flush is a record, a system call and a wake-up of the peer, and for the small messages of a plugin
//! these cost more than the rest of the transport. So what a connection writes is collected here, and a flush puts the connection's
//! task to the end of the runtime's queue instead: when it comes up again and nothing was added, everything goes out in one piece. The answer
//! to a ping alone waits one turn longer, since the request that came with it is served only then.

use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::yield_now,
};

/// Shorter than any message: frames of control like the answer to a ping, which has 17 bytes.
const CONTROL: usize = 32;
/// Flushes that may be put off in a row. A message takes up to three, so that a few messages can go together.
const PATIENCE: u8 = 8;
/// As much goes out at once, since a larger piece saves nothing more: a TLS record ends at 16 KiB.
const ENOUGH: usize = 16 << 10;
/// A buffer that has grown beyond this is given back after use.
const KEPT: usize = 64 << 10;

/// A stream for an HTTP/2 connection, which flushes whenever its task is run.
pub(crate) struct Coalesced<S> {
    stream: S,
    out: Vec<u8>,
    /// How much of `out` is written.
    sent: usize,
    /// How much there was at the last flush.
    seen: usize,
    put_off: u8,
    /// Flushes since the last one that found more than before.
    quiet: u8,
    /// The stream below was given something and has not said since that all of it is out.
    flushing: bool,
}

impl<S> Coalesced<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            out: Vec::new(),
            sent: 0,
            seen: 0,
            // The first flush is the one of the connection's preface, after which it waits for the peer without flushing.
            put_off: PATIENCE,
            quiet: 0,
            flushing: false,
        }
    }
}

impl<S: AsyncWrite + Unpin> Coalesced<S> {
    /// Hands everything to the stream below.
    fn drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.out.len() {
            self.flushing = true;
            let rest = &self.out[self.sent..];
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.sent += written,
            }
        }
        self.out.clear();
        self.out.shrink_to(KEPT);
        (self.sent, self.seen, self.put_off, self.quiet) = (0, 0, 0, 0);
        Poll::Ready(Ok(()))
    }

    /// Hands everything to the stream below, and ends the flush of that.
    fn flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.drain(cx))?;
        if self.flushing {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.flushing = false;
        }
        Poll::Ready(Ok(()))
    }

    fn make_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.out.len() < ENOUGH {
            Poll::Ready(Ok(()))
        } else {
            self.drain(cx)
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Coalesced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Coalesced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.make_room(cx))?;
        self.out.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.make_room(cx))?;
        let before = self.out.len();
        for buf in bufs {
            self.out.extend_from_slice(buf);
        }
        Poll::Ready(Ok(self.out.len() - before))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let length = self.out.len();
        // Nothing is put off behind a flush that is under way: the peer waits already.
        if length == 0 || self.flushing {
            return self.flush(cx);
        }
        self.quiet = if length > self.seen {
            0
        } else {
            self.quiet + 1
        };
        let enough_quiet = if length < CONTROL { 2 } else { 1 };
        let wait = self.quiet < enough_quiet && length < ENOUGH;
        if wait && self.sent == 0 && self.put_off < PATIENCE {
            self.seen = length;
            self.put_off += 1;
            // Wakes the task when nothing else is to be done. A plain wake would call up another thread for it, each time.
            let _ = pin!(yield_now()).poll(cx);
            return Poll::Ready(Ok(()));
        }
        self.flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.flush(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod sockets;

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, task::Waker};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    /// Writes, and flushes as a connection does at the end of a turn.
    fn turn(io: &mut Coalesced<DuplexStream>, text: &str) {
        let cx = &mut Context::from_waker(Waker::noop());
        if !text.is_empty() {
            let written = Pin::new(&mut *io).poll_write(cx, text.as_bytes());
            assert!(matches!(written, Poll::Ready(Ok(length)) if length == text.len()));
        }
        assert!(Pin::new(io).poll_flush(cx).is_ready());
    }

    async fn read(theirs: &mut DuplexStream) -> String {
        let mut buf = [0; 64];
        let length = theirs.read(&mut buf).await.unwrap();
        String::from_utf8_lossy(&buf[..length]).into_owned()
    }

    #[tokio::test]
    async fn what_comes_turn_by_turn_goes_out_together_when_nothing_more_comes() {
        let (ours, mut theirs) = duplex(1024);
        let mut io = Coalesced::new(ours);
        turn(&mut io, "preface");
        assert_eq!(read(&mut theirs).await, "preface");
        for part in ["pong ", "", "head of a message with data ", "trailers", ""] {
            turn(&mut io, part);
        }
        assert_eq!(
            read(&mut theirs).await,
            "pong head of a message with data trailers"
        );
    }

    #[tokio::test]
    async fn a_flush_is_not_put_off_for_ever() {
        let (ours, mut theirs) = duplex(1024);
        let mut io = Coalesced::new(ours);
        turn(&mut io, "preface");
        read(&mut theirs).await;
        for _ in 0..=PATIENCE {
            turn(&mut io, "x");
        }
        assert_eq!(read(&mut theirs).await.len(), usize::from(PATIENCE) + 1);
    }

    #[tokio::test]
    async fn a_flush_that_is_put_off_runs_the_task_again() {
        let (ours, mut theirs) = duplex(1024);
        let mut io = Coalesced::new(ours);
        turn(&mut io, "preface");
        read(&mut theirs).await;
        io.write_all(b"x").await.unwrap();
        // Flushes on each run, as a connection does; nobody else wakes it.
        let flushing = poll_fn(|cx| {
            let _ = Pin::new(&mut io).poll_flush(cx);
            Poll::<()>::Pending
        });
        tokio::select! {
            text = read(&mut theirs) => assert_eq!(text, "x"),
            () = flushing => unreachable!("it never ends"),
        }
    }

    #[tokio::test]
    async fn a_slow_reader_gets_everything_and_holds_the_writer_back() {
        let (ours, mut theirs) = duplex(100);
        let mut io = Coalesced::new(ours);
        let writing = async {
            for _ in 0..100 {
                io.write_all(&[7; 1000]).await.unwrap();
                assert!(io.out.len() < ENOUGH + 1000);
            }
            io.shutdown().await.unwrap();
        };
        let mut all = Vec::new();
        let ((), read) = tokio::join!(writing, theirs.read_to_end(&mut all));
        assert_eq!(read.unwrap(), 100_000);
        assert!(all.iter().all(|byte| *byte == 7));
    }
}
