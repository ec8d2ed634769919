//! A client's socket, plain or behind TLS.

use bytes::BytesMut;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// One socket, read and written by one task.
pub(super) struct Socket {
    stream: Stream,
    /// Bytes that TLS has taken and not yet handed on.
    unflushed: usize,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Done {
    /// The system has taken so many bytes.
    Wrote(usize),
    /// So many bytes came; none: the client has closed.
    Read(usize),
}

impl Socket {
    pub(super) const fn plain(socket: TcpStream) -> Self {
        Self { stream: Stream::Plain(socket), unflushed: 0 }
    }

    pub(super) const fn tls(stream: Box<TlsStream<TcpStream>>) -> Self {
        Self { stream: Stream::Tls(stream), unflushed: 0 }
    }

    /// The socket itself, for its options.
    pub(super) fn tcp(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(socket) => socket,
            Stream::Tls(stream) => stream.get_ref().0,
        }
    }

    /// Writes from the front of `slices` or reads into `input`, whichever can be done first. `waited` becomes true when writing
    /// has to wait for the client. Cancel-safe, as long as what was to be written is what is to be written next.
    pub(super) async fn exchange(
        &mut self,
        slices: &[IoSlice<'_>],
        mut input: Option<&mut BytesMut>,
        waited: &mut bool,
    ) -> io::Result<Done> {
        poll_fn(|context| {
            if !slices.is_empty() {
                match self.poll_write(context, slices) {
                    Poll::Ready(result) => return Poll::Ready(result.map(Done::Wrote)),
                    Poll::Pending => *waited = true,
                }
            }
            match &mut input {
                Some(input) => self.poll_read(context, input).map_ok(Done::Read),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Ends what is sent; the client may still be heard.
    pub(super) async fn shutdown(&mut self) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(socket) => socket.shutdown().await,
            Stream::Tls(stream) => stream.shutdown().await,
        }
    }

    /// What is written counts once the system has it. TLS takes more than that, so it is asked for the same bytes only once.
    fn poll_write(&mut self, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(socket) => Pin::new(socket).poll_write_vectored(context, slices),
            Stream::Tls(stream) => {
                if self.unflushed == 0 {
                    self.unflushed = ready!(Pin::new(&mut *stream).poll_write_vectored(context, slices))?;
                }
                ready!(Pin::new(stream).poll_flush(context))?;
                Poll::Ready(Ok(std::mem::take(&mut self.unflushed)))
            }
        }
    }

    fn poll_read(&mut self, context: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>> {
        // These futures keep nothing between two polls.
        match &mut self.stream {
            Stream::Plain(socket) => pin!(socket.read_buf(input)).poll(context),
            Stream::Tls(stream) => match ready!(pin!(stream.read_buf(input)).poll(context)) {
                // Many clients close without the farewell of TLS, and cutting off live media gains nobody anything.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(0)),
                result => Poll::Ready(result),
            },
        }
    }
}
