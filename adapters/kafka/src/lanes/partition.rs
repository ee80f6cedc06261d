//! The queue of one partition, from its assignment to its revocation.

use std::{
    future::Future,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use common::{
    Destination, DestinationId, Severity,
    wire::{Place, StateRecord},
};
use consumer::{
    domain::{Lease, LeaseKey, Position, Settlement, Unfolded},
    ports::{DeliveryQueue, ParkedLane, QueueError, Received},
};
use tokio::{
    sync::{Mutex as AsyncMutex, Notify, watch},
    task::spawn_blocking,
};

use super::{
    ledger::{
        Ack, Checkpoint, Content, Ledger, Next, OutcomeWrite, Plan, RowWrite, Write, place_of,
    },
    loading::lock as lock_spill,
    records::{Source, opened, outcome_record, progress, state_record},
    shared::Shared,
    spill::{Found, Slot, Spill},
};
use crate::records::{GTID_HEADER, Outgoing, REASON_HEADER, read_versioned};

/// The queue of one partition.
pub(super) struct Partition {
    pub(super) number: i32,
    pub(super) shared: Arc<Shared>,
    ledger: Mutex<Ledger>,
    spill: Arc<Mutex<Spill>>,
    /// Held while a plan is carried out, since the next is made of what it leaves.
    pub(super) writing: AsyncMutex<()>,
    /// Something may be at hand.
    arrival: Notify,
    /// There may be room for more.
    pub(super) room: Notify,
    /// Controls before this offset have been carried out.
    obeyed: AtomicU64,
    /// Another process may have it, or will.
    is_over: watch::Sender<bool>,
}

impl Partition {
    pub(super) fn new(
        number: i32,
        shared: Arc<Shared>,
        ledger: Ledger,
        spill: Arc<Mutex<Spill>>,
    ) -> Self {
        Self {
            number,
            shared,
            ledger: Mutex::new(ledger),
            spill,
            writing: AsyncMutex::default(),
            arrival: Notify::new(),
            room: Notify::new(),
            obeyed: AtomicU64::new(0),
            is_over: watch::Sender::new(false),
        }
    }

    /// The state, which is whole between any two statements that could panic.
    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was read, or changed.
    pub(super) fn wake(&self) {
        self.arrival.notify_waiters();
    }

    /// Controls before that offset have been carried out.
    pub(super) fn obeyed(&self, next: u64) {
        self.obeyed.store(next, Ordering::SeqCst);
        self.wake();
    }

    /// The offset before which controls have been carried out.
    pub(super) fn has_obeyed(&self) -> u64 {
        self.obeyed.load(Ordering::SeqCst)
    }

    /// Resolves once something was read, or changed, after this call.
    pub(super) fn changed(&self) -> impl Future<Output = ()> + '_ {
        let mut changed = Box::pin(self.arrival.notified());
        changed.as_mut().enable();
        changed
    }

    /// Another process may have it: nothing is sent or written any more.
    pub(super) fn lose(&self) {
        if !self.is_over() {
            tracing::warn!(partition = self.number, "the partition is lost");
        }
        self.end();
    }

    /// It is given up: nothing is sent or written any more.
    pub(super) fn end(&self) {
        self.is_over.send_replace(true);
        self.wake();
        self.room.notify_waiters();
    }

    pub(super) fn is_over(&self) -> bool {
        *self.is_over.borrow()
    }

    /// Waits until it is lost or given up.
    pub(super) async fn over(&self) {
        let mut is_over = self.is_over.subscribe();
        // The sender lives as long as this does.
        let _ = is_over.wait_for(|is_over| *is_over).await;
    }

    /// From where the next owner reads.
    pub(super) fn checkpoint(&self) -> Checkpoint {
        self.ledger().checkpoint()
    }

    /// Writes what is not urgent; answers whether there was anything.
    pub(super) async fn chores(&self) -> Result<bool, QueueError> {
        let _one_at_a_time = self.writing.lock().await;
        let now = self.shared.clock.now();
        let plan = self.ledger().chores(now.mono, now.utc);
        let is_empty = plan.is_empty();
        self.carry_out(plan).await?;
        Ok(!is_empty)
    }

    /// Writes a plan and takes note of what is acknowledged. The caller holds
    /// [`writing`](Self::writing).
    pub(super) async fn carry_out(&self, plan: Plan) -> Result<(), QueueError> {
        if !self.may_send() {
            return Err(QueueError::Closed);
        }
        if plan.is_empty() {
            return Ok(());
        }
        let first = self.write(&plan.first).await?;
        let is_whole = first.iter().all(Option::is_some);
        let then = match is_whole && self.may_send() {
            true => self.write(&plan.then).await?,
            false => vec![None; plan.then.len()],
        };
        let (is_whole, freed) = {
            let mut ledger = self.ledger();
            let is_whole = ledger.apply(plan, &first, &then);
            (is_whole, ledger.take_freed())
        };
        if !freed.is_empty() {
            let mut spill = lock_spill(&self.spill);
            freed.into_iter().for_each(|slot| spill.free(slot));
        }
        self.wake();
        match is_whole {
            true => Ok(()),
            false => Err(QueueError::Failed(
                "Kafka did not acknowledge all that was to be recorded".into(),
            )),
        }
    }

    async fn write(&self, writes: &[Write]) -> Result<Vec<Option<Ack>>, QueueError> {
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        let mut rows = self.fetch(writes).await?.into_iter();
        let records: Vec<Outgoing> = writes
            .iter()
            .map(|write| self.record(write, || rows.next().flatten()))
            .collect::<Result<_, _>>()?;
        let slots = self.keep(writes, &records).await?;
        let offsets = self.shared.writer.write(&records).await;
        let acks = offsets.into_iter().zip(&slots);
        let acks: Vec<_> = acks
            .map(|(offset, slot)| {
                let slot = *slot;
                offset.map(|offset| Ack { offset, slot })
            })
            .collect();
        let lost = acks.iter().zip(&slots).filter(|(ack, _)| ack.is_none());
        let mut spill = lock_spill(&self.spill);
        lost.filter_map(|(_, slot)| *slot)
            .for_each(|slot| spill.free(slot));
        Ok(acks)
    }

    /// The rows of those writes whose delivery lies on disk, in order.
    async fn fetch(&self, writes: &[Write]) -> Result<Vec<Option<Box<StateRecord>>>, QueueError> {
        let slots: Vec<Slot> = writes
            .iter()
            .filter_map(content_of)
            .filter_map(|content| match content {
                Content::Disk(slot) => Some(*slot),
                Content::Memory(_) => None,
            })
            .collect();
        if slots.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.find(slots)?;
        let rows =
            spawn_blocking(move || found.iter().map(read_row).collect::<io::Result<Vec<_>>>());
        let rows = rows.await.map_err(|error| failed(&error))?;
        let rows = rows.map_err(|error| unwritable(&error))?;
        Ok(rows.into_iter().map(|row| Some(Box::new(row))).collect())
    }

    /// What lies on disk there, each with its progress.
    async fn leases(&self, found: Vec<Found>) -> Result<Vec<Lease>, QueueError> {
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let shared = Arc::clone(&self.shared);
        let leases = spawn_blocking(move || {
            let leases = found.iter().map(|found| {
                let row = read_row(found)?;
                // What was parked was open, here or when the partition was taken over.
                let delivery = opened(&row.delivery, &shared.sealer).map_err(io::Error::other)?;
                Ok(Lease {
                    progress: progress(&row),
                    ..delivery.lease
                })
            });
            leases.collect::<io::Result<Vec<_>>>()
        });
        let leases = leases.await.map_err(|error| failed(&error))?;
        leases.map_err(|error| unwritable(&error))
    }

    fn find(&self, slots: Vec<Slot>) -> Result<Vec<Found>, QueueError> {
        let spill = lock_spill(&self.spill);
        let found = slots.into_iter().map(|slot| spill.find(slot));
        found
            .collect::<io::Result<Vec<_>>>()
            .map_err(|error| unwritable(&error))
    }

    fn record(
        &self,
        write: &Write,
        mut row: impl FnMut() -> Option<Box<StateRecord>>,
    ) -> Result<Outgoing, QueueError> {
        let mut source = |content: &'_ Content| match content {
            Content::Memory(_) => Ok(None),
            Content::Disk(_) => row().map(Some).ok_or_else(|| failed(&"a row is missing")),
        };
        Ok(match write {
            Write::Outcome(write) => {
                let row = source(&write.content)?;
                self.outcome(write, &source_of(&write.content, row)?)
            }
            Write::Row(write) => {
                let row = source(&write.content)?;
                self.row(write, source_of(&write.content, row)?)
            }
            Write::Tombstone(place) => self.tombstone(*place),
            Write::DeadLetter(letter) => {
                let row = source(&letter.content)?;
                self.dead_letter(source_of(&letter.content, row)?, &letter.reason)
            }
        })
    }

    fn outcome(&self, write: &OutcomeWrite, source: &Source<'_>) -> Outgoing {
        let shared = &self.shared;
        let record = outcome_record(write, source, shared.clock.now().utc);
        let key = Some(shared.sealer.lane_key(write.key.destination));
        let topic = &shared.topics.outcomes;
        Outgoing::json(topic, self.number, key, &record, source.gtid())
    }

    fn row(&self, write: &RowWrite, source: Source<'_>) -> Outgoing {
        let shared = &self.shared;
        let record = state_record(write, source, &shared.sealer);
        let key = Some(place_of(write.key).to_string());
        let topic = &shared.topics.state;
        Outgoing::json(topic, self.number, key, &record, &record.delivery.meta.gtid)
    }

    fn tombstone(&self, place: Place) -> Outgoing {
        Outgoing {
            topic: self.shared.topics.state.clone(),
            partition: self.number,
            key: Some(place.to_string().into_bytes()),
            payload: None,
            headers: Vec::new(),
        }
    }

    fn dead_letter(&self, source: Source<'_>, reason: &str) -> Outgoing {
        let shared = &self.shared;
        let gtid = source.gtid().as_bytes().to_vec();
        let record = source.into_record(&shared.sealer);
        let mut letter = Outgoing::delivery(&shared.topics, self.number, "", &record);
        letter.topic.clone_from(&shared.topics.dead_letters);
        letter.key = None;
        letter.headers.retain(|(name, _)| name != GTID_HEADER);
        letter.headers.push((GTID_HEADER.into(), gtid));
        letter
            .headers
            .push((REASON_HEADER.into(), reason.as_bytes().to_vec()));
        letter
    }

    /// Spills the rows that are only looked up from now on.
    async fn keep(
        &self,
        writes: &[Write],
        records: &[Outgoing],
    ) -> Result<Vec<Option<Slot>>, QueueError> {
        let mut slots = vec![None; writes.len()];
        let mut kept = Vec::new();
        for (index, (write, record)) in writes.iter().zip(records).enumerate() {
            if let Write::Row(row) = write
                && row.state.is_kept_on_disk()
            {
                kept.push((index, record.payload.clone().unwrap_or_default()));
            }
        }
        if kept.is_empty() {
            return Ok(slots);
        }
        let spill = Arc::clone(&self.spill);
        let put = spawn_blocking(move || {
            let mut spill = lock_spill(&spill);
            let put = kept
                .iter()
                .map(|(index, row)| Ok((*index, spill.put(row)?)));
            put.collect::<io::Result<Vec<_>>>()
        });
        let put = put.await.map_err(|error| failed(&error))?;
        for (index, slot) in put.map_err(|error| unwritable(&error))? {
            slots[index] = Some(slot);
        }
        Ok(slots)
    }

    /// Puts a record on disk that this process cannot open.
    pub(super) fn spill(&self, row: &StateRecord) -> Result<Slot, QueueError> {
        // The wire's types have nothing that JSON cannot say.
        let row = serde_json::to_vec(row).unwrap_or_default();
        let put = lock_spill(&self.spill).put(&row);
        put.map_err(|error| unwritable(&error))
    }
}

#[async_trait]
impl DeliveryQueue for Partition {
    async fn parked(&self) -> Result<Vec<ParkedLane>, QueueError> {
        Ok(self.ledger().parked())
    }

    async fn receive(&self, room: usize) -> Result<Received, QueueError> {
        loop {
            // Before looking, so that nothing that comes meanwhile is missed.
            let mut arrival = std::pin::pin!(self.arrival.notified());
            arrival.as_mut().enable();
            if self.is_over() {
                return Err(QueueError::Closed);
            }
            let next = self.ledger().next(room);
            match next {
                // Nothing is awaited between here and the caller's having them, so a
                // dropped call has taken nothing.
                Next::Leases(leases) => {
                    self.room.notify_waiters();
                    return Ok(Received::Leases(leases));
                }
                Next::Cancelled(keys) => return Ok(Received::Cancelled(keys)),
                Next::CaughtUp => return Ok(Received::CaughtUp),
                Next::Wait => arrival.await,
            }
        }
    }

    async fn unpark(
        &self,
        destination: DestinationId,
        severity: Severity,
        after: Option<Position>,
        room: usize,
    ) -> Result<Vec<Lease>, QueueError> {
        let after = after.map(|position| Place {
            sequence: position.sequence,
            ordinal: position.ordinal,
        });
        let found = {
            // Held until they are found, so that none is freed meanwhile.
            let ledger = self.ledger();
            let parked = ledger.unpark(destination, severity, after, room);
            let slots = parked.into_iter().map(|(_, slot)| slot).collect();
            self.find(slots)?
        };
        self.leases(found).await
    }

    /// A place is known, itself and for warnings, by any delivery to either.
    async fn destinations(&self, ids: Vec<DestinationId>) -> Result<Vec<Destination>, QueueError> {
        let (known, found): (Vec<_>, Vec<_>) = {
            let ledger = self.ledger();
            let one_to = |id: DestinationId| {
                let severities = Severity::BY_URGENCY.into_iter();
                severities
                    .flat_map(|severity| ledger.unpark(id, severity, None, 1))
                    .map(|(_, slot)| slot)
                    .next()
            };
            let found = ids.into_iter().filter_map(|id| {
                let slot = one_to(id.place()).or_else(|| one_to(id.for_warnings()))?;
                Some((id, slot))
            });
            let (known, slots): (Vec<_>, Vec<_>) = found.unzip();
            (known, self.find(slots)?)
        };
        let leases = self.leases(found).await?;
        let places = known.into_iter().zip(leases);
        Ok(places
            .map(|(id, lease)| {
                let Destination {
                    kind,
                    base_url,
                    address,
                    ..
                } = &*lease.destination;
                let place = Destination::new(kind.clone(), base_url, address);
                match id.is_for_warnings() {
                    true => place.for_warnings(),
                    false => place,
                }
            })
            .collect())
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Unfolded>, QueueError> {
        let _one_at_a_time = self.writing.lock().await;
        let mut unfolded = Vec::new();
        let mut left = &settlements[..];
        while !left.is_empty() {
            let (mut plan, count) = self.ledger().plan(left);
            let not_made = std::mem::take(&mut plan.unfolded);
            self.carry_out(plan).await?;
            unfolded.extend(not_made);
            left = &left[count..];
        }
        Ok(unfolded)
    }

    fn may_send(&self) -> bool {
        if self.is_over() {
            return false;
        }
        let is_open = self.shared.fence.is_open();
        if !is_open {
            self.lose();
        }
        is_open
    }

    fn begins(&self, delivery: LeaseKey) {
        self.ledger().begins(place_of(delivery));
    }
}

fn content_of(write: &Write) -> Option<&Content> {
    match write {
        Write::Outcome(write) => Some(&write.content),
        Write::Row(write) => Some(&write.content),
        Write::DeadLetter(letter) => Some(&letter.content),
        Write::Tombstone(_) => None,
    }
}

fn source_of(content: &Content, row: Option<Box<StateRecord>>) -> Result<Source<'_>, QueueError> {
    match (content, row) {
        (Content::Memory(delivery), _) => Ok(Source::Memory(delivery)),
        (Content::Disk(_), Some(row)) => Ok(Source::Row(row)),
        (Content::Disk(_), None) => Err(failed(&"a row is missing")),
    }
}

fn read_row(found: &Found) -> io::Result<StateRecord> {
    read_versioned(&found.read()?).map_err(io::Error::other)
}

fn unwritable(error: &io::Error) -> QueueError {
    QueueError::Failed(format!(
        "the folder for temporary files cannot be used: {error}; free space in it, or set TMPDIR to another"
    ))
}

fn failed(error: &impl std::fmt::Display) -> QueueError {
    QueueError::Failed(error.to_string())
}
