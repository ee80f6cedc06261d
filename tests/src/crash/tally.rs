//! What rounds come to.

use std::fmt;

/// What one round, or all together, came to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Processes killed.
    pub kills: usize,
    /// Alerts answered 200.
    pub accepted: usize,
    /// Alerts without an answer.
    pub unanswered: usize,
    /// Of those, alerts that were stored, and so delivered.
    pub unanswered_stored: usize,
    /// Alerts refused.
    pub refused: usize,
    /// Deliveries that arrived, each counted once.
    pub delivered: usize,
    /// Messages that arrived again.
    pub twice: usize,
    /// How many might have.
    pub cap: usize,
    /// Requests that the mockup answered with an error.
    pub failed: usize,
    /// Of those, with 429.
    pub limited: usize,
    /// Waits on record at the kills that were not over when the next process began.
    pub waits: usize,
    /// Of those, waits that the service had asked for.
    pub asked: usize,
    /// What must not be, in words.
    pub violations: Vec<String>,
    /// Of those, deliveries of accepted alerts that never arrived.
    pub lost: usize,
}

impl Tally {
    /// Adds another.
    pub fn add(&mut self, other: Self) {
        self.kills += other.kills;
        self.accepted += other.accepted;
        self.unanswered += other.unanswered;
        self.unanswered_stored += other.unanswered_stored;
        self.refused += other.refused;
        self.delivered += other.delivered;
        self.twice += other.twice;
        self.cap += other.cap;
        self.lost += other.lost;
        self.failed += other.failed;
        self.limited += other.limited;
        self.waits += other.waits;
        self.asked += other.asked;
        self.violations.extend(other.violations);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kills; {} alerts accepted, {} without an answer ({} of them stored), {} refused; {} deliveries, \
             {} requests failed ({} of them 429), {} waits over a kill ({} of them asked for); \
             lost {}, twice {} (cap {}), violations {}",
            self.kills,
            self.accepted,
            self.unanswered,
            self.unanswered_stored,
            self.refused,
            self.delivered,
            self.failed,
            self.limited,
            self.waits,
            self.asked,
            self.lost,
            self.twice,
            self.cap,
            self.violations.len()
        )
    }
}
