use std::sync::Mutex;

use async_trait::async_trait;
use common::UtcMillis;

use super::*;
use crate::{
    domain::AuditEntry,
    ports::{
        AlertDetail, AlertFilter, AlertPage, AuditFilter, DeadLetterFilter, DeadLetterPage,
        DeliveryDetail, EventId, Events, HistoryError,
    },
};

/// Keeps what is done, in order, be it written down or carried out.
#[derive(Default)]
struct Seen {
    done: Mutex<Vec<String>>,
    /// Why nothing can be written down.
    refuses: Option<AuditError>,
}

impl Seen {
    fn note(&self, what: impl Into<String>) {
        self.done.lock().unwrap().push(what.into());
    }

    fn done(&self) -> Vec<String> {
        self.done.lock().unwrap().clone()
    }
}

#[async_trait]
impl AuditLog for Seen {
    async fn append(&self, record: AuditRecord) -> Result<(), AuditError> {
        if let Some(error) = &self.refuses {
            return Err(error.clone());
        }
        let Deed { action, detail, .. } = record.deed;
        self.note(format!("{} {} {detail}", record.by.who, action.as_str()));
        Ok(())
    }

    async fn entries(
        &self,
        _: AuditFilter,
        _: Option<u64>,
        _: usize,
    ) -> Result<Vec<AuditEntry>, AuditError> {
        Ok(vec![])
    }
}

/// Has nothing in it, or cannot say.
enum Past {
    Empty,
    Unreadable,
}

impl Past {
    fn answer<T>(&self) -> Result<Option<T>, HistoryError> {
        match self {
            Self::Empty => Ok(None),
            Self::Unreadable => Err(HistoryError::Failed("broken".into())),
        }
    }
}

#[async_trait]
impl History for Past {
    async fn alerts(
        &self,
        _: AlertFilter,
        _: Option<u64>,
        _: usize,
    ) -> Result<AlertPage, HistoryError> {
        unreachable!("no list is needed")
    }

    async fn alert(
        &self,
        _: AlertId,
        _: u32,
        _: usize,
    ) -> Result<Option<AlertDetail>, HistoryError> {
        self.answer()
    }

    async fn delivery(&self, _: DeliveryId) -> Result<Option<DeliveryDetail>, HistoryError> {
        self.answer()
    }

    async fn dead_letters(
        &self,
        _: DeadLetterFilter,
        _: Option<DeliveryPlace>,
        _: usize,
    ) -> Result<DeadLetterPage, HistoryError> {
        unreachable!("no list is needed")
    }

    fn now(&self) -> EventId {
        EventId::default()
    }

    async fn events(&self, _: EventId, _: usize) -> Result<Events, HistoryError> {
        unreachable!("no events are needed")
    }
}

#[async_trait]
impl Control for Seen {
    async fn cancel(&self, _: AlertId) -> Result<Option<Cancelled>, ControlError> {
        self.note("cancel");
        Ok(None)
    }

    async fn replay_one(&self, _: DeliveryId) -> Result<Option<Stage>, ReplayError> {
        self.note("replay one");
        Ok(None)
    }

    async fn replay(
        &self,
        _: Selection,
        _: Option<DeliveryPlace>,
        _: usize,
        _: Mode,
    ) -> Result<Replayed, ReplayError> {
        self.note("replay");
        Ok(Replayed {
            count: 0,
            stage: Stage::Done,
            next: None,
        })
    }

    async fn discard(&self, _: DeliveryId) -> Result<bool, ControlError> {
        self.note("discard");
        Ok(true)
    }
}

/// Of alerts that may be there: the history cannot say.
fn orders(refuses: Option<AuditError>) -> (Arc<Seen>, Orders) {
    orders_about(Past::Unreadable, refuses)
}

fn orders_about(past: Past, refuses: Option<AuditError>) -> (Arc<Seen>, Orders) {
    let seen = Arc::new(Seen {
        refuses,
        ..Seen::default()
    });
    (
        seen.clone(),
        Orders::new(seen.clone(), Arc::new(past), seen),
    )
}

fn dead_letters() -> Selection {
    Selection::DeadLetters(DeadLetterFilter {
        channel: Some("slack".into()),
        reason: Some("not_found".into()),
        since: Some(UtcMillis(7)),
    })
}

const ALERT: AlertId = AlertId(Uuid::from_u128(1));
const DELIVERY: DeliveryId = DeliveryId(Uuid::from_u128(2));

#[tokio::test]
async fn each_order_is_written_down_before_it_is_carried_out() {
    let (seen, orders) = orders(None);
    let by = &Caller::LOCAL;
    orders.cancel(ALERT, by).await.unwrap();
    orders.replay_one(DELIVERY, by).await.unwrap();
    let replay = orders.replay(dead_letters(), None, 10, Mode::Commit, by);
    replay.await.unwrap();
    assert!(orders.discard(DELIVERY, by).await.unwrap());
    assert_eq!(
        seen.done(),
        [
            "local alert.cancelled ",
            "cancel",
            "local delivery.replayed ",
            "replay one",
            "local dead_letters.replayed channel slack, reason \"not_found\", since 7 ms",
            "replay",
            "local dead_letter.discarded ",
            "discard",
        ]
    );
}

#[tokio::test]
async fn an_order_about_what_does_not_exist_is_neither_written_down_nor_carried_out() {
    let (seen, orders) = orders_about(Past::Empty, None);
    let by = &Caller::LOCAL;
    assert_eq!(orders.cancel(ALERT, by).await, Ok(None));
    assert_eq!(orders.replay_one(DELIVERY, by).await, Ok(None));
    assert_eq!(orders.discard(DELIVERY, by).await, Ok(false));
    assert!(seen.done().is_empty());
}

#[tokio::test]
async fn a_dry_run_is_no_order() {
    let (seen, orders) = orders(None);
    let replay = orders.replay(dead_letters(), None, 10, Mode::DryRun, &Caller::LOCAL);
    replay.await.unwrap();
    assert_eq!(seen.done(), ["replay"]);
}

#[tokio::test]
async fn nothing_is_carried_out_that_could_not_be_written_down() {
    for (error, refusal) in [
        (
            AuditError::Unavailable("full".into()),
            ControlError::Unwritable("full".into()),
        ),
        (
            AuditError::MaybeDone("lost".into()),
            ControlError::Unwritable("lost".into()),
        ),
        (
            AuditError::Failed("broken".into()),
            ControlError::Failed("broken".into()),
        ),
    ] {
        let (seen, orders) = orders(Some(error));
        let by = &Caller::LOCAL;
        assert_eq!(orders.cancel(ALERT, by).await, Err(refusal.clone()));
        assert_eq!(orders.discard(DELIVERY, by).await, Err(refusal.clone()));
        let replay = orders.replay(dead_letters(), None, 10, Mode::Commit, by);
        assert_eq!(replay.await, Err(refusal.into()));
        assert!(seen.done().is_empty());
    }
}
