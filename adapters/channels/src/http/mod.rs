//! The outgoing HTTP client that the channels share.
//!
//! HTTP/1.1 over pooled connections, plain or TLS. It follows no redirect and
//! decompresses nothing: an external service that asks for either is not the one
//! that was configured. What it does above the library it stands on is to tell
//! three ends of a request apart, because a message must neither be lost nor
//! needlessly sent twice: an answer came; none came and none of the body had left
//! ([`NoAnswer::NotSent`]); none came and some of it may have
//! ([`NoAnswer::MaybeSent`]).
//!
//! # How the last two are told apart
//!
//! `hyper_util::client::legacy::Error` shows its kind only as `is_connect()`; the
//! rest has to be guessed from `hyper::Error` behind it (`is_canceled()` for a
//! request handed back unwritten, `is_incomplete_message()` for a connection that
//! closed first, an I/O error for a reset), and a time-out of our own carries no
//! error at all. So the client does not read errors: it watches the one thing
//! that matters. hyper asks the body for its data exactly when it is about to put
//! it into the connection's write buffer, and a POST whose announced body never
//! left cannot have been accepted. The body it sends records that moment, and
//! where the request is given up before it, forbids it.
//!
//! This agrees with the library: where the pool hands out a connection that turns
//! out to be dead, hyper returns the request untouched, and hyper-util tries it
//! again on another one by itself (on a fresh connection it gives up instead,
//! which is `NotSent`). A connection that dies after the body was taken is never
//! retried by it, and is `MaybeSent`, though the bytes may not have travelled.

mod body;
mod connector;
mod retry_after;
mod roots;

use std::{error::Error, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::{
    HeaderMap, Request, StatusCode,
    body::{Body, Incoming},
    header::HeaderValue,
};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::{Instant, timeout_at};

use self::{
    body::{Handover, WatchedBody},
    connector::Connector,
};
use crate::guard::{Forbidden, Guard, Lookup, SystemLookup};

pub use retry_after::{LONGEST_RETRY_AFTER, retry_after};

/// The longest answer body that is read, in bytes: 64 KiB. Slack's answers to a
/// posted message are a few times the message.
pub const ANSWER_LIMIT: usize = 64 * 1024;

/// Who calls, in every request.
pub(crate) const US: HeaderValue =
    HeaderValue::from_static(concat!("error-notifier/", env!("CARGO_PKG_VERSION")));

/// How connections are made and kept.
#[derive(Clone, Copy, Debug)]
pub struct HttpSettings {
    /// The longest that making a connection may take, with name lookup and TLS
    /// handshake.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept. Shorter than what servers and load
    /// balancers commonly allow (60 s and more), so that a connection is rarely
    /// picked while its other end closes it.
    pub idle_timeout: Duration,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(30),
        }
    }
}

/// The client. Make one and share it: the connections are in it.
///
/// Those to hosts that users chose are kept apart: a connection that the operator's
/// settings had opened past the guard must not serve a URL that the guard refuses.
#[derive(Debug)]
pub struct HttpClient {
    configured: Client<Connector, WatchedBody>,
    chosen: Client<Connector, WatchedBody>,
}

/// Who chose the host that a request goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// The operator, by a setting.
    Configured,
    /// A user: the guard admits it or does not.
    Chosen,
}

/// An answer: what came before its body, and the body as far as it came.
#[derive(Debug)]
pub struct HttpAnswer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body, or what was wrong with it, for the record.
    pub body: Result<Bytes, String>,
}

/// No answer came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// Nothing of the request's body had left: it was certainly not accepted.
    NotSent {
        /// What happened, for the record.
        reason: String,
    },
    /// The guard does not admit the host; nothing was sent.
    Forbidden(Forbidden),
    /// Some of the body may have left: it may have been accepted.
    MaybeSent {
        /// What happened, for the record.
        reason: String,
    },
}

impl HttpClient {
    /// A client without connections; it makes them when they are needed. Reads the
    /// system's root certificates, once.
    ///
    /// # Errors
    /// Where the TLS library lacks what it needs, which is a fault of the build.
    pub fn new(settings: HttpSettings, guard: Guard) -> Result<Self, rustls::Error> {
        Self::with_lookup(settings, guard, Arc::new(SystemLookup))
    }

    /// The same, with names looked up by `lookup`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_lookup(
        settings: HttpSettings,
        guard: Guard,
        lookup: Arc<dyn Lookup>,
    ) -> Result<Self, rustls::Error> {
        let tls = roots::client_config()?;
        let client = |guard| {
            let limit = settings.connect_timeout;
            Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(settings.idle_timeout)
                .build(Connector::new(
                    limit,
                    tls.clone(),
                    Arc::clone(&lookup),
                    guard,
                ))
        };
        Ok(Self {
            configured: client(None),
            chosen: client(Some(guard)),
        })
    }

    /// Sends `request`, whose URI is absolute and whose host was chosen by `host`, and
    /// waits for the whole answer, at most `limit` from now, connecting included.
    ///
    /// # Errors
    /// [`NoAnswer`], where none came in time.
    pub async fn send(
        &self,
        host: Host,
        request: Request<Bytes>,
        limit: Duration,
    ) -> Result<HttpAnswer, NoAnswer> {
        let deadline = Instant::now() + limit;
        let client = match host {
            Host::Configured => &self.configured,
            Host::Chosen => &self.chosen,
        };
        let (head, data) = request.into_parts();
        let (body, handover) = body::watched(data);
        let request = Request::from_parts(head, body);
        let answer = timeout_at(deadline, client.request(request)).await;
        match answer {
            Ok(Ok(answer)) => {
                let (head, body) = answer.into_parts();
                Ok(HttpAnswer {
                    status: head.status,
                    headers: head.headers,
                    body: read(body, deadline, limit).await,
                })
            }
            Ok(Err(error)) if let Some(forbidden) = forbidden(&error) => {
                Err(NoAnswer::Forbidden(forbidden))
            }
            Ok(Err(error)) if error.is_connect() => Err(given_up(
                &handover,
                format!("could not connect: {}", root_cause(&error)),
            )),
            Ok(Err(error)) => Err(given_up(&handover, root_cause(&error))),
            Err(_) => Err(given_up(
                &handover,
                format!("no answer within {} s", limit.as_secs_f64()),
            )),
        }
    }
}

fn given_up(handover: &Handover, reason: String) -> NoAnswer {
    if handover.withdraw() {
        NoAnswer::NotSent { reason }
    } else {
        NoAnswer::MaybeSent { reason }
    }
}

/// Reads `body` to its end. One that is too long is dropped, which closes its
/// connection.
async fn read(body: Incoming, deadline: Instant, limit: Duration) -> Result<Bytes, String> {
    let too_long = || format!("the answer is longer than {} KiB", ANSWER_LIMIT / 1024);
    if body.size_hint().lower() > ANSWER_LIMIT as u64 {
        return Err(too_long());
    }
    match timeout_at(deadline, Limited::new(body, ANSWER_LIMIT).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_long()),
        Ok(Err(error)) => Err(format!("the answer was cut short: {}", root_cause(&*error))),
        Err(_) => Err(format!(
            "the answer did not end within {} s",
            limit.as_secs_f64()
        )),
    }
}

/// What the guard said, where it did.
fn forbidden(error: &(dyn Error + 'static)) -> Option<Forbidden> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(forbidden) = error.downcast_ref::<Forbidden>() {
            return Some(*forbidden);
        }
        cause = error.source();
    }
    None
}

/// What the innermost error says: the outer ones only say which layer it passed.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
