//! Alerts that wait to be published.

use std::{collections::VecDeque, sync::Arc};

use common::{Severity, wire::RecipientDelivery};

use crate::{alert_log::WholeAlert, settings::Format};

/// How many alerts are read ahead of those that are published, and how many bytes of
/// their texts and tokens. One alert is always taken.
const MAX_ALERTS: usize = 64;
const MAX_BYTES: usize = 64 << 20;

/// Alerts that wait to be published: a line for each topic, the high one first. Each topic
/// has the order of acceptance for itself, so a high alert need not wait for the
/// hundred thousand deliveries of a normal one.
#[derive(Debug, Default)]
pub(super) struct Lines {
    high: VecDeque<Waiting>,
    rest: VecDeque<Waiting>,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    alert: Arc<WholeAlert>,
    /// The next of its deliveries.
    next: usize,
    bytes: usize,
}

/// A delivery whose turn it is.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub(super) alert: Arc<WholeAlert>,
    pub(super) ordinal: usize,
}

impl Turn {
    /// The delivery.
    pub(super) fn delivery(&self) -> &RecipientDelivery {
        &self.alert.body.deliveries[self.ordinal]
    }
}

impl Lines {
    /// Whether another alert may be read.
    pub(super) fn has_room(&self) -> bool {
        let alerts = self.high.len() + self.rest.len();
        alerts == 0 || (alerts < MAX_ALERTS && self.bytes < MAX_BYTES)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.high.is_empty() && self.rest.is_empty()
    }

    /// Adds an alert, later than all before.
    pub(super) fn push(&mut self, alert: WholeAlert, format: Format) {
        if alert.body.deliveries.is_empty() {
            return;
        }
        let bytes = size(&alert);
        self.bytes += bytes;
        let line = match (format, alert.record.severity) {
            (Format::Sealed, Severity::High) => &mut self.high,
            _ => &mut self.rest,
        };
        line.push_back(Waiting {
            alert: Arc::new(alert),
            next: 0,
            bytes,
        });
    }

    /// The delivery whose turn it is. It stays so until it is [taken](Self::taken).
    pub(super) fn turn(&self) -> Option<Turn> {
        let waiting = self.high.front().or(self.rest.front())?;
        Some(Turn {
            alert: waiting.alert.clone(),
            ordinal: waiting.next,
        })
    }

    /// The delivery whose turn it was is published.
    pub(super) fn taken(&mut self) {
        let line = match self.high.is_empty() {
            false => &mut self.high,
            true => &mut self.rest,
        };
        let Some(waiting) = line.front_mut() else {
            return;
        };
        waiting.next += 1;
        if waiting.next == waiting.alert.body.deliveries.len() {
            self.bytes -= waiting.bytes;
            line.pop_front();
        }
    }
}

/// About what it takes in memory.
fn size(alert: &WholeAlert) -> usize {
    let delivery = |delivery: &RecipientDelivery| {
        size_of::<RecipientDelivery>()
            + delivery.token.expose().len()
            + delivery.address.len()
            + delivery.users.len() * size_of::<common::wire::Served>()
    };
    let deliveries = alert.body.deliveries.iter().map(delivery);
    alert.body.message.len() + deliveries.sum::<usize>()
}
