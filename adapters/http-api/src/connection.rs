//! One connection: what it is doing, since when, and its end.

use std::{
    convert::Infallible,
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, HttpBody},
};
use bytes::Bytes;
use hyper::{
    Request, Response,
    body::{Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::{Notify, watch},
};
use tower::Service;

use crate::{access::ClientAddress, errors, server::ServerSettings};

/// How much of a request a connection buffers at once, headers included.
const BUFFER: usize = 64 << 10;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Waiting for a request's first byte.
    Idle,
    /// A request's head has begun to arrive.
    Head,
    /// The rest of a request's body is awaited, before a handler is at work on it.
    Body,
    /// A handler is at work.
    Handling,
    /// The answer's body is being sent.
    Answering,
}

impl Phase {
    const ALL: [Phase; 5] = [
        Phase::Idle,
        Phase::Head,
        Phase::Body,
        Phase::Handling,
        Phase::Answering,
    ];
    /// The bits that hold one.
    const BITS: u32 = 3;
    const MASK: u64 = (1 << Self::BITS) - 1;
}

/// What a connection is doing and since when, for its own task and for the
/// server's, without a lock.
pub(crate) struct Activity {
    epoch: Instant,
    /// The phase in the lowest bits, above them the microseconds from `epoch`
    /// at which it began: fine enough that two seldom began together.
    state: AtomicU64,
    notice: Notify,
}

impl Activity {
    /// That of a connection just accepted; `epoch` is the server's start.
    pub(crate) fn new(epoch: Instant) -> Self {
        let activity = Self {
            epoch,
            state: AtomicU64::new(0),
            notice: Notify::new(),
        };
        activity.enter(Phase::Idle);
        activity
    }

    /// Where it may be ended for a newcomer: the time from the server's start at
    /// which it began to wait for a request, or for the rest of one.
    pub(crate) fn waiting_since(&self, settings: &ServerSettings) -> Option<Duration> {
        let (phase, since) = self.state();
        let gives_way = match phase {
            Phase::Idle | Phase::Head => true,
            Phase::Body => self.epoch.elapsed().saturating_sub(since) >= settings.body_grace,
            Phase::Handling | Phase::Answering => false,
        };
        gives_way.then_some(since)
    }

    /// Whether it has been doing it for too long.
    pub(crate) fn is_overdue(&self, settings: &ServerSettings) -> bool {
        let (phase, since) = self.state();
        let age = self.epoch.elapsed().saturating_sub(since);
        match phase {
            Phase::Idle => age >= settings.idle_timeout,
            Phase::Head => age >= settings.header_timeout,
            // Whoever reads the body ends that wait, with an answer.
            Phase::Body | Phase::Handling => false,
            Phase::Answering => age >= settings.stall_timeout,
        }
    }

    /// Asks the connection's task to end it where that harms no request.
    pub(crate) fn ask_to_close(&self) {
        self.notice.notify_one();
    }

    fn phase(&self) -> Phase {
        self.state().0
    }

    fn state(&self) -> (Phase, Duration) {
        let state = self.state.load(Ordering::Relaxed);
        let since = Duration::from_micros(state >> Phase::BITS);
        let phase = Phase::ALL.get((state & Phase::MASK) as usize);
        (phase.copied().unwrap_or(Phase::Idle), since)
    }

    fn enter(&self, phase: Phase) {
        let since = u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.state
            .store(since << Phase::BITS | phase as u64, Ordering::Relaxed);
    }
}

/// Serves a connection until either side ends it. Once `stop` is true it ends
/// after the request it is at.
pub(crate) async fn drive(
    stream: TcpStream,
    router: Router,
    activity: Arc<Activity>,
    settings: Arc<ServerSettings>,
    mut stop: watch::Receiver<bool>,
) {
    // Gone already where it cannot be told.
    let from = stream.peer_addr().ok();
    let from = from.map(|from| ClientAddress(from.ip().to_canonical()));
    let io = TokioIo::new(Watched {
        stream,
        activity: activity.clone(),
    });
    let service = service_fn(|mut request: Request<Incoming>| {
        if let Some(from) = from {
            request.extensions_mut().insert(from);
        }
        answer(router.clone(), activity.clone(), request)
    });
    // hyper's own header time-out would also end idle connections, so it is off
    // and the server sweeps instead. `half_close`: a client that is done sending
    // still gets its answer, and no handler is dropped half way.
    let mut connection = http1::Builder::new()
        .header_read_timeout(None)
        .half_close(true)
        .max_buf_size(BUFFER)
        .serve_connection(io, service);
    let mut stopping = *stop.borrow();
    if stopping {
        Pin::new(&mut connection).graceful_shutdown();
    }
    loop {
        tokio::select! {
            // How it ended is the client's affair: there is nobody to tell.
            _ = &mut connection => return,
            () = activity.notice.notified() => {
                let overdue = activity.is_overdue(&settings);
                match activity.phase() {
                    Phase::Head if overdue => {
                        let Watched { stream, .. } = connection.into_parts().io.into_inner();
                        // One small write into an empty buffer; if it fails, the
                        // connection ends all the same.
                        let _ = stream.try_write(&errors::timed_out_in_head());
                        return;
                    }
                    Phase::Head | Phase::Body => return,
                    _ if overdue => return,
                    // An idle one ends at once, but for what is still being sent.
                    _ => Pin::new(&mut connection).graceful_shutdown(),
                }
            }
            _ = stop.changed(), if !stopping => {
                stopping = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    }
}

async fn answer(
    mut router: Router,
    activity: Arc<Activity>,
    request: Request<Incoming>,
) -> Result<Response<Answering>, Infallible> {
    activity.enter(Phase::Handling);
    let request = request.map(|body| {
        let activity = activity.clone();
        Body::new(Arriving { body, activity })
    });
    let response = router.call(request).await?;
    activity.enter(Phase::Answering);
    Ok(response.map(|body| Answering { body, activity }))
}

/// A request's body on its way in.
struct Arriving {
    body: Incoming,
    activity: Arc<Activity>,
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let (is_pending, phase) = (polled.is_pending(), self.activity.phase());
        if is_pending && phase == Phase::Handling {
            self.activity.enter(Phase::Body);
        } else if !is_pending && phase == Phase::Body {
            self.activity.enter(Phase::Handling);
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
        if self.activity.phase() == Phase::Body {
            self.activity.enter(Phase::Handling);
        }
    }
}

/// An answer's body on its way out.
struct Answering {
    body: Body,
    activity: Arc<Activity>,
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.activity.enter(Phase::Answering);
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
        self.activity.enter(Phase::Idle);
    }
}

/// A connection's socket; takes note when a request begins to arrive.
struct Watched {
    stream: TcpStream,
    activity: Arc<Activity>,
}

impl Watched {
    /// hyper lets go of an answer's body before it has sent all of it; a
    /// connection waits for a request only from the last byte on.
    fn note_written(&self) {
        if self.activity.phase() == Phase::Idle {
            self.activity.enter(Phase::Idle);
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before && self.activity.phase() == Phase::Idle {
            self.activity.enter(Phase::Head);
        }
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
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.note_written();
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
