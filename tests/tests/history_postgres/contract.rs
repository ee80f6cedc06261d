//! The behaviours of the history's and the control's ports.

use std::sync::Arc;

use async_trait::async_trait;
use postgres::{Postgres, PostgresHistory};
use producer::application::RemoteControl;
use tests::{
    contract::{
        ManualClock,
        history::{HistoryPorts, HistoryUnderTest},
        queue::QueuePorts,
    },
    model_queue::{ModelQueue, Run},
};
use tokio::{sync::Mutex, task::JoinHandle};

use crate::site::{connect, database, record};

/// A producer that records whatever its queue tells, as soon as it does.
struct Producer {
    url: String,
    clock: Arc<ManualClock>,
    queue: Arc<ModelQueue>,
    run: Arc<Run>,
    store: Postgres,
    recorder: Arc<Recorder>,
    recording: JoinHandle<()>,
}

struct Recorder {
    queue: Arc<ModelQueue>,
    history: Arc<PostgresHistory>,
    turn: Mutex<()>,
}

impl Recorder {
    async fn catch_up(&self) {
        let _turn = self.turn.lock().await;
        record(&*self.history, self.queue.new_records()).await;
    }
}

impl Producer {
    async fn start(url: String, clock: Arc<ManualClock>, queue: Arc<ModelQueue>) -> Self {
        let store = connect(&url, &clock).await;
        let recorder = Arc::new(Recorder {
            queue: queue.clone(),
            history: store.history.clone(),
            turn: Mutex::default(),
        });
        let recording = tokio::spawn({
            let recorder = recorder.clone();
            let mut news = queue.news();
            async move {
                while news.changed().await.is_ok() {
                    recorder.catch_up().await;
                }
            }
        });
        Self {
            run: Run::start(queue.clone()),
            url,
            clock,
            queue,
            store,
            recorder,
            recording,
        }
    }
}

#[async_trait]
impl HistoryUnderTest for Producer {
    async fn open(clock: Arc<ManualClock>) -> Self {
        let queue = ModelQueue::new(clock.clone());
        Self::start(database(), clock, queue).await
    }

    async fn restart(self) -> Self {
        // A batch under way is not lost: the queue model knows of no offsets that were
        // not committed.
        self.caught_up().await;
        self.recording.abort();
        self.store.close();
        Self::start(self.url, self.clock, self.queue).await
    }

    fn ports(&self) -> HistoryPorts {
        let control = RemoteControl::new(
            self.store.history.clone(),
            self.queue.clone(),
            self.store.directory.clone(),
            self.clock.clone(),
        );
        HistoryPorts {
            queue: QueuePorts {
                alerts: self.run.clone(),
                deliveries: self.run.clone(),
                directory: self.store.directory.clone(),
            },
            history: self.store.history.clone(),
            control: Arc::new(control),
        }
    }

    async fn caught_up(&self) {
        self.recorder.catch_up().await;
    }

    const TELLS_OF_REQUESTS: bool = false;
}

mod history {
    tests::history_contract!(super::Producer);
}
