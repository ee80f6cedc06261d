//! The API over real connections.

use std::{net::SocketAddr, time::Duration};

use http_api::{BODY_TIMEOUT, LogHttp, ServerSettings, Stopped, serve};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};

use super::Api;

pub(crate) const ALERT: &str = r#"{"target":["@all"],"severity":"low","message":"m"}"#;
/// Long enough that nothing ends for it in a test.
pub(crate) const NEVER: Duration = Duration::from_secs(600);
/// Soon enough that a test does not wait long for it.
pub(crate) const SOON: Duration = Duration::from_millis(40);

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) api: Api,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) stopped: JoinHandle<Stopped>,
}

pub(crate) fn patient() -> ServerSettings {
    ServerSettings {
        max_connections: 1000,
        header_timeout: NEVER,
        idle_timeout: NEVER,
        body_grace: NEVER,
        stall_timeout: NEVER,
        drain_deadline: NEVER,
        ..ServerSettings::default()
    }
}

pub(crate) async fn start(settings: ServerSettings) -> Running {
    start_with(settings, BODY_TIMEOUT).await
}

pub(crate) async fn start_with(settings: ServerSettings, body_timeout: Duration) -> Running {
    start_api(Api::with(LogHttp::Off, body_timeout), settings).await
}

pub(crate) async fn start_api(api: Api, settings: ServerSettings) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopping) = oneshot::channel::<()>();
    let stopped = tokio::spawn(serve(listener, api.router.clone(), settings, async {
        let _ = stopping.await;
    }));
    Running {
        address,
        api,
        stop: Some(stop),
        stopped,
    }
}

impl Running {
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    pub(crate) fn begin_to_stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }
}

pub(crate) fn alert_request(body: &str) -> String {
    format!(
        "POST /v1/alerts HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Reads one answer: its head, and its body by its length.
pub(crate) async fn read_answer(stream: &mut (impl AsyncRead + Unpin)) -> (String, Value) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    let body = match length {
        0 => Value::Null,
        _ => serde_json::from_slice(&body).unwrap(),
    };
    (head, body)
}

pub(crate) async fn post(stream: &mut TcpStream, request: &str) -> (String, Value) {
    stream.write_all(request.as_bytes()).await.unwrap();
    read_answer(stream).await
}

/// Waits for the other side to end the connection; gives what it sent before.
pub(crate) async fn until_closed(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut rest = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut rest).await;
    String::from_utf8(rest).unwrap()
}
