//! One call, one answer, over HTTP/1.1 or HTTPS.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::envelope::Envelope;
use super::error::ClientError;
use super::token;
use crate::config::settings::ServerSettings;

/// Time to connect; a server that is there answers at once.
const CONNECT: Duration = Duration::from_secs(5);
/// An answer that is held in memory whole: larger than any page of a list.
const WHOLE_ANSWER: usize = 64 << 20;
const GTID: HeaderName = HeaderName::from_static("x-global-transaction-id");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A request to be sent.
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Path and query, already percent-encoded.
    pub(crate) path: String,
    pub(crate) content: Content,
    /// The `Idempotency-Key` header: visible ASCII.
    pub(crate) idempotency_key: Option<String>,
    /// The `Last-Event-ID` header of a stream that is gone on with.
    pub(crate) last_event_id: Option<String>,
}

/// What a request carries.
pub(crate) enum Content {
    None,
    Json(Value),
    /// JSON Lines, `application/x-ndjson`.
    Lines(Bytes),
}

impl Call {
    /// A request that carries nothing.
    pub(crate) fn bare(method: Method, path: impl Into<String>) -> Self {
        Self::with(method, path, Content::None)
    }

    /// A request that carries JSON.
    pub(crate) fn json(method: Method, path: impl Into<String>, body: Value) -> Self {
        Self::with(method, path, Content::Json(body))
    }

    /// A request that carries `content`.
    pub(crate) fn with(method: Method, path: impl Into<String>, content: Content) -> Self {
        Self {
            method,
            path: path.into(),
            content,
            idempotency_key: None,
            last_event_id: None,
        }
    }
}

/// Calls one server.
pub(crate) struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
    settings: ServerSettings,
    /// The `Authorization` header.
    authorization: Option<HeaderValue>,
}

impl Client {
    /// A client of the server that `settings` name; connects when it is used.
    pub(crate) fn new(settings: ServerSettings) -> Result<Self, ClientError> {
        let https = settings.url.as_str().starts_with("https:");
        let connector = connector(https).map_err(|error| ClientError::Unreachable {
            url: settings.url.to_string(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            authorization: token::header(&settings.token)?,
            pool: Pool::builder(TokioExecutor::new()).build(connector),
            settings,
        })
    }

    /// Sends `call` and gives the envelope's `data`, null where there is none.
    pub(crate) async fn call(&self, call: Call) -> Result<Value, ClientError> {
        let response = self.send(call).await?;
        let status = response.status();
        if status.is_success() {
            let body = self.whole(response).await?;
            if body.is_empty() {
                return Ok(Value::Null);
            }
            let envelope: Envelope =
                serde_json::from_slice(&body).map_err(|_| self.foreign(status))?;
            return Ok(envelope.data);
        }
        Err(self.refusal(response).await)
    }

    /// Sends `call` and gives the answer part by part as it comes.
    pub(crate) async fn download(&self, call: Call) -> Result<Download<'_>, ClientError> {
        let response = self.send(call).await?;
        if response.status().is_success() {
            return Ok(Download {
                client: self,
                body: response.into_body(),
            });
        }
        Err(self.refusal(response).await)
    }

    /// Where the server answers with something that this client cannot read.
    pub(crate) fn foreign(&self, status: hyper::StatusCode) -> ClientError {
        ClientError::Foreign {
            url: self.url(),
            status,
        }
    }

    async fn send(&self, call: Call) -> Result<Response<Incoming>, ClientError> {
        let request = self.request(call)?;
        let answer = tokio::time::timeout(self.settings.timeout, self.pool.request(request));
        match answer.await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) if error.is_connect() => Err(ClientError::Unreachable {
                url: self.url(),
                reason: root_cause(&error),
            }),
            Ok(Err(error)) => Err(ClientError::Broken {
                url: self.url(),
                reason: root_cause(&error),
            }),
            Err(_) => Err(self.timed_out()),
        }
    }

    fn request(&self, call: Call) -> Result<Request<Full<Bytes>>, ClientError> {
        let (content_type, body) = match call.content {
            Content::None => (None, Bytes::new()),
            Content::Json(value) => (Some("application/json"), value.to_string().into()),
            Content::Lines(lines) => (Some("application/x-ndjson"), lines),
        };
        let mut request = Request::builder()
            .method(call.method)
            .uri(format!("{}{}", self.settings.url, call.path))
            .header(
                USER_AGENT,
                concat!("error-notifier/", env!("CARGO_PKG_VERSION")),
            )
            .header(ACCEPT, HeaderValue::from_static("*/*"));
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if let Some(gtid) = &self.settings.gtid {
            request = request.header(GTID, gtid);
        }
        if let Some(key) = &call.idempotency_key {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        if let Some(id) = &call.last_event_id {
            request = request.header(LAST_EVENT_ID, id);
        }
        request
            .body(Full::new(body))
            .map_err(|error| ClientError::Unreachable {
                url: self.url(),
                reason: error.to_string(),
            })
    }

    async fn refusal(&self, response: Response<Incoming>) -> ClientError {
        let status = response.status();
        let gtid = response
            .headers()
            .get(GTID)
            .and_then(|gtid| gtid.to_str().ok())
            .filter(|_| status.is_server_error())
            .map(|gtid| format!(", GTID {gtid}"))
            .unwrap_or_default();
        let body = match self.whole(response).await {
            Ok(body) => body,
            Err(error) => return error,
        };
        match serde_json::from_slice::<Envelope>(&body) {
            Ok(envelope) => ClientError::Refused {
                reason: envelope.more_information.unwrap_or(envelope.http_message),
                status,
                gtid,
                problems: envelope.errors,
            },
            Err(_) => self.foreign(status),
        }
    }

    async fn whole(&self, response: Response<Incoming>) -> Result<Bytes, ClientError> {
        let mut download = Download {
            client: self,
            body: response.into_body(),
        };
        let mut whole = Vec::new();
        while let Some(part) = download.next().await? {
            if whole.len() + part.len() > WHOLE_ANSWER {
                return Err(ClientError::Broken {
                    url: self.url(),
                    reason: "the answer is larger than 64 MiB".to_owned(),
                });
            }
            whole.extend_from_slice(&part);
        }
        Ok(whole.into())
    }

    fn timed_out(&self) -> ClientError {
        ClientError::TimedOut {
            url: self.url(),
            waited: self.settings.timeout,
        }
    }

    fn url(&self) -> String {
        self.settings.url.to_string()
    }
}

/// An answer on its way.
pub(crate) struct Download<'a> {
    client: &'a Client,
    body: Incoming,
}

impl Download<'_> {
    /// The next part; `None` once the answer came whole.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            let frame = tokio::time::timeout(self.client.settings.timeout, self.body.frame());
            match frame.await {
                Ok(Some(Ok(frame))) => {
                    // Trailers carry nothing here.
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Ok(Some(Err(error))) => {
                    return Err(ClientError::Broken {
                        url: self.client.url(),
                        reason: root_cause(&error),
                    });
                }
                Ok(None) => return Ok(None),
                Err(_) => return Err(self.client.timed_out()),
            }
        }
    }
}

/// TLS by the system's roots, or by webpki's where the system has none.
/// Reading the system's takes a while, so that it is done for HTTPS alone.
fn connector(https: bool) -> Result<HttpsConnector<HttpConnector>, rustls::Error> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_connect_timeout(Some(CONNECT));
    let provider = rustls::crypto::aws_lc_rs::default_provider;
    let system =
        https.then(|| HttpsConnectorBuilder::new().with_provider_and_native_roots(provider()));
    let builder = match system {
        Some(Ok(builder)) => builder,
        Some(Err(_)) | None => {
            HttpsConnectorBuilder::new().with_provider_and_webpki_roots(provider())?
        }
    };
    Ok(builder.https_or_http().enable_http1().wrap_connector(http))
}

/// The innermost reason, which is the one that tells what to do.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
