//! Making connections: name lookup, TCP and TLS, within one bound, and past the guard
//! where there is one.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use rustls::ClientConfig;
use tokio::{net::TcpStream, time::timeout};
use tower_service::Service;

use crate::guard::{Forbidden, Guard, GuardedLookup, Lookup, is_plain};

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;
type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// Connects to `http` and `https` URIs.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    inner: HttpsConnector<Tcp>,
    limit: Duration,
}

impl Connector {
    /// A connector that gives up after `limit`; `guard` for hosts that users choose.
    pub(super) fn new(
        limit: Duration,
        tls: ClientConfig,
        lookup: Arc<dyn Lookup>,
        guard: Option<Guard>,
    ) -> Self {
        let inner = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(Tcp::new(limit, lookup, guard));
        Self { inner, limit }
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Connecting<Stream>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.inner.call(uri);
        let limit = self.limit;
        Box::pin(async move {
            timeout(limit, connecting).await.unwrap_or_else(|_| {
                let reason = format!("no connection within {} s", limit.as_secs_f64());
                Err(io::Error::new(io::ErrorKind::TimedOut, reason).into())
            })
        })
    }
}

/// Connects to hosts, before any TLS.
#[derive(Clone, Debug)]
struct Tcp {
    plain: HttpConnector<GuardedLookup>,
    secured: HttpConnector<GuardedLookup>,
    guard: Option<Guard>,
}

impl Tcp {
    fn new(limit: Duration, lookup: Arc<dyn Lookup>, guard: Option<Guard>) -> Self {
        let connector = |plain| {
            let lookup = GuardedLookup::new(Arc::clone(&lookup), guard.clone(), plain);
            let mut tcp = HttpConnector::new_with_resolver(lookup);
            tcp.set_nodelay(true);
            // Shares the time among the addresses of a host, so that a dead one does
            // not use it up. It knows nothing of name lookup and TLS: see `Connector`.
            tcp.set_connect_timeout(Some(limit));
            tcp.enforce_http(false);
            tcp
        };
        Self {
            plain: connector(true),
            secured: connector(false),
            guard,
        }
    }
}

impl Service<Uri> for Tcp {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Connecting<TokioIo<TcpStream>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // Neither connector is ever not ready, nor is a lookup.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let plain = is_plain(&uri).unwrap_or(false);
        let guard = self.guard.clone();
        // An address in the URL is not looked up, so it is checked here.
        if let Some(Err(forbidden)) = guard.as_ref().map(|guard| guard.check(&uri)) {
            return Box::pin(async move { Err(forbidden.into()) });
        }
        let connecting = if plain {
            self.plain.call(uri)
        } else {
            self.secured.call(uri)
        };
        Box::pin(async move {
            let stream = connecting.await?;
            // The last word has the connection itself.
            if let Some(guard) = guard
                && !guard.admits(stream.inner().peer_addr()?.ip(), plain)
            {
                return Err(Forbidden::Address.into());
            }
            Ok(stream)
        })
    }
}
