//! The thread that reads the queue from disk.
//!
//! One thread of its own, not the runtime's pool of them: the system's allocator keeps
//! for each thread what its largest reading took, and one reading follows another on
//! whichever thread of a pool is free, until each of them has had its largest. With a
//! million waiting that was 20 MB.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{Receiver, Sender, channel},
    thread::JoinHandle,
};

use consumer::ports::QueueError;
use tokio::sync::oneshot;

use super::Reader;
use crate::OpenError;

type Job = Box<dyn FnOnce(&Reader) + Send>;

/// The way to the thread. It ends, and its connection closes, when this is dropped.
pub(crate) struct Readings {
    /// `None` once it is being dropped.
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Readings {
    /// Starts the thread.
    pub(crate) fn start(reader: Reader) -> Result<Self, OpenError> {
        let (jobs, waiting) = channel();
        let thread = std::thread::Builder::new()
            .name("sqlite-reader".into())
            .spawn(move || run(&reader, &waiting))
            .map_err(|error| {
                OpenError::Damaged(format!("the reader's thread cannot start: {error}"))
            })?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Does it once what was asked for before is done, whether or not anybody waits.
    pub(crate) fn begin(&self, job: impl FnOnce(&Reader) + Send + 'static) {
        if let Some(jobs) = &self.jobs {
            // The thread outlives this.
            let _ = jobs.send(Box::new(job));
        }
    }

    /// Runs `read` and gives what it found.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, QueueError> {
        let (reply, answer) = oneshot::channel();
        self.begin(move |reader| {
            // Who no longer waits has no use for it.
            let _ = reply.send(read(reader));
        });
        match answer.await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => Err(QueueError::Failed(error.to_string())),
            Err(_) => Err(broken_off()),
        }
    }
}

impl Drop for Readings {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // Its panics are caught one by one.
            let _ = thread.join();
        }
    }
}

/// What whoever waits for a reading that panicked is told.
pub(super) fn broken_off() -> QueueError {
    QueueError::Failed("reading was broken off".into())
}

fn run(reader: &Reader, jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        // The panic hook has told of it, and dropping the job tells who waits.
        let _ = catch_unwind(AssertUnwindSafe(|| job(reader)));
    }
}
