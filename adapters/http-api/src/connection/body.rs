//! Bodies on their way in and out, which tell what their connection is doing.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};

use super::activity::{Exchange, Phase};

/// A request's body on its way in.
pub(super) struct Arriving {
    pub(super) body: Incoming,
    pub(super) exchange: Arc<Exchange>,
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let (is_pending, phase) = (polled.is_pending(), self.exchange.phase());
        if is_pending && phase == Phase::Handling {
            self.exchange.enter(Phase::Body);
        } else if !is_pending && phase == Phase::Body {
            self.exchange.enter(Phase::Handling);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Also where nobody awaits the rest.
impl Drop for Arriving {
    fn drop(&mut self) {
        if self.exchange.phase() == Phase::Body {
            self.exchange.enter(Phase::Handling);
        }
    }
}

/// An answer's body on its way out.
///
/// It goes out in pieces of bounded length: of what hyper was given it no longer says
/// whether the client takes it, and over HTTP/2 keeps all of it until then.
pub(super) struct Answering {
    body: Body,
    exchange: Arc<Exchange>,
    /// What of the last chunk is still to go out.
    rest: Bytes,
}

/// The longest piece of an answer.
const PIECE: usize = 16 << 10;

impl Answering {
    pub(super) fn new(body: Body, exchange: Arc<Exchange>) -> Self {
        Self {
            body,
            exchange,
            rest: Bytes::new(),
        }
    }

    /// The beginning of `chunk`, of which the rest comes next.
    fn piece(&mut self, mut chunk: Bytes) -> Frame<Bytes> {
        if chunk.len() > PIECE {
            self.rest = chunk.split_off(PIECE);
        }
        Frame::data(chunk)
    }
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.exchange.enter(Phase::Answering);
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            return Poll::Ready(Some(Ok(self.piece(rest))));
        }
        Pin::new(&mut self.body)
            .poll_frame(cx)
            .map_ok(|frame| match frame.into_data() {
                Ok(chunk) => self.piece(chunk),
                Err(trailers) => trailers,
            })
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let mut hint = self.body.size_hint();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.exchange.enter(Phase::Idle);
    }
}
