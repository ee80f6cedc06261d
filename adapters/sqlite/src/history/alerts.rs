//! Pages of alerts.

use common::{Severity, UtcMillis};
use producer::ports::{AlertFilter, AlertPage, AlertSummary, DeliveryState};
use rusqlite::{Row, params};

use super::{
    View,
    blocks::{self, Wanted},
    records,
};
use crate::{
    handoff::Opened,
    reader::{ALERT, opened},
};

/// What one page may cost, in alerts looked at; about 15 ms.
const BUDGET: usize = 12_000;
/// What it costs to sum up the deliveries of an alert.
const SUMMARY: usize = 2;
/// What it costs to walk a block whose alerts a filter of time or severity rejects.
const BLOCK: usize = 200;
/// Deliveries that cost as much as an alert does.
const DELIVERIES: usize = 8;

const OF_BLOCK: &str = "WHERE sequence >= ?5 AND sequence < ?1
       AND (?2 IS NULL OR accepted_at >= ?2) AND (?3 IS NULL OR accepted_at <= ?3)
       AND (?4 IS NULL OR severity = ?4)
     ORDER BY sequence DESC";

/// Alerts that have deliveries of a state of which an index knows; the last first.
const DEAD: &str = "SELECT DISTINCT sequence FROM delivery WHERE state = 4 AND sequence < ?1
     ORDER BY sequence DESC";
const CANCELLED: &str = "SELECT DISTINCT sequence FROM delivery WHERE state = 5 AND sequence < ?1
     ORDER BY sequence DESC";
const OPEN: &str = "SELECT sequence FROM (
       SELECT sequence FROM open_alert WHERE severity = 0 AND sequence < ?1
       UNION ALL SELECT sequence FROM open_alert WHERE severity = 1 AND sequence < ?1
       UNION ALL SELECT sequence FROM open_alert WHERE severity = 2 AND sequence < ?1)
     ORDER BY sequence DESC";

/// A page of alerts that match, the last accepted first.
pub(super) fn page(
    view: View<'_>,
    filter: &AlertFilter,
    before: Option<u64>,
    limit: usize,
) -> Result<AlertPage, rusqlite::Error> {
    let before = before.map_or(i64::MAX, |before| before as i64);
    let mut page = Filling::new(filter, limit);
    match filter.state {
        Some(DeliveryState::Dead) => by_state(view, DEAD, before, &mut page)?,
        Some(DeliveryState::Cancelled) => by_state(view, CANCELLED, before, &mut page)?,
        Some(DeliveryState::Queued | DeliveryState::Sending | DeliveryState::Waiting) => {
            by_state(view, OPEN, before, &mut page)?;
        }
        Some(DeliveryState::Delivered | DeliveryState::Digested) | None => {
            by_block(view, before, &mut page)?;
        }
    }
    Ok(page.finish())
}

/// Walks the blocks.
fn by_block(view: View<'_>, before: i64, page: &mut Filling<'_>) -> Result<(), rusqlite::Error> {
    let wanted = Wanted {
        since: page.filter.since,
        until: page.filter.until,
        severity: page.filter.severity,
    };
    let query = format!("{ALERT} {OF_BLOCK}");
    blocks::walk(view.connection, wanted, before, |first, end| {
        let mut alerts = view.connection.prepare_cached(&query)?;
        let mut alerts = alerts.query(params![
            end,
            wanted.since.map(|since| since.0),
            wanted.until.map(|until| until.0),
            wanted.severity.map(Severity::code),
            first
        ])?;
        while let Some(row) = alerts.next()? {
            if page.is_done(row.get::<_, i64>(7)? as u64) {
                return Ok(false);
            }
            page.consider(view, row)?;
        }
        page.spent += BLOCK;
        Ok(!page.is_done(first as u64))
    })
}

/// Walks what an index of a state knows.
fn by_state(
    view: View<'_>,
    candidates: &str,
    before: i64,
    page: &mut Filling<'_>,
) -> Result<(), rusqlite::Error> {
    let mut candidates = view.connection.prepare_cached(candidates)?;
    let mut candidates = candidates.query([before])?;
    let query = format!("{ALERT} WHERE sequence = ?1");
    while let Some(candidate) = candidates.next()? {
        let sequence: i64 = candidate.get(0)?;
        if page.is_done(sequence as u64 + 1) {
            return Ok(());
        }
        let mut alert = view.connection.prepare_cached(&query)?;
        let mut alert = alert.query([sequence])?;
        if let Some(row) = alert.next()? {
            page.consider(view, row)?;
        }
    }
    Ok(())
}

/// A page as it is filled.
struct Filling<'a> {
    filter: &'a AlertFilter,
    /// The filter's text in lower case.
    text: Option<String>,
    limit: usize,
    items: Vec<AlertSummary>,
    spent: usize,
    next: Option<u64>,
}

impl<'a> Filling<'a> {
    fn new(filter: &'a AlertFilter, limit: usize) -> Self {
        Self {
            text: filter.text.as_ref().map(|text| text.to_lowercase()),
            filter,
            limit,
            items: Vec::new(),
            spent: 0,
            next: None,
        }
    }

    /// Whether the page is full or has cost enough, with all at and above
    /// `looked_at` having been looked at: what is below is left for the next.
    fn is_done(&mut self, looked_at: u64) -> bool {
        let is_full = self.items.len() > self.limit;
        let is_spent = self.spent >= BUDGET;
        if is_spent && !is_full {
            self.next = Some(looked_at);
        }
        is_full || is_spent
    }

    fn consider(&mut self, view: View<'_>, row: &Row<'_>) -> Result<(), rusqlite::Error> {
        self.spent += 1;
        if !self.may_match(row)? {
            return Ok(());
        }
        let opened = opened(row, row.get::<_, i64>(7)? as u64)?;
        self.spent += opened.deliveries.len() / DELIVERIES;
        if !self.concerns(&opened) {
            return Ok(());
        }
        let summary = records::summary(view, &opened)?;
        self.spent += SUMMARY + opened.deliveries.len() / DELIVERIES;
        let state = self.filter.state;
        if state.is_none_or(|state| summary.states.of(state) > 0) {
            self.items.push(summary);
        }
        Ok(())
    }

    /// Judges by the columns that cost little.
    fn may_match(&self, row: &Row<'_>) -> Result<bool, rusqlite::Error> {
        let filter = self.filter;
        let accepted_at = UtcMillis(row.get(3)?);
        let is_in_time = filter.since.is_none_or(|since| accepted_at >= since)
            && filter.until.is_none_or(|until| accepted_at <= until);
        let severity: u8 = row.get(2)?;
        if !is_in_time || filter.severity.is_some_and(|one| one.code() != severity) {
            return Ok(false);
        }
        match &self.text {
            Some(text) => Ok(row.get_ref(4)?.as_str()?.to_lowercase().contains(text)),
            None => Ok(true),
        }
    }

    fn concerns(&self, opened: &Opened) -> bool {
        let filter = self.filter;
        let names = |target: &str| opened.alert.targets.iter().any(|one| **one == *target);
        let tells = |user| {
            let mut recipients = opened.deliveries.iter().flat_map(|one| &one.recipients);
            recipients.any(|recipient| recipient.user == user)
        };
        filter.target.as_deref().is_none_or(names) && filter.user.is_none_or(tells)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{self, plan};

    #[test]
    fn no_page_sorts_or_walks_a_table_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let mut connection = schema::open(&path, crate::Synchronous::Off).unwrap();
        schema::migrate(&mut connection).unwrap();
        for query in [DEAD, CANCELLED, OPEN] {
            let plan = plan(&connection, query);
            assert!(!plan.contains("TEMP B-TREE"), "{query}: {plan}");
        }
        for query in [DEAD, CANCELLED] {
            assert!(plan(&connection, query).contains("USING COVERING INDEX delivery_"));
        }
        let of_block = plan(&connection, &format!("{ALERT} {OF_BLOCK}"));
        assert!(of_block.contains("USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"));
    }
}
