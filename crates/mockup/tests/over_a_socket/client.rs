//! A mockup on a free port, and the barest HTTP client that can tell an answer
//! from a connection closed without one.

use std::net::SocketAddr;

use mockup::{Mockup, Settings};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const JSON: &str = "Content-Type: application/json\r\n";
pub(crate) const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
pub(crate) const TOKEN: &str = "Authorization: Bearer xoxb-1\r\n";

/// A running mockup.
pub(crate) struct Server {
    pub(crate) mockup: Mockup,
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

/// One connection, kept alive.
pub(crate) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(Settings::default()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mockup = Mockup::new(settings);
        let (stop, stopped) = oneshot::channel::<()>();
        // A server that is dropped stops too.
        let served = tokio::spawn(mockup.serve(listener, async { drop(stopped.await) }));
        Self {
            mockup,
            address,
            stop,
            served,
        }
    }

    /// Stops, and waits until the last connection is closed.
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.served.await.unwrap();
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection {
            stream: TcpStream::connect(self.address).await.unwrap(),
            read: Vec::new(),
        }
    }

    /// One request on a connection of its own, which must be answered.
    pub(crate) async fn ask(&self, method: &str, path: &str, head: &str, body: &str) -> Answer {
        let mut connection = self.connect().await;
        connection.send(method, path, head, body.as_bytes()).await;
        connection.answer().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, "", "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    pub(crate) async fn stats(&self) -> Value {
        self.get("/_mock/stats").await
    }

    pub(crate) async fn messages(&self) -> Vec<Value> {
        let messages = self.get("/_mock/messages").await;
        messages.as_array().unwrap().clone()
    }

    pub(crate) async fn break_with(&self, faults: Value) {
        let answer = self
            .ask("PUT", "/_mock/faults", "", &faults.to_string())
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Posts a JSON message with a token, on a connection of its own. `None`
    /// where the connection was closed unanswered.
    pub(crate) async fn post(&self, channel: &str, text: &str) -> Option<Answer> {
        let mut connection = self.connect().await;
        connection.post(channel, text).await;
        connection.answer().await
    }
}

impl Connection {
    pub(crate) async fn post(&mut self, channel: &str, text: &str) {
        let body = json!({"channel": channel, "text": text}).to_string();
        let head = format!("{JSON}{TOKEN}");
        self.send("POST", "/api/chat.postMessage", &head, body.as_bytes())
            .await;
    }

    pub(crate) async fn send(&mut self, method: &str, path: &str, head: &str, body: &[u8]) {
        let length = body.len();
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: mockup\r\n{head}Content-Length: {length}\r\n\r\n"
        )
        .into_bytes();
        request.extend_from_slice(body);
        // In one piece: a second small write would wait for a delayed ACK.
        self.write(&request).await;
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next answer, or `None` where the connection ends without a byte.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        let head_end = loop {
            if let Some(at) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if !self.read_more().await {
                assert_eq!(self.read, b"", "half an answer");
                return None;
            }
        };
        let head: Vec<u8> = self.read.drain(..head_end).collect();
        let mut answer = Answer {
            status: 0,
            head: String::from_utf8(head).unwrap(),
            body: Vec::new(),
        };
        answer.status = answer.head[9..12].parse().unwrap();
        let length = answer
            .header("content-length")
            .map_or(0, |length| length.parse().unwrap());
        while self.read.len() < length {
            assert!(self.read_more().await, "half a body");
        }
        answer.body = self.read.drain(..length).collect();
        Some(answer)
    }

    async fn read_more(&mut self) -> bool {
        self.stream.read_buf(&mut self.read).await.unwrap() > 0
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}
