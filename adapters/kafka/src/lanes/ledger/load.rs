//! Taking over what an earlier owner left.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use common::{Severity, wire::Place};
use consumer::domain::{Digest, DigestId, Progress};

use super::{
    Checkpoint, Feed, Ledger, Member,
    control::Controls,
    ended::{Ended, Since},
    entry::{Content, Delivery, Entry, Fold, Locked, Stage},
    line::Line,
    parked::{Parked, Shelved},
    track::Track,
    writes::RowState,
};
use crate::lanes::spill::Slot;

/// The last row of a delivery.
#[derive(Debug)]
pub struct LoadedRow {
    /// Its place.
    pub place: Place,
    /// The delivery, if it can be opened.
    pub delivery: Result<Delivery, Locked>,
    /// Attempts, parts and replay.
    pub progress: Progress,
    /// Where it stands.
    pub state: RowState,
    /// Where the row was spilled.
    pub slot: Slot,
}

/// What an owner begins with.
#[derive(Debug)]
pub struct Start {
    /// From where it reads.
    pub checkpoint: Checkpoint,
    /// Where `T.high` ends as of now.
    pub high_end: u64,
    /// Where `T` ends as of now.
    pub main_end: u64,
    /// Where `T.outcomes` ends as of now.
    pub outcomes_end: u64,
    /// What the outcomes after the checkpoint say.
    pub since: Since,
    /// Where high deliveries are read: in `T` in the plain format.
    pub high: Feed,
}

/// A row that is handed over.
struct InMemory {
    place: Place,
    delivery: Delivery,
    progress: Progress,
    state: RowState,
}

impl Ledger {
    /// The state that an owner begins with.
    pub fn new(start: Start, rows: Vec<LoadedRow>) -> Self {
        let Start {
            checkpoint, since, ..
        } = &start;
        let mut ended = Ended::default();
        for (place, outcome) in since.ended() {
            ended.insert(place, outcome);
        }
        // Left by a life that has ended: the owner died before the replay's row was there.
        let (buried_late, rows): (Vec<_>, Vec<_>) = rows
            .into_iter()
            .partition(|row| since.is_replayed(row.place) && row.progress.replayed_at.is_none());
        let alive: BTreeSet<Place> = rows.iter().map(|row| row.place).collect();
        let replays = since.replays().map(|(place, offset, outcome)| {
            let is_pending = since.end_of(place).is_none() && !alive.contains(&place);
            (place, offset, outcome, is_pending)
        });
        let mut ledger = Self {
            tracks: [
                Track::new(checkpoint.high, start.high_end),
                Track::new(checkpoint.main, start.main_end),
            ],
            live: BTreeMap::new(),
            parked: Parked::default(),
            folded: HashMap::new(),
            line: Line::default(),
            has_said_caught_up: false,
            ended,
            burials: VecDeque::new(),
            controls: Controls::new(checkpoint.control, replays),
            doomed: BTreeSet::new(),
            locked: BTreeSet::new(),
            untold: Vec::new(),
            sending: HashMap::new(),
            outcomes: start.outcomes_end,
            high: start.high,
            // The replay's row takes their place.
            freed: buried_late.iter().map(|row| row.slot).collect(),
        };
        ledger.take_over(rows, since);
        ledger
    }

    fn take_over(&mut self, rows: Vec<LoadedRow>, since: &Since) {
        let (ended, mut rows): (Vec<_>, Vec<_>) = rows
            .into_iter()
            .partition(|row| since.end_of(row.place).is_some());
        self.bury(ended, since);
        rows.sort_by_key(|row| row.place);
        let leads: HashMap<Place, DigestId> = rows
            .iter()
            .filter_map(|row| match &row.state {
                RowState::Leads { digest, .. } => Some((row.place, digest.id)),
                _ => None,
            })
            .collect();
        let mut in_memory = Vec::new();
        for row in rows {
            let delivery = match row.delivery {
                Ok(delivery) => delivery,
                Err(locked) => {
                    self.lock(row.place, row.progress, locked, row.slot);
                    continue;
                }
            };
            let key = delivery.lease.key();
            let shelved = Shelved {
                slot: row.slot,
                feed: None,
            };
            match row.state {
                RowState::Folded { lead, digest } if leads.get(&lead) == Some(&digest) => {
                    self.folded.insert(row.place, Member { shelved, key });
                }
                // Without its lead's row a fold was not made.
                RowState::Folded { .. } | RowState::Parked => {
                    self.parked.insert(key, shelved);
                }
                RowState::Queued | RowState::Waiting(_) | RowState::Leads { .. } => {
                    self.freed.push(row.slot);
                    in_memory.push(InMemory {
                        place: row.place,
                        delivery,
                        progress: row.progress,
                        state: row.state,
                    });
                }
            }
        }
        let mut waiting = Vec::new();
        for row in in_memory {
            self.line_up(row, &mut waiting);
        }
        waiting.sort_by_key(|(severity, place)| (Reverse(*severity), *place));
        self.line.waiting = waiting.into_iter().map(|(_, place)| place).collect();
    }

    /// The members' rows before their leads'.
    fn bury(&mut self, mut rows: Vec<LoadedRow>, since: &Since) {
        rows.sort_by_key(|row| matches!(row.state, RowState::Leads { .. }));
        for row in rows {
            self.freed.push(row.slot);
            let end = since.end_of(row.place);
            self.burials.extend(end.map(|outcome| (row.place, outcome)));
        }
    }

    fn lock(&mut self, place: Place, progress: Progress, locked: Locked, slot: Slot) {
        self.locked.insert((locked.accepted_at, place));
        let key = locked.key(place);
        let entry = Entry {
            content: Content::Disk(slot),
            destination: key.destination,
            severity: key.severity,
            progress,
            stage: Stage::Locked(locked),
            has_row: true,
            feed: None,
            open: None,
            weight: 0,
            early: false,
        };
        self.live.insert(place, entry);
    }

    fn line_up(&mut self, row: InMemory, waiting: &mut Vec<(Severity, Place)>) {
        let key = row.delivery.lease.key();
        let (stage, wait) = match row.state {
            RowState::Leads {
                digest,
                members,
                wait,
            } => {
                let fold = self.fold_of(row.place, digest, &members);
                (Stage::Leads { fold, out: false }, wait)
            }
            RowState::Waiting(wait) => (Stage::Line, Some(wait)),
            _ => (Stage::Line, None),
        };
        let waits =
            matches!(stage, Stage::Leads { .. }) || wait.is_some() || row.progress.attempts > 0;
        if waits {
            waiting.push((key.severity, row.place));
        } else {
            self.line.push(row.place, key.severity, true);
        }
        let entry = Entry {
            content: Content::Memory(row.delivery.into()),
            destination: key.destination,
            severity: key.severity,
            progress: Progress {
                wait,
                ..row.progress
            },
            stage,
            has_row: true,
            feed: None,
            open: None,
            weight: 0,
            early: !waits,
        };
        self.live.insert(row.place, entry);
    }

    fn fold_of(&self, lead: Place, digest: Arc<Digest>, members: &[Place]) -> Arc<Fold> {
        let members = members.iter().copied();
        let members = members.filter(|place| *place == lead || self.folded.contains_key(place));
        Arc::new(Fold {
            digest,
            members: members.collect(),
        })
    }
}
