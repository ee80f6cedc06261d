//! Requests that are sent twice each at once, while the server is killed again and
//! again: each is one alert, and both twins have the same answer.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, sleep},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::harness::{
    Alert, Connection, Database, Directory, LONG, Mockup, Scratch, Server, ServerOptions, wait_for,
};

/// Twins that are sent at once.
const PAIRS: usize = 16;
const USERS: usize = 8;
/// How long after the moment that is due a process is killed, in microseconds.
const KILLED_WITHIN_US: std::ops::Range<u64> = 0..20_000;

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Twins {
    /// Processes killed.
    pub kills: usize,
    /// Requests with a key of their own, each sent twice at once.
    pub requests: usize,
    /// Answers that said they were another's.
    pub replayed: usize,
    /// Alerts in the store.
    pub stored: usize,
    /// What must not be, in words.
    pub violations: Vec<String>,
}

impl fmt::Display for Twins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} requests sent twice each, {} kills: {} alerts, {} answers of a twin, {} violations",
            self.requests,
            self.kills,
            self.stored,
            self.replayed,
            self.violations.len()
        )
    }
}

/// An answer with status 200.
struct Answered {
    request: usize,
    alert: String,
    is_replayed: bool,
}

/// Sends that many requests twice each, at once, each until it is answered, and kills
/// the server `kills` times meanwhile.
pub fn twins(seed: u64, requests: usize, kills: usize) -> Twins {
    let mut rng = StdRng::seed_from_u64(seed);
    let scratch = Scratch::new("twins");
    let mockup = Mockup::start(&scratch);
    let options = ServerOptions::new(&scratch.join("data"), &mockup).with("--log-level", "warn");
    let mut server = options.start();
    Directory::of_users(USERS).import(&server);

    let answered = Arc::new(AtomicUsize::new(0));
    let senders = senders(server.address(), requests, &answered);
    for kill in 1..=kills {
        let due = 2 * requests * kill / (kills + 1);
        wait_for("answers", LONG * 10, || {
            (answered.load(Ordering::Relaxed) >= due).then_some(())
        });
        // The moment itself: nothing is waited for here.
        sleep(Duration::from_micros(rng.random_range(KILLED_WITHIN_US)));
        server.process.kill();
        server = options.start();
    }
    let answers = senders
        .into_iter()
        .flat_map(|sender| sender.join().expect("a sender"));
    let answers: Vec<_> = answers.collect();
    server.drain(LONG);
    let mut twins = judge(&server, requests, &answers);
    twins.kills = kills;
    let arrived: BTreeMap<_, _> = mockup
        .messages()
        .into_iter()
        .map(|it| (it.text, ()))
        .collect();
    if arrived.len() != requests {
        let violation = format!("{} of {requests} alerts arrived", arrived.len());
        twins.violations.push(violation);
    }
    server.stop();
    twins
}

fn senders(
    address: SocketAddr,
    requests: usize,
    answered: &Arc<AtomicUsize>,
) -> Vec<thread::JoinHandle<Vec<Answered>>> {
    let pairs = (0..PAIRS).map(|_| Arc::new(Barrier::new(2)));
    let pairs = pairs.enumerate().flat_map(|(pair, start)| {
        [false, true].map(|_| {
            let (start, answered) = (start.clone(), answered.clone());
            thread::spawn(move || {
                let mut connection = None;
                let mine = (pair..requests).step_by(PAIRS);
                mine.map(|request| {
                    start.wait();
                    let answer = send(address, &mut connection, request);
                    answered.fetch_add(1, Ordering::Relaxed);
                    answer
                })
                .collect()
            })
        })
    });
    pairs.collect()
}

/// Sends a request until it is answered 200.
fn send(address: SocketAddr, connection: &mut Option<Connection>, request: usize) -> Answered {
    let alert = Alert {
        targets: vec![format!("@user{}", request % USERS + 1)],
        severity: "normal",
        message: format!("request {request}"),
    };
    let key = format!("key-{request}");
    wait_for("an answer with status 200", LONG, || {
        let open = match connection.take() {
            Some(open) => Ok(open),
            None => Connection::open(address),
        };
        let mut open = open.ok()?;
        let headers = [("Idempotency-Key", key.as_str())];
        let answer = open.request("POST", "/v1/alerts", &headers, alert.body().as_bytes());
        let answer = answer.ok()?;
        *connection = Some(open);
        // While the process ends or its disk fails it says 503.
        assert!(
            [200, 503].contains(&answer.status),
            "request {request}: {}",
            answer.text()
        );
        (answer.status == 200).then(|| Answered {
            request,
            alert: answer.json()["data"]["alertId"].to_string(),
            is_replayed: answer.header("idempotency-replayed") == Some("true"),
        })
    })
}

/// Compares what was answered with what is stored.
fn judge(server: &Server, requests: usize, answers: &[Answered]) -> Twins {
    let stored = Database::live(server.options.data()).alerts_after(0);
    let mut twins = Twins {
        requests,
        stored: stored.len(),
        replayed: answers.iter().filter(|one| one.is_replayed).count(),
        ..Twins::default()
    };
    if stored.len() != requests {
        let violation = format!("{} alerts of {requests} requests", stored.len());
        twins.violations.push(violation);
    }
    let mut ids: HashMap<String, String> = HashMap::new();
    for alert in stored {
        let id = format!("\"{}\"", alert.id);
        if ids.insert(alert.text.clone(), id).is_some() {
            twins
                .violations
                .push(format!("{:?} is stored twice", alert.text));
        }
    }
    for answer in answers {
        let stored = ids.get(&format!("[normal] request {}", answer.request));
        if stored != Some(&answer.alert) {
            twins.violations.push(format!(
                "request {} was answered {} and is stored as {stored:?}",
                answer.request, answer.alert
            ));
        }
    }
    twins
}
