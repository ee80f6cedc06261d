//! Clients of several producers that go on when one of them is away.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use uuid::Uuid;

use crate::harness::{Alert, Connection, LONG, Outcome, Posted, post_with, wait_for};

/// After it found nobody, or was refused, a client waits so long.
const PAUSE: Duration = Duration::from_millis(50);

/// An alert, what was answered at last, and how it came to that.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The alert and its outcome.
    pub posted: Posted,
    /// Whether it was sent once more, since the connection closed without an answer.
    pub again: bool,
    /// How long the answer took.
    pub took: Duration,
}

impl Sent {
    /// What was posted, where a refusal that says that it may have been accepted all the
    /// same is no answer.
    pub fn as_certain(&self) -> Posted {
        let outcome = match &self.posted.outcome {
            Outcome::Refused { code, .. } if code == "MAYBE_ACCEPTED" => Outcome::Unanswered,
            other => other.clone(),
        };
        Posted {
            alert: self.posted.alert.clone(),
            outcome,
        }
    }
}

/// Clients that post at a steady pace, each to one producer after the other whenever its
/// connection breaks.
#[derive(Debug)]
pub struct Clients {
    threads: Vec<JoinHandle<Vec<Sent>>>,
    stop: Arc<AtomicBool>,
}

impl Clients {
    /// Starts so many. Each asks `next`, with its number and a count from 0, for its next
    /// alert, waits for `pause` between two, and ends when there is none or it is stopped.
    /// With `keyed` each alert has a key of its own, and is sent once more, at once and to
    /// another producer, where its connection closes without an answer.
    pub fn start(
        producers: &[SocketAddr],
        clients: usize,
        pause: Duration,
        keyed: bool,
        next: impl Fn(usize, usize) -> Option<Alert> + Send + Sync + 'static,
    ) -> Self {
        let next = Arc::new(next);
        let stop = Arc::new(AtomicBool::new(false));
        let run = |number: usize| {
            let (next, stop, all) = (next.clone(), stop.clone(), producers.to_vec());
            thread::spawn(move || {
                let mut client = Client {
                    producers: all,
                    at: number,
                    connection: None,
                    keyed,
                };
                let mut sent = Vec::new();
                for count in 0.. {
                    let Some(alert) = next(number, count) else {
                        break;
                    };
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    sent.push(client.send(alert));
                    thread::sleep(pause);
                }
                sent
            })
        };
        Self {
            threads: (0..clients).map(run).collect(),
            stop,
        }
    }

    /// Asks the clients to end, and gives all that was sent.
    pub fn stop(self) -> Vec<Sent> {
        self.stop.store(true, Ordering::Relaxed);
        self.join()
    }

    /// Waits for their end; gives all that was sent.
    pub fn join(self) -> Vec<Sent> {
        let sent = self
            .threads
            .into_iter()
            .map(|thread| thread.join().expect("a client"));
        sent.flatten().collect()
    }
}

struct Client {
    producers: Vec<SocketAddr>,
    at: usize,
    connection: Option<Connection>,
    keyed: bool,
}

impl Client {
    fn send(&mut self, alert: Alert) -> Sent {
        let key = Uuid::new_v4().to_string();
        let headers = [("Idempotency-Key", key.as_str())];
        let headers: &[_] = match self.keyed {
            true => &headers,
            false => &[],
        };
        let begun = Instant::now();
        let mut outcome = self.try_once(&alert, headers);
        let again = self.keyed && outcome == Outcome::Unanswered;
        if again {
            outcome = self.try_once(&alert, headers);
        }
        let took = begun.elapsed();
        if matches!(outcome, Outcome::Refused { .. }) {
            thread::sleep(PAUSE);
        }
        Sent {
            posted: Posted { alert, outcome },
            again,
            took,
        }
    }

    fn try_once(&mut self, alert: &Alert, headers: &[(&str, &str)]) -> Outcome {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => {
                let opened = wait_for("a producer that listens", LONG, || {
                    let address = self.producers[self.at % self.producers.len()];
                    Connection::open(address)
                        .inspect_err(|_| {
                            self.at += 1;
                            thread::sleep(PAUSE);
                        })
                        .ok()
                });
                self.connection.insert(opened)
            }
        };
        let outcome = post_with(connection, alert, headers);
        if outcome == Outcome::Unanswered {
            self.connection = None;
            self.at += 1;
        }
        outcome
    }
}
