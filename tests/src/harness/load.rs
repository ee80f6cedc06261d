//! Load: connections that post alerts and write down what was answered.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use serde_json::json;
use uuid::Uuid;

use super::Connection;

/// An alert to be posted.
#[derive(Clone, Debug)]
pub struct Alert {
    /// Whom it concerns.
    pub targets: Vec<String>,
    /// `high`, `normal` or `low`.
    pub severity: &'static str,
    /// Its text.
    pub message: String,
}

impl Alert {
    /// What its reader sees.
    pub fn text(&self) -> String {
        format!("[{}] {}", self.severity, self.message)
    }

    /// The body that posts it.
    pub fn body(&self) -> String {
        json!({ "target": self.targets, "severity": self.severity, "message": self.message })
            .to_string()
    }
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 200.
    Accepted {
        /// The alert's id.
        id: Uuid,
        /// Whom it concerns, counted by the server.
        user_count: u64,
    },
    /// Anything else.
    Refused {
        /// The status code.
        status: u16,
        /// The envelope's `errorCode`.
        code: String,
        /// The header `Retry-After`, in seconds.
        retry_after: Option<u64>,
    },
    /// The connection broke.
    Unanswered,
}

/// An alert and what was answered.
#[derive(Clone, Debug)]
pub struct Posted {
    /// The alert.
    pub alert: Alert,
    /// The answer.
    pub outcome: Outcome,
}

/// Posts one alert.
pub fn post(connection: &mut Connection, alert: &Alert) -> Outcome {
    post_with(connection, alert, &[])
}

/// Posts one alert with these headers.
pub fn post_with(connection: &mut Connection, alert: &Alert, headers: &[(&str, &str)]) -> Outcome {
    let body = alert.body();
    let Ok(answer) = connection.request("POST", "/v1/alerts", headers, body.as_bytes()) else {
        return Outcome::Unanswered;
    };
    let json = answer.json();
    if answer.status != 200 {
        return Outcome::Refused {
            status: answer.status,
            code: json["errorCode"].as_str().unwrap_or_default().into(),
            retry_after: answer
                .header("retry-after")
                .and_then(|value| value.parse().ok()),
        };
    }
    let data = &json["data"];
    Outcome::Accepted {
        id: data["alertId"]
            .as_str()
            .and_then(|id| id.parse().ok())
            .expect("a 200 has an alertId"),
        user_count: data["userCount"].as_u64().expect("a 200 has a userCount"),
    }
}

/// Connections that post, each on a thread of its own.
#[derive(Debug)]
pub struct Load {
    threads: Vec<JoinHandle<Vec<Posted>>>,
    stop: Arc<AtomicBool>,
}

impl Load {
    /// Starts so many connections. Each asks `next`, with its number and a count
    /// from 0, for its next alert, and ends when there is none, when its
    /// connection breaks or when it is stopped.
    pub fn start(
        address: SocketAddr,
        connections: usize,
        next: impl Fn(usize, usize) -> Option<Alert> + Send + Sync + 'static,
    ) -> Self {
        let next = Arc::new(next);
        let stop = Arc::new(AtomicBool::new(false));
        let run = |number| {
            let (next, stop) = (next.clone(), stop.clone());
            thread::spawn(move || run(address, &stop, |count| next(number, count)))
        };
        Self {
            threads: (0..connections).map(run).collect(),
            stop,
        }
    }

    /// Asks the connections to end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Waits for their end; gives all that was posted.
    pub fn join(self) -> Vec<Posted> {
        let posted = self
            .threads
            .into_iter()
            .map(|thread| thread.join().expect("a connection"));
        posted.flatten().collect()
    }
}

fn run(
    address: SocketAddr,
    stop: &AtomicBool,
    next: impl Fn(usize) -> Option<Alert>,
) -> Vec<Posted> {
    let mut all = Vec::new();
    let Ok(mut connection) = Connection::open(address) else {
        return all;
    };
    for count in 0.. {
        let Some(alert) = next(count).filter(|_| !stop.load(Ordering::Relaxed)) else {
            break;
        };
        let outcome = post(&mut connection, &alert);
        let is_broken = outcome == Outcome::Unanswered;
        all.push(Posted { alert, outcome });
        if is_broken {
            break;
        }
    }
    all
}
