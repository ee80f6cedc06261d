//! Writing what lanes have to write.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rdkafka::{
    ClientConfig,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    producer::Producer,
};

use crate::{
    client::{self, Events},
    error::OpenError,
    records::Outgoing,
    sending::{Answering, Sent},
    settings::Settings,
};

/// Records of one call under way at once, at most.
const UNDER_WAY: usize = 10_000;
/// How long to wait where as much is under way as the client has room for.
const NO_ROOM: Duration = Duration::from_millis(10);

/// A producer that the lanes of a process share.
pub(super) struct LaneWriter {
    config: ClientConfig,
    producer: Mutex<Arc<Answering>>,
}

impl LaneWriter {
    /// What is not acknowledged within `timeout` is dropped, sent or not.
    pub(super) fn open(settings: &Settings, timeout: Duration) -> Result<Self, OpenError> {
        let mut config = client::producer(settings);
        config.set("message.timeout.ms", timeout.as_millis().to_string());
        let producer = connect(&config)?;
        Ok(Self {
            config,
            producer: Mutex::new(Arc::new(producer)),
        })
    }

    /// Writes `records`, in order; answers the offset of each that is acknowledged, once
    /// it is known of all of them.
    pub(super) async fn write(&self, records: &[Outgoing]) -> Vec<Option<u64>> {
        let producer = self.lock().clone();
        let mut offsets = Vec::with_capacity(records.len());
        let mut under_way = VecDeque::new();
        let mut failure = None;
        for record in records {
            if under_way.len() >= UNDER_WAY {
                settle(&mut under_way, &mut offsets, &mut failure).await;
            }
            let sent = loop {
                match producer.send(record) {
                    Err(KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) => {
                        match under_way.is_empty() {
                            true => tokio::time::sleep(NO_ROOM).await,
                            false => settle(&mut under_way, &mut offsets, &mut failure).await,
                        }
                    }
                    sent => break sent,
                }
            };
            under_way.push_back(sent);
        }
        while !under_way.is_empty() {
            settle(&mut under_way, &mut offsets, &mut failure).await;
        }
        if let Some(error) = failure {
            tracing::warn!(%error, "records of lanes were not acknowledged");
            self.replace_where_dead(&producer);
        }
        offsets
    }

    /// librdkafka gives an idempotent producer up where it cannot keep its promise; what
    /// it had is answered, and another one takes its place.
    fn replace_where_dead(&self, dead: &Arc<Answering>) {
        let Some((code, reason)) = dead.producer().client().fatal_error() else {
            return;
        };
        let mut producer = self.lock();
        if !Arc::ptr_eq(&producer, dead) {
            return;
        }
        match connect(&self.config) {
            Ok(new) => {
                tracing::warn!(error = %code, "the producer of lanes began anew: {reason}");
                *producer = Arc::new(new);
            }
            Err(error) => tracing::error!(%error, "the producer of lanes cannot begin anew"),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Arc<Answering>> {
        self.producer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for the oldest of those under way.
async fn settle(
    under_way: &mut VecDeque<KafkaResult<Sent>>,
    offsets: &mut Vec<Option<u64>>,
    failure: &mut Option<KafkaError>,
) {
    let answer = match under_way.pop_front() {
        Some(Ok(sent)) => sent.answer().await,
        Some(Err(error)) => Err(error),
        None => return,
    };
    match answer {
        Ok(offset) => offsets.push(Some(offset)),
        Err(error) => {
            offsets.push(None);
            failure.get_or_insert(error);
        }
    }
}

fn connect(config: &ClientConfig) -> Result<Answering, OpenError> {
    Answering::answering(config, Events::logged("lanes"))
}
