//! A service that answers what it is told to, byte for byte.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What follows on an answer's bytes.
#[derive(Clone, Copy)]
pub(super) enum Then {
    /// The next request.
    GoOn,
    /// The end of the connection.
    Close,
    /// Nothing, for ever.
    Hang,
    /// Bytes without an end.
    Flood,
}

pub(super) struct Service {
    pub(super) url: String,
    requests: Arc<AtomicUsize>,
}

impl Service {
    /// A service that answers every request so.
    pub(super) async fn start(answer: impl Into<Vec<u8>>, then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let (answer, counted) = (answer.into(), Arc::clone(&requests));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answer.clone(), then, Arc::clone(&counted)));
            }
        });
        Self { url, requests }
    }

    /// How many requests came.
    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// An answer with these headers and that body.
pub(super) fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}").into_bytes()
}

async fn serve(mut stream: TcpStream, answer: Vec<u8>, then: Then, requests: Arc<AtomicUsize>) {
    while read(&mut stream).await {
        requests.fetch_add(1, Ordering::SeqCst);
        stream.write_all(&answer).await.unwrap();
        match then {
            Then::GoOn => {}
            Then::Close => return,
            Then::Hang => std::future::pending().await,
            Then::Flood => while stream.write_all(&[b'x'; 4096]).await.is_ok() {},
        }
    }
}

/// Reads one request; false where the other side closed.
async fn read(stream: &mut TcpStream) -> bool {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return true;
            }
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return false,
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
        }
    }
}
