//! A Slack that notes when each message comes. A message says its number as `#123`.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::LocalSet,
};

use super::{http::Wire, runtime};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 46\r\n\r\n{\"ok\":true,\"channel\":\"C1\",\"ts\":\"1.000100\"    }";
/// How long to wait for the last message.
const PATIENCE: Duration = Duration::from_secs(60);

/// Listens until this program ends.
pub(crate) struct Receiver {
    address: SocketAddr,
    came: Arc<Mutex<Vec<Option<Instant>>>>,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("an address");
        let came = Arc::new(Mutex::new(Vec::new()));
        let noted = came.clone();
        thread::Builder::new()
            .name("receives".into())
            .spawn(move || {
                let all = LocalSet::new();
                runtime().block_on(all.run_until(async move {
                    let listener = TcpListener::from_std(listener).expect("a socket");
                    while let Ok((stream, _)) = listener.accept().await {
                        tokio::task::spawn_local(receive(stream, noted.clone()));
                    }
                }));
            })
            .expect("a thread");
        Self { address, came }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Forgets what came, and makes room for so many.
    pub(crate) fn expect(&self, count: usize) {
        *self.lock() = vec![None; count];
    }

    /// Waits for all that are expected; answers when each came, `None` for those that did
    /// not.
    pub(crate) fn all(&self) -> Vec<Option<Instant>> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE && self.lock().iter().any(Option::is_none) {
            thread::sleep(Duration::from_millis(20));
        }
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Option<Instant>>> {
        self.came.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn receive(stream: TcpStream, came: Arc<Mutex<Vec<Option<Instant>>>>) {
    let mut wire = Wire::new(stream);
    while let Ok(Some(found)) = wire.receive().await {
        let now = Instant::now();
        if let Some(number) = number_in(wire.body(&found)) {
            let mut came = came.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(first) = came.get_mut(number) {
                first.get_or_insert(now);
            }
        }
        wire.done(found);
        if wire.send(ANSWER).await.is_err() {
            return;
        }
    }
}

fn number_in(body: &[u8]) -> Option<usize> {
    let place = body.iter().position(|byte| *byte == b'#')?;
    body[place + 1..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(None, |number: Option<usize>, digit| {
            Some(number.unwrap_or(0) * 10 + usize::from(digit - b'0'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_message_is_found_in_its_text() {
        assert_eq!(
            number_in(b"{\"text\":\"[normal] alert #1207 of many\"}"),
            Some(1207)
        );
        assert_eq!(number_in(b"{\"text\":\"no number #\"}"), None);
    }

    #[test]
    fn the_answer_is_as_long_as_it_says() {
        let text = std::str::from_utf8(ANSWER).unwrap();
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(body.len(), 46);
    }
}
