//! How far the feed goes, as far as this process knows.

use producer::ports::{EventId, HistoryError};
use tokio::sync::watch;
use tokio_postgres::{Error, GenericClient};

const READ: &str = "SELECT feed FROM history_state";

/// The last row of the feed that this process knows of. It only grows.
#[derive(Clone)]
pub(crate) struct End(watch::Sender<u64>);

impl End {
    /// Where the feed ends in the database.
    pub(crate) async fn read(client: &impl GenericClient) -> Result<Self, Error> {
        let end = Self(watch::Sender::new(0));
        end.look(client).await?;
        Ok(end)
    }

    /// Looks where the feed ends now.
    pub(crate) async fn look(&self, client: &impl GenericClient) -> Result<(), Error> {
        let row = client.query_typed_one(READ, &[]).await?;
        self.reached(row.try_get::<_, i64>(0)?.unsigned_abs());
        Ok(())
    }

    /// Takes what NOTIFY said.
    pub(crate) fn heard(&self, word: &str) {
        if let Ok(row) = word.parse() {
            self.reached(row);
        }
    }

    /// There is a row of that id: wakes those who wait.
    pub(crate) fn reached(&self, row: u64) {
        self.0.send_if_modified(|last| {
            let is_new = row > *last;
            *last = row.max(*last);
            is_new
        });
    }

    pub(super) fn row(&self) -> u64 {
        *self.0.borrow()
    }

    /// Follows every event known of, and no other.
    pub(super) fn id(&self) -> EventId {
        EventId::end_of(self.row())
    }

    /// Waits for a row that was not known of at the last call on the same receiver.
    pub(super) fn follow(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

/// The next row; an error where none will come any more.
pub(super) async fn next(rows: &mut watch::Receiver<u64>) -> Result<(), HistoryError> {
    rows.changed().await.map_err(|_| HistoryError::Closed)
}
