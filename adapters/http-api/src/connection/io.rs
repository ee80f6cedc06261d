//! A connection's socket, and what is seen of what goes through it.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use super::{
    activity::{Activity, Phase},
    heads::{Framing, Heads},
};

/// A connection, in clear or encrypted.
pub(super) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// A connection that carries one request at a time; takes note when one begins to
/// arrive, and reads its head along.
pub(super) struct Watched {
    wire: Wire,
    activity: Arc<Activity>,
    heads: Heads,
    /// What has arrived and is not passed on yet.
    kept: Bytes,
}

impl Watched {
    pub(super) fn new(wire: Wire, activity: Arc<Activity>, framing: Framing) -> Self {
        Self {
            wire,
            activity,
            heads: Heads::new(framing),
            kept: Bytes::new(),
        }
    }

    pub(super) fn into_wire(self) -> Wire {
        self.wire
    }

    /// hyper lets go of an answer's body before it has sent all of it; a
    /// connection waits for a request only from the last byte on.
    fn note_written(&self) {
        if self.activity.phase() == Phase::Idle {
            self.activity.enter(Phase::Idle);
        }
    }

    fn note_read(&self) {
        if self.activity.phase() == Phase::Idle {
            self.activity.enter(Phase::Head);
        }
    }

    /// Nothing more is read; the connection's task, woken by it, ends the connection.
    fn refuse(&self) -> Poll<io::Result<()>> {
        self.activity.refuse();
        Poll::Pending
    }

    fn pass_on_kept(&mut self, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let room = self.kept.len().min(buffer.remaining());
        match self.heads.pass(&self.kept[..room]) {
            Ok(passed) => {
                buffer.put_slice(&self.kept[..passed]);
                self.kept.advance(passed);
                Poll::Ready(Ok(()))
            }
            Err(_) => self.refuse(),
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.activity.is_refused() {
            return Poll::Pending;
        }
        if !this.kept.is_empty() {
            this.note_read();
            return this.pass_on_kept(buffer);
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.wire).poll_read(cx, buffer);
        let arrived = &buffer.filled()[before..];
        if arrived.is_empty() {
            return polled;
        }
        this.note_read();
        let Ok(passed) = this.heads.pass(arrived) else {
            return this.refuse();
        };
        this.kept = Bytes::copy_from_slice(&arrived[passed..]);
        buffer.set_filled(before + passed);
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.note_written();
        Pin::new(&mut self.wire).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.note_written();
        Pin::new(&mut self.wire).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}
