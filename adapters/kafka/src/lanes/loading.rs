//! What an owner reads on assignment, before it delivers.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use common::wire::{OutcomeRecord, Place, StateRecord};
use rdkafka::{Message, error::KafkaError};
use tokio::task::spawn_blocking;

use super::{
    ledger::{Checkpoint, Feed, Ledger, LoadedRow, Since, Start},
    reader::{Extent, Found, Reader, Stream},
    records::loaded_row,
    shared::Shared,
    spill::{Slot, Spill},
};
use crate::{
    records::{Unreadable, read_versioned},
    sealer::Sealer,
    settings::Format,
};

/// A partition that was taken over.
pub(super) struct Loaded {
    pub(super) reader: Reader,
    pub(super) ledger: Ledger,
    pub(super) spill: Arc<Mutex<Spill>>,
    pub(super) high: Stream,
    pub(super) main: Stream,
    pub(super) control: Stream,
    /// Where `T.control` ends as of now.
    pub(super) control_end: u64,
    /// From where the control records are read.
    pub(super) control_from: u64,
}

/// Why a partition could not be taken over. It is tried again.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    #[error("the folder for temporary files cannot be written: {0}; set TMPDIR to one that can")]
    Disk(#[from] std::io::Error),
}

/// Reads all that an earlier owner left of that partition.
pub(super) async fn load(shared: &Shared, partition: i32) -> Result<Loaded, LoadError> {
    let topics = &shared.topics;
    let reader = Reader::open(&shared.settings, partition)?;
    let committed = reader.committed(topics).await?;
    let [high, main, control, state, outcomes] = reader
        .extents([
            &topics.high,
            &topics.deliveries,
            &topics.control,
            &topics.state,
            &topics.outcomes,
        ])
        .await?;
    let first = [high.first, main.first, control.first, outcomes.first];
    let checkpoint = committed.checkpoint(first);
    let spill = Arc::new(Mutex::new(Spill::new(shared.folder.clone())));

    let Checkpoint {
        high: from_high,
        main: from_main,
        control: control_from,
        outcomes: outcomes_from,
    } = checkpoint;
    let [of_state, of_outcomes, of_control, of_high, of_main] = reader.streams([
        (&topics.state, state.first),
        (&topics.outcomes, outcomes_from),
        (&topics.control, control_from),
        (&topics.high, from_high.offset),
        (&topics.deliveries, from_main.offset),
    ])?;
    let slots = read_rows(of_state, state, &spill).await?;
    reader.close(&topics.state)?;
    let since = read_outcomes(of_outcomes, outcomes_from, outcomes.end).await?;
    reader.close(&topics.outcomes)?;
    let rows = open_rows(slots, &spill, &shared.sealer).await?;

    let start = Start {
        checkpoint,
        high_end: high.end,
        main_end: main.end,
        outcomes_end: outcomes.end,
        since,
        high: high_feed(shared.settings.format),
    };
    Ok(Loaded {
        high: of_high,
        main: of_main,
        control: of_control,
        control_end: control.end,
        control_from,
        ledger: Ledger::new(start, rows),
        spill,
        reader,
    })
}

fn high_feed(format: Format) -> Feed {
    match format {
        Format::Sealed => Feed::High,
        Format::Plain => Feed::Main,
    }
}

/// The last row of each place.
async fn read_rows(
    stream: Stream,
    Extent { first, end }: Extent,
    spill: &Arc<Mutex<Spill>>,
) -> Result<HashMap<Place, Slot>, LoadError> {
    let mut slots = HashMap::new();
    let mut next = first;
    while next < end {
        let message = match stream.next().await? {
            Found::Message(message) => message,
            Found::End => break,
        };
        next = message.offset() as u64 + 1;
        let place = message.key().and_then(|key| std::str::from_utf8(key).ok());
        let Some(place) = place.and_then(|key| key.parse::<Place>().ok()) else {
            tracing::error!(offset = message.offset(), "a row of T.state has no place");
            continue;
        };
        let mut spill = lock(spill);
        let before = match message.payload() {
            Some(row) => slots.insert(place, spill.put(row)?),
            None => slots.remove(&place),
        };
        if let Some(slot) = before {
            spill.free(slot);
        }
    }
    Ok(slots)
}

async fn read_outcomes(stream: Stream, from: u64, end: u64) -> Result<Since, LoadError> {
    let mut since = Since::default();
    let mut next = from;
    while next < end {
        let message = match stream.next().await? {
            Found::Message(message) => message,
            Found::End => break,
        };
        let offset = message.offset() as u64;
        next = offset + 1;
        let read = message.payload().ok_or(Unreadable::Empty);
        match read.and_then(read_versioned::<OutcomeRecord>) {
            Ok(outcome) => since.note(offset, &outcome),
            Err(error) => tracing::error!(offset, %error, "an outcome cannot be read"),
        }
    }
    Ok(since)
}

/// Opens rows where that holds nobody up. One that this release cannot read is left to
/// one that can.
async fn open_rows(
    slots: HashMap<Place, Slot>,
    spill: &Arc<Mutex<Spill>>,
    sealer: &Arc<Sealer>,
) -> Result<Vec<LoadedRow>, LoadError> {
    let (spill, sealer) = (Arc::clone(spill), Arc::clone(sealer));
    let opened = spawn_blocking(move || {
        let mut rows = Vec::with_capacity(slots.len());
        for (place, slot) in slots {
            let found = lock(&spill).find(slot)?;
            match read_versioned::<StateRecord>(&found.read()?) {
                Ok(row) => rows.push(loaded_row(&row, slot, &sealer)),
                Err(error) => {
                    tracing::error!(%place, %error, "a row of T.state cannot be read and is passed over");
                }
            }
        }
        Ok(rows)
    });
    opened.await.map_err(std::io::Error::other)?
}

/// The spill is whole between any two statements that could panic.
pub(super) fn lock(spill: &Mutex<Spill>) -> MutexGuard<'_, Spill> {
    spill.lock().unwrap_or_else(PoisonError::into_inner)
}
