//! Fetching what lanes have parked, many lanes at a time: what is asked for while one
//! reading is under way shares the next. So each alert is opened once for all of them,
//! which matters where one went to everybody.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::{DestinationId, Severity};
use consumer::{
    domain::{Lease, Position},
    ports::QueueError,
};
use tokio::sync::oneshot;

use super::{
    Reader,
    readings::{Readings, broken_off},
};

/// Parked deliveries of one lane and severity, asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) destination: DestinationId,
    pub(crate) severity: Severity,
    /// Only those after this one.
    pub(crate) after: Option<Position>,
    /// At most so many.
    pub(crate) room: usize,
}

type Reply = oneshot::Sender<Result<Vec<Lease>, QueueError>>;

/// The requests that wait for the next reading.
#[derive(Default)]
pub(crate) struct Unparking {
    requests: Mutex<Requests>,
}

#[derive(Default)]
struct Requests {
    waiting: Vec<(Wanted, Reply)>,
    is_reading: bool,
}

impl Requests {
    /// Adds one; answers whether somebody has to begin reading.
    fn add(&mut self, wanted: Wanted, reply: Reply) -> bool {
        self.waiting.push((wanted, reply));
        !std::mem::replace(&mut self.is_reading, true)
    }
}

impl Unparking {
    /// Waits for its turn, and answers.
    pub(crate) async fn unpark(
        self: &Arc<Self>,
        readings: &Readings,
        wanted: Wanted,
    ) -> Result<Vec<Lease>, QueueError> {
        let (reply, answer) = oneshot::channel();
        if self.lock().add(wanted, reply) {
            let reading = Reading(Arc::clone(self));
            // Goes on though this call is dropped: others wait for it too.
            readings.begin(move |reader| reading.run(reader));
        }
        answer.await.map_err(|_| broken_off())?
    }

    fn lock(&self) -> MutexGuard<'_, Requests> {
        // The state is whole between any two statements that could panic.
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever reads for all. However it ends, the next request begins anew.
struct Reading(Arc<Unparking>);

impl Reading {
    fn run(self, reader: &Reader) {
        loop {
            let waiting = {
                let mut requests = self.0.lock();
                if requests.waiting.is_empty() {
                    requests.is_reading = false;
                    return;
                }
                std::mem::take(&mut requests.waiting)
            };
            let (wanted, replies): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
            let read = reader.unpark(&wanted);
            let answers: Vec<_> = match read {
                Ok(answers) => answers.into_iter().map(Ok).collect(),
                Err(error) => {
                    let failed = || Err(QueueError::Failed(error.to_string()));
                    replies.iter().map(|_| failed()).collect()
                }
            };
            for (reply, answer) in replies.into_iter().zip(answers) {
                // Who no longer waits has no use for it.
                let _ = reply.send(answer);
            }
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut requests = self.0.lock();
            requests.is_reading = false;
            // They are told that it failed, and ask again.
            requests.waiting.clear();
        }
    }
}
