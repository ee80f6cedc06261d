//! What a batch adds to the summaries of each 1,024 alerts.

use std::collections::BTreeMap;

use common::{Severity, UtcMillis};
use deadpool_postgres::Transaction;

use super::alerts::Prepared;
use crate::{error::Failure, history::sql::whole};

/// A block is a sequence number without its last bits.
pub(in crate::history) const BLOCK_BITS: u32 = 10;

/// By block.
#[derive(Default)]
pub(super) struct Blocks(BTreeMap<u64, Added>);

#[derive(Default)]
struct Added {
    /// The earliest and the latest time of acceptance.
    times: Option<(UtcMillis, UtcMillis)>,
    /// By [`Severity::code`].
    counts: [u32; 3],
    open: i64,
}

impl Blocks {
    /// An alert was recorded.
    pub(super) fn accepted(&mut self, alert: &Prepared) {
        let added = self.of(alert.sequence);
        let at = alert.accepted_at;
        let (first, last) = added.times.unwrap_or((at, at));
        added.times = Some((first.min(at), last.max(at)));
        added.counts[usize::from(alert.severity.code())] += 1;
        added.open += i64::from(alert.delivery_count);
    }

    /// By how much the number of open deliveries changes, by sequence number.
    pub(super) fn opened(&mut self, by_sequence: &BTreeMap<u64, i64>) {
        for (sequence, count) in by_sequence {
            self.of(*sequence).open += count;
        }
    }

    fn of(&mut self, sequence: u64) -> &mut Added {
        self.0.entry(sequence >> BLOCK_BITS).or_default()
    }

    pub(super) async fn write(&self, transaction: &Transaction<'_>) -> Result<(), Failure> {
        if self.0.is_empty() {
            return Ok(());
        }
        let statement = transaction
            .prepare_cached(
                "INSERT INTO alert_block AS block
                   (block, first_at, last_at, low, normal, high, open)
                 SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::integer[],
                   $5::integer[], $6::integer[], $7::bigint[])
                 ON CONFLICT (block) DO UPDATE SET
                   first_at = least(block.first_at, excluded.first_at),
                   last_at = greatest(block.last_at, excluded.last_at),
                   low = block.low + excluded.low,
                   normal = block.normal + excluded.normal,
                   high = block.high + excluded.high,
                   open = block.open + excluded.open",
            )
            .await?;
        let added = || self.0.values();
        let times = || added().map(|one| one.times);
        let blocks: Vec<i64> = self.0.keys().map(|block| *block as i64).collect();
        let first: Vec<_> = times()
            .map(|times| times.map(|(first, _)| first.0))
            .collect();
        let last: Vec<_> = times().map(|times| times.map(|(_, last)| last.0)).collect();
        let count = |severity: Severity| {
            let place = usize::from(severity.code());
            added()
                .map(|one| whole(one.counts[place]))
                .collect::<Vec<_>>()
        };
        let open: Vec<_> = added().map(|one| one.open).collect();
        let (low, normal, high) = (
            count(Severity::Low),
            count(Severity::Normal),
            count(Severity::High),
        );
        transaction
            .execute(
                &statement,
                &[&blocks, &first, &last, &low, &normal, &high, &open],
            )
            .await?;
        Ok(())
    }
}
