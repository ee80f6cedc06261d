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
pub(super) struct Answering {
    pub(super) body: Body,
    pub(super) exchange: Arc<Exchange>,
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.exchange.enter(Phase::Answering);
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.exchange.enter(Phase::Idle);
    }
}
