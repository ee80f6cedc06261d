//! A history on a database of its own, and the queue that it is made of.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use common::AlertId;
use postgres::{Postgres, Settings};
use producer::ports::{AlertDetail, Batch, History, HistoryWriter, RecordError};
use tests::{
    contract::ManualClock,
    model_queue::{ModelQueue, Run},
    services,
};

/// A new database on the server that the tests of this program share.
pub(crate) fn database() -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::SeqCst);
    services::Postgres::shared().create_database(&format!("history_{number}"))
}

/// A producer's connection to a database.
pub(crate) async fn connect(url: &str, clock: &Arc<ManualClock>) -> Postgres {
    patient(url, clock, Duration::ZERO).await
}

/// One that waits so long for what is about to be recorded.
pub(crate) async fn patient(url: &str, clock: &Arc<ManualClock>, patience: Duration) -> Postgres {
    let settings = Settings {
        patience,
        ..Settings::new(url.parse().unwrap(), services::secret_key())
    };
    Postgres::connect(settings, clock.clone()).await.unwrap()
}

/// Records a batch, as often as it takes while the database does not answer in time.
pub(crate) async fn record(history: &dyn HistoryWriter, batch: Batch) {
    while let Err(error) = history.record(batch.clone()).await {
        assert!(matches!(error, RecordError::Unavailable(_)), "{error}");
    }
}

/// A queue, and a producer that records what it tells.
pub(crate) struct Site {
    pub(crate) url: String,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) queue: Arc<ModelQueue>,
    pub(crate) run: Arc<Run>,
    pub(crate) store: Postgres,
}

impl Site {
    pub(crate) async fn new() -> Self {
        let url = database();
        let clock = Arc::new(ManualClock::default());
        let queue = ModelQueue::new(clock.clone());
        Self {
            run: Run::start(queue.clone()),
            store: connect(&url, &clock).await,
            url,
            clock,
            queue,
        }
    }

    pub(crate) async fn record(&self, batch: Batch) {
        record(&*self.store.history, batch).await;
    }

    pub(crate) async fn record_new(&self) {
        self.record(self.queue.new_records()).await;
    }

    pub(crate) async fn detail(&self, alert: AlertId) -> Option<AlertDetail> {
        self.store.history.alert(alert, 0, 1_000).await.unwrap()
    }

    /// The rows of a query in the database, columns parted by `|`.
    pub(crate) fn sql(&self, sql: &str) -> String {
        let name = self.url.rsplit('/').next().unwrap();
        services::Postgres::shared().sql(name, sql)
    }
}
