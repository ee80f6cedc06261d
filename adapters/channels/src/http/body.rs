//! A request body that knows whether it was handed to the connection.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// The connection has not asked for the data yet.
const WAITING: u8 = 0;
/// It has it; some of it may have left.
const TAKEN: u8 = 1;
/// The request was given up first; the connection gets an error instead.
const WITHDRAWN: u8 = 2;

/// The body made of `data`, and what tells whether it was handed over.
pub(super) fn watched(data: Bytes) -> (WatchedBody, Handover) {
    // The connection does not ask for nothing, so that an empty body counts as
    // handed over from the start.
    let state = if data.is_empty() { TAKEN } else { WAITING };
    let state = Arc::new(AtomicU8::new(state));
    let body = WatchedBody {
        data: Some(data).filter(|data| !data.is_empty()),
        state: Arc::clone(&state),
    };
    (body, Handover(state))
}

/// See [`watched`].
#[derive(Debug)]
pub(super) struct WatchedBody {
    data: Option<Bytes>,
    state: Arc<AtomicU8>,
}

/// See [`watched`].
#[derive(Debug)]
pub(super) struct Handover(Arc<AtomicU8>);

/// The body was withdrawn before it was sent.
#[derive(Debug, thiserror::Error)]
#[error("the request was given up before it was sent")]
pub(super) struct Withdrawn;

impl Handover {
    /// Gives the request up. True where the connection has not taken the data, and
    /// now never will; false where it already has.
    pub(super) fn withdraw(&self) -> bool {
        self.0
            .compare_exchange(WAITING, WITHDRAWN, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = Withdrawn;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Withdrawn>>> {
        let body = self.get_mut();
        let Some(data) = body.data.take() else {
            return Poll::Ready(None);
        };
        let taken =
            body.state
                .compare_exchange(WAITING, TAKEN, Ordering::AcqRel, Ordering::Acquire);
        Poll::Ready(Some(match taken {
            Ok(_) => Ok(Frame::data(data)),
            Err(_) => Err(Withdrawn),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_body_that_was_taken_cannot_be_withdrawn() {
        let (body, handover) = watched(Bytes::from_static(b"text"));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "text");
        assert!(!handover.withdraw());
    }

    #[tokio::test]
    async fn a_withdrawn_body_is_never_sent_afterwards() {
        let (body, handover) = watched(Bytes::from_static(b"text"));
        assert!(handover.withdraw());
        assert!(body.collect().await.is_err());
    }

    #[test]
    fn a_request_without_a_body_may_always_have_been_sent() {
        let (body, handover) = watched(Bytes::new());
        assert!(body.is_end_stream());
        assert!(!handover.withdraw());
    }
}
