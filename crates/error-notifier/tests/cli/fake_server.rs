//! A server on loopback that gives prepared answers and keeps what it was asked.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use serde_json::{Value, json};

/// One request as it came.
#[derive(Debug)]
pub(crate) struct Request {
    /// `GET /v1/users?limit=1000`
    pub(crate) line: String,
    /// By name in lower case.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.headers["content-type"], "application/json");
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A prepared answer: the bytes as they go out.
pub(crate) struct Answer(Vec<u8>);

impl Answer {
    /// The envelope around `data`.
    pub(crate) fn data(data: Value) -> Self {
        Self::envelope(
            200,
            json!({ "httpCode": 200, "httpMessage": "OK", "data": data }),
        )
    }

    /// A page of a list, the last one.
    pub(crate) fn items(items: Value) -> Self {
        Self::data(json!({ "items": items, "nextCursor": null }))
    }

    /// A refusal with its reason.
    pub(crate) fn refusal(status: u16, reason: &str) -> Self {
        Self::envelope(
            status,
            json!({ "httpCode": status, "httpMessage": "No", "moreInformation": reason }),
        )
    }

    pub(crate) fn envelope(status: u16, envelope: Value) -> Self {
        Self::body(status, "application/json", envelope.to_string().as_bytes())
    }

    pub(crate) fn no_content() -> Self {
        Self(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_vec())
    }

    pub(crate) fn body(status: u16, content_type: &str, body: &[u8]) -> Self {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} Fake\r\nconnection: close\r\ncontent-type: {content_type}\r\n\
             x-global-transaction-id: fake-gtid\r\ncontent-length: {length}\r\n\r\n"
        );
        Self([head.as_bytes(), body].concat())
    }

    /// An answer whose connection ends before its last `missing` bytes.
    pub(crate) fn cut_short(mut self, missing: usize) -> Self {
        self.0.truncate(self.0.len() - missing);
        self
    }
}

/// A running fake; it answers as many requests as it has answers.
pub(crate) struct FakeServer {
    pub(crate) url: String,
    serving: JoinHandle<Vec<Request>>,
}

impl FakeServer {
    pub(crate) fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = std::thread::spawn(move || {
            let answer = |answer: Answer| {
                let (mut stream, _) = listener.accept().unwrap();
                let request = read_request(&stream);
                stream.write_all(&answer.0).unwrap();
                request
            };
            answers.into_iter().map(answer).collect()
        });
        Self { url, serving }
    }

    /// The requests that came, in order. Waits until every answer was given.
    pub(crate) fn requests(self) -> Vec<Request> {
        self.serving.join().unwrap()
    }
}

fn read_request(stream: &TcpStream) -> Request {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let headers: HashMap<String, String> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Request {
        line: lines[0].trim_end_matches(" HTTP/1.1").to_owned(),
        headers,
        body,
    }
}
