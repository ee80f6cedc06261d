//! Somebody with an API token.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use serde_json::{Value, json};
use tests::{
    harness::{Connection, LONG},
    search::Search,
};

/// Makes requests, and keeps all that comes back.
pub(crate) struct Caller {
    address: SocketAddr,
    token: String,
    pub(crate) shown: Vec<(String, Vec<u8>)>,
}

impl Caller {
    /// Makes a token of its own, by an API that is open still.
    pub(crate) fn of(address: SocketAddr, search: &mut Search) -> Self {
        let mut caller = Self {
            address,
            token: String::new(),
            shown: Vec::new(),
        };
        let body = json!({"name": "canary", "scopes": ["admin"]}).to_string();
        let (status, answer) = caller.send("POST", "/v1/tokens", &[], body.as_bytes());
        assert_eq!(status, 201);
        // The one answer that holds a secret: it is shown once.
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let token = answer["data"]["token"].as_str().unwrap().to_owned();
        search.made_elsewhere("the API token", token.strip_prefix("en_").unwrap());
        caller.token = token;
        caller.shown.clear();
        caller
    }

    /// The same at another process that takes the token.
    pub(crate) fn at(&self, address: SocketAddr) -> Self {
        Self {
            address,
            token: self.token.clone(),
            shown: Vec::new(),
        }
    }

    pub(crate) fn json(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let (status, answer) = self.send(method, path, &[], body.to_string().as_bytes());
        (status, serde_json::from_slice(&answer).unwrap_or_default())
    }

    pub(crate) fn get(&mut self, path: &str) -> (u16, Value) {
        let (status, answer) = self.send("GET", path, &[], b"");
        (status, serde_json::from_slice(&answer).unwrap_or_default())
    }

    pub(crate) fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> (u16, Vec<u8>) {
        let bearer = format!("Bearer {}", self.token);
        let mut all = vec![("Connection", "close")];
        if !self.token.is_empty() && !headers.iter().any(|(name, _)| *name == "Authorization") {
            all.push(("Authorization", &bearer));
        }
        all.extend_from_slice(headers);
        let mut connection = Connection::open(self.address).unwrap();
        let answer = connection.request(method, path, &all, body).unwrap();
        let whole = [answer.head.as_bytes(), &answer.body].concat();
        self.shown
            .push((format!("the answer to {method} {path}"), whole));
        (answer.status, answer.body)
    }

    /// The stream of events from its beginning, until `last` came.
    pub(crate) fn follow(&mut self, last: &str) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let request = format!(
            "GET /v1/events HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nLast-Event-ID: 0-0\r\n\r\n",
            self.address, self.token
        );
        stream.write_all(request.as_bytes()).unwrap();
        let (mut all, mut part) = (Vec::new(), [0; 4096]);
        while !String::from_utf8_lossy(&all).contains(last) {
            let count = stream.read(&mut part).unwrap();
            assert_ne!(count, 0, "{}", String::from_utf8_lossy(&all));
            all.extend_from_slice(&part[..count]);
        }
        self.shown.push(("the events".into(), all));
    }
}
