//! A delivery in this consumer's hands.

use std::{borrow::Cow, sync::Arc};

use common::{
    Alert, Credential, DeliveryId, Destination, DestinationId, Recipients, Severity, UtcMillis,
};

use super::{Digest, Fault};

/// A delivery's place in the order of acceptance: the alert's sequence number,
/// then the place within the alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The commit's sequence number (or Kafka's offset); never a clock or an id.
    pub sequence: u64,
    /// The delivery's index within its alert.
    pub ordinal: u32,
}

/// What names a lease to the queue, small enough to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeaseKey {
    /// Its place in the order of acceptance; unique.
    pub position: Position,
    /// The lane it belongs to.
    pub destination: DestinationId,
    /// Its alert's severity.
    pub severity: Severity,
}

/// A delivery that the queue has handed to this consumer, which now answers for
/// it until it is settled; or a digest, which stands for all that it carries and is
/// named by one of them, its lead.
#[derive(Clone, Debug)]
pub struct Lease {
    /// Its place in the order of acceptance.
    pub position: Position,
    /// The alert it delivers.
    pub alert: Arc<Alert>,
    /// The delivery's id, where it was replayed with another credential than the one of
    /// acceptance, which the id is made of; else `None` will do.
    pub accepted_as: Option<DeliveryId>,
    /// Where to.
    pub destination: Arc<Destination>,
    /// The credential of acceptance, or of its replay.
    pub credential: Arc<Credential>,
    /// Whom it serves.
    pub recipients: Recipients,
    /// What has been tried already.
    pub progress: Progress,
    /// The digest, where it is one; all the rest is its lead's.
    pub digest: Option<Arc<Digest>>,
}

/// What has been tried already, and survives a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Attempts that have ended, whichever way.
    pub attempts: u32,
    /// Parts of the text that the service has taken.
    pub parts_sent: u16,
    /// What it waits for, if it does.
    pub wait: Option<Wait>,
    /// When somebody last replayed it.
    pub replayed_at: Option<UtcMillis>,
}

/// A wait for the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Not before this.
    pub until: UtcMillis,
    /// Because of whom; the destination's fault holds up its whole lane.
    pub fault: Fault,
    /// True where the service itself asked for it (`Retry-After`): then nothing
    /// cuts it short, after a restart neither.
    pub asked: bool,
}

impl Lease {
    /// What names this lease to the queue.
    pub fn key(&self) -> LeaseKey {
        LeaseKey {
            position: self.position,
            destination: self.destination.id,
            severity: self.alert.severity,
        }
    }

    /// Since when its age counts towards giving up: acceptance, or the replay.
    pub fn counts_from(&self) -> UtcMillis {
        self.progress.replayed_at.unwrap_or(self.alert.accepted_at)
    }

    /// What its reader is to see.
    pub fn text(&self) -> Cow<'_, str> {
        match &self.digest {
            Some(digest) => Cow::Borrowed(&digest.text),
            None => Cow::Owned(self.alert.text()),
        }
    }

    /// Whether its text is sent as it is. A digest's never is: it quotes several.
    pub fn is_verbatim(&self) -> bool {
        self.digest.is_none() && self.alert.verbatim
    }

    /// How many deliveries end with it.
    pub fn carries(&self) -> u32 {
        self.digest.as_ref().map_or(1, |digest| digest.len())
    }

    /// The same, by severity code.
    pub fn by_severity(&self) -> [u32; 3] {
        match &self.digest {
            Some(digest) => digest.members,
            None => {
                let mut one = [0; 3];
                one[usize::from(self.alert.severity.code())] = 1;
                one
            }
        }
    }

    /// The delivery's own id, or the digest's.
    pub fn delivery_id(&self) -> DeliveryId {
        if let Some(digest) = &self.digest {
            return DeliveryId(digest.id.0);
        }
        self.accepted_as.unwrap_or_else(|| {
            DeliveryId::of(self.alert.id, self.destination.id, self.credential.id)
        })
    }
}
