//! Connections and paths.
//!
//! hyper without a framework: the mockup has a dozen routes, and answering must
//! cost it less than it costs the client to ask.

use std::io::ErrorKind;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::http::{self, Answer, Closed};
use crate::reception::Reception;
use crate::{control, hooks, slack};

/// How long requests under way may take after the shutdown.
const GRACE: Duration = Duration::from_secs(2);

/// How long accepting pauses when the system refuses, most likely for want of
/// file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `shutdown`, then until the last connection is closed.
pub(crate) async fn serve(
    reception: Arc<Reception>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) {
    let closing = watch::Sender::new(());
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let reception = Arc::clone(&reception);
                    tokio::spawn(connection(stream, reception, closing.subscribe()));
                }
                // The client was gone before it was accepted.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    drop(listener);
    closing.send_replace(());
    closing.closed().await;
}

async fn connection(
    stream: TcpStream,
    reception: Arc<Reception>,
    mut closing: watch::Receiver<()>,
) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(move |request| route(Arc::clone(&reception), request));
    let mut connection =
        pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    // How a connection ends is the client's affair: what matters is recorded
    // with the message.
    tokio::select! {
        _ = &mut connection => {}
        _ = closing.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(GRACE, connection).await;
        }
    }
}

/// Finds the handler. An error closes the connection unanswered.
async fn route(reception: Arc<Reception>, request: Request<Incoming>) -> Result<Answer, Closed> {
    let reads = request.method() == Method::GET;
    let writes = request.method() == Method::POST;
    match request.uri().path() {
        "/api/chat.postMessage" if writes => slack::post_message(&reception, request).await,
        "/api/auth.test" if reads || writes => slack::auth_test(&reception, request).await,
        "/api/api.test" if reads || writes => slack::api_test(&reception, request).await,
        "/api/chat.postMessage" => Ok(http::method_not_allowed("POST")),
        "/api/auth.test" | "/api/api.test" => Ok(http::method_not_allowed("GET, POST")),
        path if path.starts_with("/api/") => Ok(slack::unknown_method()),
        "/health/live" | "/health/ready" if reads => Ok(http::no_content()),
        "/health/live" | "/health/ready" => Ok(http::method_not_allowed("GET")),
        path if path.starts_with(HOOKS) => hook(&reception, request).await,
        path if path.starts_with("/_mock/") => control(&reception, request).await,
        _ => Ok(unknown_path()),
    }
}

/// Where the receivers of webhooks are.
const HOOKS: &str = "/_mock/hooks/";

async fn hook(reception: &Arc<Reception>, request: Request<Incoming>) -> Result<Answer, Closed> {
    let name = request.uri().path().trim_start_matches(HOOKS).to_owned();
    match request.method().as_str() {
        _ if name.is_empty() || name.contains('/') => Ok(unknown_path()),
        "POST" => hooks::receive(reception, &name, request).await,
        "PUT" => hooks::put_secret(reception, &name, request).await,
        "DELETE" => Ok(hooks::forget_secret(reception, &name)),
        _ => Ok(http::method_not_allowed("POST, PUT, DELETE")),
    }
}

async fn control(reception: &Reception, request: Request<Incoming>) -> Result<Answer, Closed> {
    let path = request.uri().path();
    Ok(match (path, request.method().as_str()) {
        ("/_mock/stats", "GET") => control::stats(reception),
        ("/_mock/stats", _) => http::method_not_allowed("GET"),
        ("/_mock/messages", "GET") => control::messages(reception, request.uri().query()),
        ("/_mock/messages", "DELETE") => control::forget_messages(reception),
        ("/_mock/messages", _) => http::method_not_allowed("GET, DELETE"),
        ("/_mock/refusals", "GET") => control::refusals(reception, request.uri().query()),
        ("/_mock/refusals", _) => http::method_not_allowed("GET"),
        ("/_mock/faults", "GET") => control::faults(reception),
        ("/_mock/faults", "PUT") => control::put_faults(reception, request).await?,
        ("/_mock/faults", "DELETE") => control::clear_faults(reception),
        ("/_mock/faults", _) => http::method_not_allowed("GET, PUT, DELETE"),
        _ => unknown_path(),
    })
}

fn unknown_path() -> Answer {
    http::problem(
        StatusCode::NOT_FOUND,
        "The mockup has POST /api/chat.postMessage, /api/auth.test, /api/api.test, \
         /health/ready, /_mock/hooks/{name}, \
         /_mock/stats, /_mock/messages, /_mock/refusals and /_mock/faults.",
    )
}
