//! As much of HTTP/1.1 as the two ends need: requests that are made once, and messages of a
//! known length.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The bytes of a request that posts `body` as JSON.
pub(crate) fn post_request(path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAuthorization: Bearer xoxb-bench\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A connection, with what was read of it and not used yet.
pub(super) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// Where a message stands in the buffer: its head up to `head`, its body up to `end`.
pub(super) struct Found {
    head: usize,
    end: usize,
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Self {
        // Whoever posts has nothing to gain by waiting; an error means a slower figure.
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            buffer: Vec::with_capacity(4096),
        }
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Sends a request and waits for its answer: whether that is 2xx. `None` where there
    /// was none.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> Option<bool> {
        self.send(request).await.ok()?;
        let found = self.receive().await.ok()??;
        let is_accepted = self.buffer.starts_with(b"HTTP/1.1 2");
        self.done(found);
        Some(is_accepted)
    }

    /// Waits for a whole message; `None` where the other end has hung up before one began.
    pub(super) async fn receive(&mut self) -> io::Result<Option<Found>> {
        loop {
            if let Some(found) = find(&self.buffer)? {
                return Ok(Some(found));
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return match self.buffer.is_empty() {
                    true => Ok(None),
                    false => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
        }
    }

    /// The body of a message found.
    pub(super) fn body(&self, found: &Found) -> &[u8] {
        &self.buffer[found.head..found.end]
    }

    /// Goes on to the next one.
    pub(super) fn done(&mut self, found: Found) {
        self.buffer.drain(..found.end);
    }
}

fn find(buffer: &[u8]) -> io::Result<Option<Found>> {
    let Some(place) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = place + 4;
    let length = content_length(&buffer[..head])
        .ok_or_else(|| io::Error::other("a message does not say how long it is"))?;
    let end = head + length;
    Ok((buffer.len() >= end).then_some(Found { head, end }))
}

fn content_length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    let lines = head.split(|byte| *byte == b'\n');
    let value = lines
        .filter(|line| line.len() > NAME.len())
        .find(|line| line[..NAME.len()].eq_ignore_ascii_case(NAME))
        .map(|line| &line[NAME.len()..])?;
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_found_once_all_of_it_is_there() {
        let whole = b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 5\r\n\r\nhello";
        assert!(find(&whole[..20]).unwrap().is_none());
        assert!(find(&whole[..whole.len() - 1]).unwrap().is_none());
        let found = find(whole).unwrap().unwrap();
        assert_eq!(&whole[found.head..found.end], b"hello");
    }

    #[test]
    fn a_message_of_unknown_length_is_an_error() {
        assert!(find(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
