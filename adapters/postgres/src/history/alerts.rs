//! Pages of alerts.

use std::collections::HashMap;

use common::packed::PackedDelivery;
use deadpool_postgres::Transaction;
use producer::ports::{AlertFilter, AlertPage, AlertSummary, DeliveryState, StateCounts};
use tokio_postgres::Row;

use super::{
    blocks::{Walk, Wanted},
    opened::{ALERT, Head, NEXT_COLUMN, deliveries, head},
    record::BLOCK_BITS,
    state::{Standing, State},
};
use crate::error::Failure;

/// What one page may cost, in alerts looked at.
const BUDGET: usize = 12_000;
/// What it costs to sum up the deliveries of an alert.
const SUMMARY: usize = 2;
/// What it costs to walk a block whose alerts the database rejects.
const BLOCK: usize = 200;
/// Deliveries that cost as much as an alert does.
const DELIVERIES: usize = 8;
/// Alerts summed up at once, and deliveries.
const AT_ONCE: usize = 256;
const DELIVERIES_AT_ONCE: usize = 50_000;

/// What the database judges of a filter. The user's id is looked for in the packed
/// bytes; whoever reads them makes sure.
const MATCHES: &str = "($3::bigint IS NULL OR accepted_at >= $3)
     AND ($4::bigint IS NULL OR accepted_at <= $4)
     AND ($5::smallint IS NULL OR severity = $5)
     AND ($6::text IS NULL OR $6 = ANY (targets))
     AND ($7::bytea IS NULL OR position($7 IN recipients) > 0)";

/// Alerts that have deliveries of a state of which an index knows; the last first.
const BY_STATE: &str = "SELECT DISTINCT sequence FROM delivery
     WHERE state = $1 AND sequence < $2 ORDER BY sequence DESC LIMIT $3";

/// A page of alerts that match, the last accepted first.
pub(super) async fn page(
    transaction: &Transaction<'_>,
    filter: &AlertFilter,
    before: Option<u64>,
    limit: usize,
) -> Result<AlertPage, Failure> {
    let mut page = Filling::new(transaction, filter, limit);
    match filter.state {
        Some(DeliveryState::Dead) => page.by_state(State::Dead, before).await?,
        Some(DeliveryState::Cancelled) => page.by_state(State::Cancelled, before).await?,
        Some(DeliveryState::Queued | DeliveryState::Sending | DeliveryState::Waiting) => {
            page.by_block(before, true).await?;
        }
        Some(DeliveryState::Delivered | DeliveryState::Digested) | None => {
            page.by_block(before, false).await?;
        }
    }
    Ok(page.finish())
}

/// A page as it is filled.
struct Filling<'a> {
    transaction: &'a Transaction<'a>,
    filter: &'a AlertFilter,
    /// The filter's text in lower case.
    text: Option<String>,
    limit: usize,
    items: Vec<AlertSummary>,
    spent: usize,
    next: Option<u64>,
}

impl<'a> Filling<'a> {
    fn new(transaction: &'a Transaction<'a>, filter: &'a AlertFilter, limit: usize) -> Self {
        Self {
            transaction,
            text: filter.text.as_ref().map(|text| text.to_lowercase()),
            filter,
            limit,
            items: Vec::new(),
            spent: 0,
            next: None,
        }
    }

    /// Walks the blocks.
    async fn by_block(&mut self, before: Option<u64>, is_open: bool) -> Result<(), Failure> {
        let wanted = Wanted {
            since: self.filter.since,
            until: self.filter.until,
            severity: self.filter.severity,
            is_open,
        };
        let mut walk = Walk::new(wanted, before);
        while let Some((first, end)) = walk.next(self.transaction).await? {
            if self.is_done(end as u64) {
                break;
            }
            let rows = self.of_block(first, end).await?;
            self.consider(rows).await?;
            self.spent += BLOCK;
        }
        Ok(())
    }

    /// Walks what the index of a state knows.
    async fn by_state(&mut self, state: State, before: Option<u64>) -> Result<(), Failure> {
        let mut before = before.map_or(i64::MAX, |before| before as i64);
        loop {
            if self.is_done(before as u64) {
                return Ok(());
            }
            let statement = self.transaction.prepare_cached(BY_STATE).await?;
            let limit = AT_ONCE as i64;
            let rows = self
                .transaction
                .query(&statement, &[&state.code(), &before, &limit])
                .await?;
            let found: Result<Vec<i64>, _> = rows.iter().map(|row| row.try_get(0)).collect();
            let found = found?;
            let Some(last) = found.last().copied() else {
                return Ok(());
            };
            let alerts = self.of_sequences(&found).await?;
            self.consider(alerts).await?;
            if (found.len() as i64) < limit {
                return Ok(());
            }
            before = last;
        }
    }

    /// The alerts of a block that the database lets pass.
    async fn of_block(&self, first: i64, end: i64) -> Result<Vec<Row>, Failure> {
        // Where nothing is judged here, no more is read than is shown.
        let is_judged = self.text.is_some() || self.filter.state.is_some();
        let limit = match is_judged || self.filter.user.is_some() {
            true => 1 << BLOCK_BITS,
            false => (self.limit + 1 - self.items.len()) as i64,
        };
        self.alerts("sequence >= $1 AND sequence < $2", &first, &end, limit)
            .await
    }

    async fn of_sequences(&self, sequences: &[i64]) -> Result<Vec<Row>, Failure> {
        let limit = sequences.len() as i64;
        self.alerts("sequence = ANY ($1) AND $2", &sequences, &true, limit)
            .await
    }

    async fn alerts(
        &self,
        which: &str,
        first: &(dyn tokio_postgres::types::ToSql + Sync),
        second: &(dyn tokio_postgres::types::ToSql + Sync),
        limit: i64,
    ) -> Result<Vec<Row>, Failure> {
        let query = format!(
            "SELECT {ALERT}, CASE WHEN $7::bytea IS NULL THEN NULL ELSE recipients END
             FROM alert WHERE {which} AND {MATCHES} ORDER BY sequence DESC LIMIT $8"
        );
        let statement = self.transaction.prepare_cached(&query).await?;
        let filter = self.filter;
        let rows = self
            .transaction
            .query(
                &statement,
                &[
                    first,
                    second,
                    &filter.since.map(|since| since.0),
                    &filter.until.map(|until| until.0),
                    &filter.severity.map(|severity| i16::from(severity.code())),
                    &filter.target.as_deref(),
                    &filter.user.as_ref().map(|user| &user.0.as_bytes()[..]),
                    &limit,
                ],
            )
            .await?;
        Ok(rows)
    }

    /// Whether the page is full or has cost enough, with all at and above `looked_at`
    /// having been looked at: what is below is left for the next.
    fn is_done(&mut self, looked_at: u64) -> bool {
        let is_full = self.items.len() > self.limit;
        let is_spent = self.spent >= BUDGET;
        if is_spent && !is_full {
            self.next.get_or_insert(looked_at);
        }
        is_full || is_spent
    }

    /// Takes those in that match, as long as the page is not done.
    async fn consider(&mut self, rows: Vec<Row>) -> Result<(), Failure> {
        let mut pending = Vec::new();
        let mut weight = 0;
        for row in &rows {
            self.spent += 1;
            let head = head(row)?;
            if !self.may_match(&head, row)? {
                continue;
            }
            weight += head.delivery_count;
            pending.push(head);
            if pending.len() >= AT_ONCE || weight >= DELIVERIES_AT_ONCE {
                weight = 0;
                self.judge(std::mem::take(&mut pending)).await?;
                if self.items.len() > self.limit || self.next.is_some() {
                    return Ok(());
                }
            }
        }
        self.judge(pending).await
    }

    fn may_match(&self, head: &Head, row: &Row) -> Result<bool, Failure> {
        if let Some(text) = &self.text
            && !head.alert.message.to_lowercase().contains(text)
        {
            return Ok(false);
        }
        let Some(user) = self.filter.user else {
            return Ok(true);
        };
        let tells = |delivery: &PackedDelivery| {
            let mut recipients = delivery.recipients.iter();
            recipients.any(|recipient| recipient.user == user)
        };
        Ok(deliveries(row, NEXT_COLUMN)?.iter().any(tells))
    }

    /// Sums up alerts, and takes those in that match.
    async fn judge(&mut self, heads: Vec<Head>) -> Result<(), Failure> {
        let summaries = summaries(self.transaction, heads).await?;
        for summary in summaries {
            if self.is_done(summary.sequence + 1) {
                return Ok(());
            }
            let weight: u64 = DeliveryState::ALL
                .iter()
                .map(|state| summary.states.of(*state))
                .sum();
            self.spent += SUMMARY + weight as usize / DELIVERIES;
            let state = self.filter.state;
            if state.is_none_or(|state| summary.states.of(state) > 0) {
                self.items.push(summary);
            }
        }
        Ok(())
    }

    fn finish(mut self) -> AlertPage {
        if self.items.len() > self.limit {
            self.items.truncate(self.limit);
            self.next = self.items.last().map(|last| last.sequence);
        }
        AlertPage {
            items: self.items,
            next: self.next,
        }
    }
}

/// What became of alerts' deliveries, counted; in the order of `heads`.
pub(super) async fn summaries(
    transaction: &Transaction<'_>,
    heads: Vec<Head>,
) -> Result<Vec<AlertSummary>, Failure> {
    if heads.is_empty() {
        return Ok(Vec::new());
    }
    let statement = transaction
        .prepare_cached(
            "SELECT sequence, state, wait_until IS NOT NULL, parts_sent > 0,
               digest IS NOT NULL, count(*)
             FROM delivery WHERE sequence = ANY ($1) GROUP BY 1, 2, 3, 4, 5",
        )
        .await?;
    let sequences: Vec<i64> = heads.iter().map(|head| head.sequence as i64).collect();
    let rows = transaction.query(&statement, &[&sequences]).await?;
    let mut counts: HashMap<u64, (StateCounts, u64)> = HashMap::with_capacity(heads.len());
    for row in &rows {
        let standing = Standing {
            state: Some(State::of_code(row.try_get(1)?)?),
            waits: row.try_get(2)?,
            has_parts: row.try_get(3)?,
        };
        let count = row.try_get::<_, i64>(5)?.unsigned_abs();
        let sequence = row.try_get::<_, i64>(0)? as u64;
        let (states, total) = counts.entry(sequence).or_default();
        *states.of_mut(standing.shown(row.try_get(4)?)) += count;
        *total += count;
    }
    let summary = |head: Head| {
        let (mut states, total) = counts.remove(&head.sequence).unwrap_or_default();
        // What has no row was never tried.
        let without_row = (head.delivery_count as u64).saturating_sub(total);
        *states.of_mut(DeliveryState::Queued) += without_row;
        AlertSummary {
            sequence: head.sequence,
            alert: head.alert,
            user_count: head.user_count,
            states,
        }
    };
    Ok(heads.into_iter().map(summary).collect())
}
