//! What goes wrong in telling people, so that someone can be told of it.

use crate::{AlertId, DeliveryId, status::BreakerOf};

/// Something that went wrong in telling people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// An alert was accepted that concerned nobody.
    ReachedNobody {
        /// The alert.
        alert: AlertId,
        /// The first target that it named.
        target: Box<str>,
    },
    /// Deliveries of high severity were given up.
    HighDied {
        /// How many: more than one where a digest carried them.
        deliveries: u32,
        /// Of these, the one that led.
        delivery: DeliveryId,
        /// Where to, as [`Destination::hinted`](crate::Destination::hinted) says.
        place: Box<str>,
        /// Why.
        reason: Box<str>,
    },
    /// A breaker that was closed has opened.
    BreakerOpened {
        /// Whose.
        of: BreakerOf,
        /// What made it open.
        error: Box<str>,
        /// Whether a warning made it open: then nobody is to be warned for it alone.
        by_warning: bool,
    },
    /// The disk is full, and the reserve is in use that keeps deliveries going.
    ReserveInUse,
}

/// Where mishaps are told.
pub trait Mishaps: Send + Sync {
    /// Takes note of one, without waiting for anything. Called where deliveries are
    /// decided, so it has to be quick. A repeated call is another mishap.
    fn happened(&self, mishap: Mishap);
}

/// Nobody wants to know.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unheard;

impl Mishaps for Unheard {
    fn happened(&self, _: Mishap) {}
}
