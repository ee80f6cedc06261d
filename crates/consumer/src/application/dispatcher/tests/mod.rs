//! The dispatcher between a queue, a channel and a clock that the test controls.
//! Time is tokio's paused one: it moves only when nothing else can.

mod bench;
mod ending;
mod sending;
mod telling;

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use common::{
    ChannelKind, Credential, CredentialId, Destination, DestinationId, Now, Secret, Severity,
    UtcMillis,
    status::{BreakerOf, DestinationState, StatusFilter},
};
use tokio::{
    sync::{Notify, Semaphore, oneshot},
    task::JoinHandle,
    time::Instant,
};

use super::*;
use crate::{
    application::fixtures,
    domain::{
        Answer, AttemptResult, Fault, Lease, LeaseKey, Outcome, Position, Refusal, Settlement,
        Unfolded,
    },
    ports::{Message, Pace, ParkedLane, Text, TextLimit},
};
