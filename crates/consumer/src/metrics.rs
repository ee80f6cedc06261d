//! What the consumer counts. Channel kinds are the only labels that come from
//! outside: no names, ids or tokens.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use common::{ChannelKind, Clock, UtcMillis};
use prometheus_client::{
    collector::Collector,
    encoding::{
        DescriptorEncoder, EncodeLabelSet, EncodeLabelValue, EncodeMetric, LabelValueEncoder,
    },
    metrics::{
        counter::Counter, family::Family, gauge::ConstGauge, gauge::Gauge, histogram::Histogram,
    },
    registry::Registry,
};

use crate::{
    application::engine::Counts,
    domain::{AttemptResult, Fault, Outcome},
};

/// No delivery waits.
const NONE: i64 = i64::MAX;

/// Upper bounds of the time from accepted to sent, in seconds: fine where a
/// person would not notice, up to ten minutes.
const SENT_WITHIN: [f64; 20] = [
    0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
    2.5, 10.0, 30.0, 60.0, 300.0, 600.0,
];

/// The consumer's metrics.
#[derive(Debug)]
pub struct DeliveryMetrics {
    ended: Family<Ended, Counter>,
    attempts: Family<Tried, Counter>,
    digests: Family<Folded, Counter>,
    folded: Family<Folded, Counter>,
    in_flight: Gauge,
    waiting: Gauge,
    parked: Gauge,
    lanes: Gauge,
    accepted_to_sent: Histogram,
    oldest: Oldest,
}

/// What one engine holds, as its part of the metrics; with it, its part goes.
#[derive(Debug)]
pub(crate) struct Share {
    metrics: Arc<DeliveryMetrics>,
    counts: Counts,
    accepted_at: Arc<AtomicI64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    channel: Kind,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Tried {
    channel: Kind,
    result: &'static str,
    fault: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Folded {
    channel: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kind(ChannelKind);

impl EncodeLabelValue for Kind {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        self.0.as_str().encode(encoder)
    }
}

impl DeliveryMetrics {
    /// All at zero; `clock` tells how old the oldest delivery is when asked.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            ended: Family::default(),
            attempts: Family::default(),
            digests: Family::default(),
            folded: Family::default(),
            in_flight: Gauge::default(),
            waiting: Gauge::default(),
            parked: Gauge::default(),
            lanes: Gauge::default(),
            accepted_to_sent: Histogram::new(SENT_WITHIN),
            oldest: Oldest {
                accepted_at: Arc::default(),
                clock,
            },
        }
    }

    /// Makes them part of what `registry` shows.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "deliveries",
            "Deliveries that ended, by outcome (delivered, dead)",
            self.ended.clone(),
        );
        registry.register(
            "delivery_attempts",
            "Attempts that ended, by result (accepted, refused, maybe_accepted) and whose fault it was",
            self.attempts.clone(),
        );
        registry.register(
            "digests",
            "Digests made because a destination's pace could not carry what waited in time",
            self.digests.clone(),
        );
        registry.register(
            "deliveries_folded",
            "Deliveries folded into digests; one that was taken apart may count again",
            self.folded.clone(),
        );
        registry.register(
            "deliveries_in_flight",
            "Requests to external services under way",
            self.in_flight.clone(),
        );
        registry.register(
            "deliveries_waiting",
            "Deliveries in memory that wait for their turn or for another attempt",
            self.waiting.clone(),
        );
        registry.register(
            "deliveries_parked",
            "Deliveries set aside on disk until their lane has room",
            self.parked.clone(),
        );
        registry.register(
            "delivery_lanes",
            "Destinations that have something waiting or a pace to remember",
            self.lanes.clone(),
        );
        registry.register(
            "accepted_to_sent_seconds",
            "Time from the acceptance of an alert to the beginning of a delivery's first request",
            self.accepted_to_sent.clone(),
        );
        registry.register_collector(Box::new(self.oldest.clone()));
    }

    /// A delivery's first request begins that long after its alert was accepted.
    pub(crate) fn first_sent(&self, after: Duration) {
        self.accepted_to_sent.observe(after.as_secs_f64());
    }

    /// An attempt has ended.
    pub(crate) fn attempt_ended(
        &self,
        channel: &ChannelKind,
        result: AttemptResult,
        fault: Option<Fault>,
    ) {
        let labels = Tried {
            channel: Kind(channel.clone()),
            result: match result {
                AttemptResult::Accepted => "accepted",
                AttemptResult::Refused => "refused",
                AttemptResult::MaybeAccepted => "maybe_accepted",
            },
            fault: fault.map_or("none", Fault::as_str),
        };
        self.attempts.get_or_create(&labels).inc();
    }

    /// So many deliveries have this outcome; only those that end them are counted,
    /// and folds.
    pub(crate) fn settled(&self, channel: &ChannelKind, outcome: &Outcome, deliveries: u32) {
        if let Outcome::Folded { members, .. } = outcome {
            let labels = Folded {
                channel: Kind(channel.clone()),
            };
            self.digests.get_or_create(&labels).inc();
            self.folded
                .get_or_create(&labels)
                .inc_by(members.len() as u64);
        }
        if outcome.is_final() {
            let labels = Ended {
                channel: Kind(channel.clone()),
                outcome: outcome.as_str(),
            };
            self.ended.get_or_create(&labels).inc_by(deliveries.into());
        }
    }

    /// The part of an engine that holds nothing yet.
    pub(crate) fn share(self: &Arc<Self>) -> Share {
        let accepted_at = Arc::new(AtomicI64::new(NONE));
        self.oldest.lock().push(Arc::clone(&accepted_at));
        Share {
            metrics: Arc::clone(self),
            counts: Counts::default(),
            accepted_at,
        }
    }
}

impl Share {
    /// What the engine holds now.
    pub(crate) fn holds(&mut self, counts: Counts, oldest: Option<UtcMillis>) {
        let before = std::mem::replace(&mut self.counts, counts);
        let change = |gauge: &Gauge, from: i64, to: i64| {
            if from != to {
                gauge.inc_by(to - from);
            }
        };
        let metrics = &self.metrics;
        change(
            &metrics.in_flight,
            gauge(before.in_flight),
            gauge(counts.in_flight),
        );
        change(
            &metrics.waiting,
            gauge(before.waiting()),
            gauge(counts.waiting()),
        );
        let parked = |count| i64::try_from(count).unwrap_or(i64::MAX);
        change(
            &metrics.parked,
            parked(before.parked),
            parked(counts.parked),
        );
        change(&metrics.lanes, gauge(before.lanes), gauge(counts.lanes));
        self.accepted_at
            .store(oldest.map_or(NONE, |at| at.0), Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.holds(Counts::default(), None);
        self.metrics
            .oldest
            .lock()
            .retain(|other| !Arc::ptr_eq(other, &self.accepted_at));
    }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The age of the oldest delivery that has not ended, worked out when it is asked
/// for: while everything waits, nothing else would move it.
#[derive(Clone)]
struct Oldest {
    /// Of each engine.
    accepted_at: Arc<Mutex<Vec<Arc<AtomicI64>>>>,
    clock: Arc<dyn Clock>,
}

impl Oldest {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<AtomicI64>>> {
        // The list is whole between any two statements that could panic.
        self.accepted_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Oldest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Oldest")
            .field("accepted_at", &self.accepted_at)
            .finish_non_exhaustive()
    }
}

impl Collector for Oldest {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let oldest = self
            .lock()
            .iter()
            .map(|at| at.load(Ordering::Relaxed))
            .min();
        let age = match oldest {
            None | Some(NONE) => 0.0,
            Some(at) => self.clock.now().utc.since(UtcMillis(at)).as_secs_f64(),
        };
        let gauge = ConstGauge::new(age);
        let encoder = encoder.encode_descriptor(
            "oldest_delivery_age_seconds",
            "Age of the oldest delivery in memory that has not ended; 0 where there is none",
            None,
            gauge.metric_type(),
        )?;
        gauge.encode(encoder)
    }
}

#[cfg(test)]
mod tests {
    use common::Now;

    use super::*;

    struct At(i64);

    impl Clock for At {
        fn now(&self) -> Now {
            Now {
                mono: Duration::ZERO,
                utc: UtcMillis(self.0),
            }
        }
    }

    fn shown(metrics: &DeliveryMetrics) -> String {
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn outcomes_and_attempts_are_counted_by_channel() {
        let metrics = DeliveryMetrics::new(Arc::new(At(0)));
        let slack = ChannelKind::SLACK;
        metrics.attempt_ended(&slack, AttemptResult::Refused, Some(Fault::Destination));
        metrics.attempt_ended(&slack, AttemptResult::Accepted, None);
        metrics.settled(&slack, &Outcome::PartSent, 1);
        metrics.settled(&slack, &Outcome::Delivered, 1);
        let text = shown(&metrics);
        for line in [
            r#"deliveries_total{channel="slack",outcome="delivered"} 1"#,
            r#"delivery_attempts_total{channel="slack",result="refused",fault="destination"} 1"#,
            r#"delivery_attempts_total{channel="slack",result="accepted",fault="none"} 1"#,
        ] {
            assert!(text.contains(line), "{line} is missing in:\n{text}");
        }
        assert!(!text.contains("part_sent"), "{text}");
    }

    #[test]
    fn the_oldest_delivery_ages_while_nothing_happens() {
        let metrics = Arc::new(DeliveryMetrics::new(Arc::new(At(65_000))));
        assert!(shown(&metrics).contains("oldest_delivery_age_seconds 0.0"));
        let mut share = metrics.share();
        share.holds(Counts::default(), Some(UtcMillis(5_000)));
        assert!(shown(&metrics).contains("oldest_delivery_age_seconds 60.0"));
    }

    #[test]
    fn several_engines_count_together_and_one_that_ended_does_not() {
        let metrics = Arc::new(DeliveryMetrics::new(Arc::new(At(65_000))));
        let [mut one, mut other] = [metrics.share(), metrics.share()];
        let counts = |held, parked| Counts {
            held,
            parked,
            ..Counts::default()
        };
        one.holds(counts(3, 10), Some(UtcMillis(5_000)));
        other.holds(counts(1, 0), Some(UtcMillis(35_000)));
        one.holds(counts(2, 10), Some(UtcMillis(5_000)));
        let text = shown(&metrics);
        assert!(text.contains("deliveries_waiting 3"), "{text}");
        assert!(text.contains("oldest_delivery_age_seconds 60.0"), "{text}");
        drop(one);
        let text = shown(&metrics);
        assert!(text.contains("deliveries_waiting 1"), "{text}");
        assert!(text.contains("deliveries_parked 0"), "{text}");
        assert!(text.contains("oldest_delivery_age_seconds 30.0"), "{text}");
    }

    #[test]
    fn the_time_to_the_first_request_is_a_histogram_from_half_a_millisecond_up() {
        let metrics = DeliveryMetrics::new(Arc::new(At(0)));
        metrics.first_sent(Duration::from_micros(400));
        metrics.first_sent(Duration::from_secs(601));
        let text = shown(&metrics);
        assert!(
            text.contains(r#"accepted_to_sent_seconds_bucket{le="0.0005"} 1"#),
            "{text}"
        );
        assert!(
            text.contains(r#"accepted_to_sent_seconds_bucket{le="600.0"} 1"#),
            "{text}"
        );
        assert!(text.contains("accepted_to_sent_seconds_count 2"), "{text}");
    }
}
