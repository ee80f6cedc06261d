//! One connection: what it is doing, since when, and its end.

mod activity;
mod body;
mod heads;
mod io;

use std::{convert::Infallible, net::IpAddr, pin::Pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, HttpBody},
    http::{HeaderValue, header},
};
use hyper::{
    Request, Response,
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::{Semaphore, watch},
    task::JoinError,
};
use tower::Service;

use crate::{client::Peer, errors, server::ServerSettings};

use activity::{Exchange, Phase};
use body::{Answering, Arriving};
use heads::Framing;
use io::{Watched, Wire};

pub(crate) use activity::Activity;
#[cfg(feature = "fuzzing")]
pub(crate) use heads::read_along;

/// How long a request's head may be; in HTTP/1, how much a connection buffers at once.
const BUFFER: usize = 64 << 10;
/// Requests at a time on one connection of HTTP/2.
const STREAMS: u32 = 100;
/// How much of a body HTTP/2 takes in before a handler reads it, of one request and of all
/// on the connection.
const WINDOWS: (u32, u32) = (256 << 10, 1 << 20);
/// How much of an answer HTTP/2 holds that its client does not take.
const SEND_BUFFER: usize = 64 << 10;
/// How long a last word to a client may take.
const LAST_WORD: Duration = Duration::from_secs(1);

/// An accepted connection, and what its task needs to serve it.
pub(crate) struct Accepted {
    pub(crate) stream: TcpStream,
    pub(crate) peer: IpAddr,
    pub(crate) router: Router,
    pub(crate) activity: Arc<Activity>,
    pub(crate) settings: Arc<ServerSettings>,
    /// Once it is true the connection ends after the request it is at.
    pub(crate) stop: watch::Receiver<bool>,
}

impl Accepted {
    /// Serves the connection until either side ends it.
    pub(crate) async fn drive(self) {
        let Some(tls) = self.settings.tls.clone() else {
            let (stream, served) = self.split();
            return served.one_at_a_time(Wire::Plain(stream)).await;
        };
        let (stream, mut served) = self.split();
        served.activity.enter(Phase::Head);
        let stream = tokio::select! {
            stream = tls.accept(stream) => stream,
            () = served.activity.asked_to_close() => return,
            _ = served.stop.wait_for(|stop| *stop) => return,
        };
        // Without a connection there is nobody to tell.
        let Ok(stream) = stream else { return };
        served.activity.enter(Phase::Idle);
        let many = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let wire = Wire::Tls(Box::new(stream));
        match many {
            true => served.many_at_a_time(wire).await,
            false => served.one_at_a_time(wire).await,
        }
    }

    fn split(self) -> (TcpStream, Served) {
        let Self {
            stream,
            peer,
            router,
            activity,
            settings,
            stop,
        } = self;
        let served = Served {
            peer: Peer(peer),
            router,
            activity,
            settings,
            stop,
        };
        (stream, served)
    }
}

/// A connection without its socket.
struct Served {
    peer: Peer,
    router: Router,
    activity: Arc<Activity>,
    settings: Arc<ServerSettings>,
    stop: watch::Receiver<bool>,
}

impl Served {
    /// HTTP/1.
    async fn one_at_a_time(mut self, wire: Wire) {
        let framing = Framing::default();
        let io = Watched::new(wire, self.activity.clone(), framing.clone());
        let (router, peer) = (self.router.clone(), self.peer);
        let exchanges = self.activity.clone();
        let service = service_fn(|request: Request<Incoming>| {
            let length = request.body().size_hint().exact();
            framing.body_of(length);
            answer(router.clone(), peer, exchanges.clone(), request)
        });
        // hyper's own header time-out would also end idle connections, so it is off
        // and the server sweeps instead. `half_close`: a client that is done sending
        // still gets its answer, and no handler is dropped half way.
        let mut connection = http1::Builder::new()
            .header_read_timeout(None)
            .half_close(true)
            .max_header_size(BUFFER)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(io), service);
        let mut stopping = *self.stop.borrow();
        if stopping {
            Pin::new(&mut connection).graceful_shutdown();
        }
        let last_word = loop {
            tokio::select! {
                // How it ended is the client's affair: there is nobody to tell.
                _ = &mut connection => return,
                () = self.activity.asked_to_close() => match self.end_of_one() {
                    End::Now(last_word) => break last_word,
                    // An idle one ends at once, but for what is still being sent.
                    End::AfterTheAnswer => Pin::new(&mut connection).graceful_shutdown(),
                },
                _ = self.stop.changed(), if !stopping => {
                    stopping = true;
                    Pin::new(&mut connection).graceful_shutdown();
                }
            }
        };
        if let Some(last_word) = last_word {
            let wire = connection.into_parts().io.into_inner().into_wire();
            tell(wire, &last_word).await;
        }
    }

    fn end_of_one(&self) -> End {
        let overdue = self.activity.is_overdue(&self.settings);
        let refused = self.activity.is_refused();
        match self.activity.phase() {
            Phase::Idle | Phase::Head if refused => End::Now(Some(errors::malformed_head())),
            Phase::Head if overdue => End::Now(Some(errors::timed_out_in_head())),
            Phase::Head | Phase::Body => End::Now(None),
            _ if overdue => End::Now(None),
            _ => End::AfterTheAnswer,
        }
    }

    /// HTTP/2. Its requests run as tasks of their own. Who resets a request, or ends the
    /// connection, does not end half way what is being done about it; and has no more of
    /// them under way by that.
    async fn many_at_a_time(mut self, wire: Wire) {
        self.activity.multiplex();
        let (router, peer) = (self.router.clone(), self.peer);
        let exchanges = self.activity.clone();
        let places = Arc::new(Semaphore::new(STREAMS as usize));
        let service = service_fn(move |request| {
            let answering = answer(router.clone(), peer, exchanges.clone(), request);
            whatever_its_client_does(places.clone(), answering)
        });
        let mut connection = http2::Builder::new(TokioExecutor::new())
            .max_header_list_size(BUFFER as u32)
            .max_concurrent_streams(STREAMS)
            .initial_stream_window_size(WINDOWS.0)
            .initial_connection_window_size(WINDOWS.1)
            .max_send_buf_size(SEND_BUFFER)
            .serve_connection(TokioIo::new(wire), service);
        let mut stopping = *self.stop.borrow();
        if stopping {
            Pin::new(&mut connection).graceful_shutdown();
        }
        let mut told = false;
        loop {
            tokio::select! {
                _ = &mut connection => return,
                () = self.activity.asked_to_close() => {
                    let overdue = self.activity.is_overdue(&self.settings);
                    match self.activity.phase() {
                        // It may still be sending an answer. Whoever does not take the word
                        // of the end is not asked twice.
                        Phase::Idle if !told => told = true,
                        _ if self.activity.is_stalled(&self.settings) => return,
                        Phase::Handling => {}
                        Phase::Answering if !overdue => {}
                        _ => return,
                    }
                    Pin::new(&mut connection).graceful_shutdown();
                }
                _ = self.stop.changed(), if !stopping => {
                    stopping = true;
                    Pin::new(&mut connection).graceful_shutdown();
                }
            }
        }
    }
}

/// How a connection ends that is asked to.
enum End {
    /// With a last word, where there is one.
    Now(Option<Vec<u8>>),
    AfterTheAnswer,
}

/// Writes a last word. If that fails, the connection ends all the same.
async fn tell(mut wire: Wire, last_word: &[u8]) {
    let telling = async {
        wire.write_all(last_word).await?;
        wire.shutdown().await
    };
    let _ = tokio::time::timeout(LAST_WORD, telling).await;
}

/// Carries a request out to its end, once there is a place for it.
async fn whatever_its_client_does(
    places: Arc<Semaphore>,
    answering: impl Future<Output = Result<Response<Answering>, Infallible>> + Send + 'static,
) -> Result<Response<Answering>, JoinError> {
    // Nobody closes it, so there always is a place in the end.
    let place = places.acquire_owned().await.ok();
    let task = tokio::spawn(async move {
        let answer = answering.await;
        drop(place);
        answer
    });
    let Ok(answer) = task.await?;
    Ok(answer)
}

/// Not `async`: what comes before the handler happens when the request is handed over.
fn answer(
    mut router: Router,
    peer: Peer,
    activity: Arc<Activity>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Answering>, Infallible>> + use<> {
    let exchange = Exchange::begin(activity);
    let unknown_length = request.body().size_hint().exact().is_none();
    let ends = unknown_length && request.version() < axum::http::Version::HTTP_2;
    let mut request = request.map(|body| {
        let exchange = exchange.clone();
        Body::new(Arriving { body, exchange })
    });
    request.extensions_mut().insert(peer);
    async move {
        let mut response = router.call(request).await?;
        if ends {
            // Where the next request would begin is hyper's knowledge alone (`heads.rs`).
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        exchange.enter(Phase::Answering);
        Ok(response.map(|body| Answering::new(body, exchange)))
    }
}
