//! The writer: one thread, one connection, group commit.

mod accept;
pub(crate) mod blocks;
mod change;
mod command;
pub(crate) mod control;
pub(crate) mod log;
mod retired;
pub(crate) mod settle;
mod trim;
mod waiting;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use common::Clock;
use consumer::domain::Unfolded;
use producer::{
    domain::Directory,
    ports::{AcceptError, Acceptance, AuditError, Executed, RotationError, StoreError},
};
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::watch;

use self::{
    accept::Acceptor,
    change::{Call, Changer},
    command::{Health, refuse},
    control::Controller,
    log::Log,
    trim::Trimmer,
    waiting::Waiting,
};
pub(crate) use self::{
    accept::Prepared,
    command::{Command, Commands},
};
use crate::{
    OpenError, Settings, audit,
    directory::Published,
    error::WriteFailure,
    feed::Entry,
    feed::Feed,
    folder::Folder,
    handoff::Handoff,
    metrics::StoreMetrics,
    reader::Reader,
    reader::{Sources, positions_to_leases},
    secrets::{self, Resealed, Secrets},
    sending::Sending,
    space::Space,
};

/// How often the writer looks around on its own: nothing hot, so seldom.
const ROUND: Duration = Duration::from_secs(10);
/// How often while it cannot write as it should.
const TROUBLED_ROUND: Duration = Duration::from_secs(1);
/// How long those who wait may be kept waiting while history is trimmed for them.
const MAKE_ROOM: Duration = Duration::from_secs(2);

/// What a command has written in the transaction under way.
enum Written {
    Accepted {
        sequence: u64,
    },
    NotAccepted(Result<Acceptance, AcceptError>),
    Settled {
        ended: usize,
        unfolded: Vec<Unfolded>,
    },
    Changed(Result<Executed, StoreError>),
    Controlled(control::Done),
    Recorded(Result<usize, AuditError>),
    Resealed(Result<Resealed, RotationError>),
    Nothing,
}

/// What the writer is made of.
pub(crate) struct Parts {
    pub(crate) connection: Connection,
    pub(crate) folder: Folder,
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) handoff: Arc<Handoff>,
    pub(crate) directory: Arc<Published>,
    pub(crate) metrics: StoreMetrics,
    pub(crate) feed: Feed,
    pub(crate) sending: Arc<Sending>,
    pub(crate) secrets: Arc<Secrets>,
    /// Is told whether the disk reserve is in use.
    pub(crate) reserve_in_use: watch::Sender<bool>,
}

/// The running writer.
pub(crate) struct Handle {
    commands: Commands,
    handoff: Arc<Handoff>,
    thread: JoinHandle<()>,
}

impl Handle {
    pub(crate) fn commands(&self) -> Commands {
        self.commands.clone()
    }

    /// Ends the writer after what was sent before, and waits for it.
    pub(crate) fn close(self) {
        self.handoff.close();
        if self.commands.sender.send(Command::Close).is_ok() && self.thread.join().is_err() {
            tracing::error!("the writer ended by a panic");
        }
    }
}

/// Starts the writer's thread.
pub(crate) fn start(parts: Parts) -> Result<Handle, OpenError> {
    let (sender, receiver) = channel();
    let health = Arc::new(Mutex::new(Ok(())));
    let handoff = parts.handoff.clone();
    let writer = Writer::new(parts, health.clone())?;
    let thread = std::thread::Builder::new()
        .name("sqlite-writer".into())
        .spawn(move || writer.run(&receiver))
        .map_err(|error| {
            OpenError::Damaged(format!("the writer's thread cannot start: {error}"))
        })?;
    Ok(Handle {
        commands: Commands { sender, health },
        handoff,
        thread,
    })
}

struct Writer {
    connection: Connection,
    clock: Arc<dyn Clock>,
    handoff: Arc<Handoff>,
    metrics: StoreMetrics,
    space: Space,
    acceptor: Acceptor,
    changer: Changer,
    controller: Controller,
    feed: Feed,
    trimmer: Trimmer,
    log: Log,
    last_round: Instant,
    health: Health,
    secrets: Arc<Secrets>,
}

/// However the writer ends, nothing can be written after it.
impl Drop for Writer {
    fn drop(&mut self) {
        let ended = Err("the store has ended; restart the process".to_owned());
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = ended;
    }
}

impl Writer {
    fn new(parts: Parts, health: Health) -> Result<Self, OpenError> {
        let Parts {
            connection,
            folder,
            settings,
            clock,
            handoff,
            directory,
            metrics,
            feed,
            sending,
            secrets,
            reserve_in_use,
        } = parts;
        let open: i64 =
            connection.query_row("SELECT coalesce(sum(open), 0) FROM open_alert", [], |row| {
                row.get(0)
            })?;
        metrics.open_deliveries.set(open);
        let mut writer = Self {
            acceptor: Acceptor::new(&connection)?,
            changer: Changer::new(directory.clone(), secrets.clone()),
            controller: Controller::new(sending, directory),
            feed,
            trimmer: Trimmer::new(&settings, metrics.clone()),
            log: Log::of(folder.database()),
            space: Space::new(folder, metrics.clone(), reserve_in_use),
            connection,
            clock,
            handoff,
            metrics,
            last_round: Instant::now(),
            health,
            secrets,
        };
        writer.look_around();
        Ok(writer)
    }

    fn run(mut self, commands: &Receiver<Command>) {
        let mut waiting = Waiting::default();
        while !waiting.is_over() {
            if waiting.is_empty() {
                match commands.recv_timeout(self.pause()) {
                    Ok(first) => waiting.add(first),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            // What arrived during the last commit shares this one.
            while !waiting.is_enough()
                && let Ok(command) = commands.try_recv()
            {
                waiting.add(command);
            }
            let batch = waiting.next_batch();
            let written: usize = batch.iter().map(Command::bytes).sum();
            self.perform(batch);
            self.log.keep_short(&self.connection, written);
            if self.last_round.elapsed() >= self.round() {
                self.look_around();
            }
        }
        self.fold_log();
    }

    /// Moves everything from the write-ahead log into the database file, so that
    /// after an orderly end that one file is all there is to copy.
    fn fold_log(&self) {
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        if let Err(error) = self.connection.query_row(checkpoint, [], |_| Ok(())) {
            tracing::debug!(%error, "the write-ahead log stays for the next start");
        }
    }

    fn round(&self) -> Duration {
        if self.space.is_troubled() {
            TROUBLED_ROUND
        } else {
            ROUND
        }
    }

    /// How long to wait for a command before doing something else.
    fn pause(&self) -> Duration {
        match self.trimmer.next_step() {
            Some(step) => step,
            None => self.round().saturating_sub(self.last_round.elapsed()),
        }
    }

    /// Carries out a batch in one transaction; where that fails, each command in
    /// one of its own, so that none fails for another's sake.
    fn perform(&mut self, batch: Vec<Command>) {
        if batch.is_empty() && !self.trimmer.is_due() {
            return;
        }
        let failure = match self.commit(&batch) {
            Ok(written) => return self.finish(batch, written),
            Err(error) => self.fail(&error),
        };
        if matches!(failure, WriteFailure::Unknown(_)) {
            // Trying again would accept twice what the disk may hold already.
            return batch
                .into_iter()
                .for_each(|command| refuse(command, &failure));
        }
        self.make_room();
        for command in batch {
            let alone = vec![command];
            match self.commit(&alone) {
                Ok(written) => self.finish(alone, written),
                Err(error) => {
                    let failure = self.fail(&error);
                    alone
                        .into_iter()
                        .for_each(|command| refuse(command, &failure));
                }
            }
        }
    }

    /// Trims without a pause until there is room inside the database, for a bounded
    /// time: history goes before any alert is refused.
    fn make_room(&mut self) {
        let begun = Instant::now();
        while self.space.refusal(&self.connection).is_some()
            && begun.elapsed() < MAKE_ROOM
            && self.trimmer.hurry()
        {
            match self.commit(&[]) {
                Ok(written) => self.finish(Vec::new(), written),
                Err(error) => {
                    self.fail(&error);
                    return;
                }
            }
        }
    }

    fn commit(&mut self, batch: &[Command]) -> Result<Vec<Written>, rusqlite::Error> {
        let begun = Instant::now();
        let now = self.clock.now().utc;
        let refusal = self.space.refusal(&self.connection);
        let is_short = self.space.is_short(&self.connection);
        self.acceptor.begin();
        self.changer.begin();
        self.trimmer.begin();
        self.feed.begin();
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut written = Vec::with_capacity(batch.len());
        for command in batch {
            written.push(match (command, &refusal) {
                (Command::Accept { alert, key, .. }, None) => {
                    self.acceptor
                        .accept(&transaction, alert, key.as_ref(), now)?
                }
                (Command::Accept { alert, key, .. }, Some(_))
                    if alert.is_warning() && self.space.admits_warning(alert.size()) =>
                {
                    self.acceptor
                        .accept(&transaction, alert, key.as_ref(), now)?
                }
                (Command::Accept { .. }, Some(reason)) => {
                    Written::NotAccepted(Err(AcceptError::Full(reason.clone())))
                }
                (Command::Settle { settlements, .. }, _) => {
                    let settled = settle::settle(&transaction, settlements)?;
                    for (place, state) in settled.changed {
                        self.feed.add(Entry { place, state });
                    }
                    Written::Settled {
                        ended: settled.ended,
                        unfolded: settled.unfolded,
                    }
                }
                (
                    Command::Directory {
                        commands, mode, by, ..
                    },
                    None,
                ) => {
                    let call = Call {
                        commands,
                        mode: *mode,
                        by,
                    };
                    Written::Changed(self.changer.execute(&transaction, call, now)?)
                }
                (Command::Directory { .. }, Some(reason)) => {
                    Written::Changed(Err(StoreError::Unwritable(reason.clone())))
                }
                (Command::Control(task), refusal) => Written::Controlled(self.controller.perform(
                    &transaction,
                    task,
                    now,
                    refusal.as_ref(),
                    self.trimmer.begun(),
                    &mut self.feed,
                )?),
                // Whoever cancels because the disk is full is not to be refused for that.
                (Command::Audit { .. }, Some(reason))
                    if !self.space.admits_warning(command.bytes()) =>
                {
                    Written::Recorded(Err(AuditError::Unavailable(reason.clone())))
                }
                (Command::Audit { record, .. }, _) => {
                    audit::append(&transaction, record, now)?;
                    Written::Recorded(Ok(command.bytes()))
                }
                (Command::Reseal { .. }, Some(reason)) => {
                    Written::Resealed(Err(RotationError::Unwritable(reason.clone())))
                }
                (Command::Reseal { after, .. }, None) => {
                    Written::Resealed(Ok(secrets::reseal(&transaction, &self.secrets, *after)?))
                }
                (Command::Close, _) => Written::Nothing,
            });
        }
        self.acceptor.end(&transaction)?;
        self.feed.write(&transaction, self.acceptor.last(), now)?;
        if self.trimmer.is_due() {
            self.trimmer.step(&transaction, now, is_short)?;
        }
        transaction.commit()?;
        self.metrics
            .commit_seconds
            .observe(begun.elapsed().as_secs_f64());
        self.metrics.commit_commands.observe(batch.len() as f64);
        Ok(written)
    }

    /// Publishes what was committed, then answers for it.
    fn finish(&mut self, batch: Vec<Command>, written: Vec<Written>) {
        self.acceptor.committed();
        self.changer.committed();
        self.trimmer.committed();
        self.feed.committed();
        let was_failing = self.space.is_troubled();
        self.space.on_success();
        if was_failing {
            self.publish_health();
        }
        for (command, written) in batch.into_iter().zip(written) {
            self.answer(command, written);
        }
    }

    fn answer(&mut self, command: Command, written: Written) {
        // A reply that nobody awaits any longer is no matter: what it tells is done.
        match (command, written) {
            (Command::Accept { alert, reply, .. }, Written::Accepted { sequence }) => {
                if alert.is_warning() {
                    self.space.on_warning(alert.size());
                }
                let accepted = alert.accepted;
                if !accepted.deliveries.is_empty() {
                    self.metrics
                        .open_deliveries
                        .inc_by(accepted.deliveries.len() as i64);
                    self.handoff.push(sequence, accepted);
                }
                let _ = reply.send(Ok(Acceptance::Accepted));
            }
            (Command::Accept { reply, .. }, Written::NotAccepted(answer)) => {
                let _ = reply.send(answer);
            }
            (Command::Settle { settlements, reply }, Written::Settled { ended, unfolded }) => {
                self.controller.settled(&settlements);
                self.metrics.open_deliveries.dec_by(ended as i64);
                let _ = reply.send(Ok(unfolded));
            }
            (Command::Audit { reply, .. }, Written::Recorded(answer)) => {
                if let Ok(bytes) = answer {
                    self.space.on_warning(bytes);
                }
                let _ = reply.send(answer.map(drop));
            }
            (Command::Reseal { reply, .. }, Written::Resealed(answer)) => {
                let _ = reply.send(answer);
            }
            (Command::Directory { reply, .. }, Written::Changed(answer)) => {
                let _ = reply.send(answer);
            }
            (Command::Control(task), Written::Controlled(done)) => {
                self.follow(&done);
                control::answer(task, done);
            }
            _ => {}
        }
    }

    /// Tells the consumer what a person has done.
    fn follow(&mut self, done: &control::Done) {
        match done {
            control::Done::Cancelled {
                sequence,
                keys,
                step,
            } => {
                let ended = step.next.unwrap_or(u32::MAX);
                self.metrics.open_deliveries.dec_by(keys.len() as i64);
                self.controller.cancelled(keys);
                self.handoff.cancel(*sequence, ended, keys);
            }
            control::Done::Replayed(verdicts) => {
                let replayed = verdicts
                    .iter()
                    .filter(|(_, verdict)| *verdict == control::Verdict::Replayed);
                let places: Vec<_> = replayed.map(|(place, _)| *place).collect();
                self.metrics.open_deliveries.inc_by(places.len() as i64);
                for place in &places {
                    self.controller.replayed(*place);
                }
                let directory = self.controller.directory();
                let sources = Sources {
                    connection: &self.connection,
                    directory: &directory,
                    secrets: &self.secrets,
                };
                match positions_to_leases(sources, &places) {
                    Ok(leases) => self.handoff.push_again(leases),
                    // They are on disk, and the next start finds them.
                    Err(error) => {
                        tracing::error!(%error, "replayed deliveries wait for a restart");
                    }
                }
            }
            _ => {}
        }
    }

    fn fail(&mut self, error: &rusqlite::Error) -> WriteFailure {
        let failure = WriteFailure::from(error);
        self.metrics.commit_failures.inc();
        self.space.on_failure(&failure);
        if self.space.is_short(&self.connection) {
            self.trimmer.begin_round();
        }
        self.trimmer.put_off();
        self.publish_health();
        failure
    }

    /// What is done now and then: room, trimming, gauges.
    fn look_around(&mut self) {
        self.last_round = Instant::now();
        self.space.try_restore();
        self.trimmer.begin_round();
        if self.space.is_troubled() {
            // An empty transaction writes nothing and so proves nothing; this does.
            self.perform_probe();
        }
        let now = self.clock.now().utc;
        if let Ok(oldest) = Reader::oldest_open(&self.connection) {
            let age = oldest.map_or(0, |oldest| now.since(oldest).as_secs());
            self.metrics.oldest_seconds.set(age as i64);
        }
        self.publish_health();
    }

    fn perform_probe(&mut self) {
        let now = self.clock.now().utc.0;
        let probe = "INSERT INTO meta (key, value) VALUES ('probe', ?1)
                     ON CONFLICT DO UPDATE SET value = excluded.value";
        match self
            .connection
            .execute(probe, [now.to_le_bytes().as_slice()])
        {
            Ok(_) => self.space.on_success(),
            Err(error) => self.space.on_failure(&WriteFailure::from(&error)),
        }
    }

    fn publish_health(&self) {
        let health = self.space.health(&self.connection);
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }
}

/// The directory that requests read now.
fn current(directory: &Published) -> Directory {
    Directory::clone(&directory.load())
}
