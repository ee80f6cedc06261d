//! Asking the consumers, by the topic of controls.

use async_trait::async_trait;
use common::wire::ControlRecord;
use producer::ports::{AskError, ConsumerRequest, Consumers};

use crate::{
    publisher::{Failure, Publisher},
    records::{Outgoing, cancel_records, replay_record},
    topics::partition_of,
};

#[async_trait]
impl Consumers for Publisher {
    async fn ask(&self, requests: Vec<ConsumerRequest>) -> Result<(), AskError> {
        self.check().map_err(AskError::Unavailable)?;
        let records: Vec<Outgoing> = requests
            .iter()
            .flat_map(|request| self.records_of(request))
            .collect();
        // All are under way at once. Whatever becomes of one, the others may be there.
        let mut is_sent = false;
        let mut sent = Vec::with_capacity(records.len());
        let mut failed = None;
        for record in &records {
            match self.send(record) {
                Ok(one) => sent.push(one),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        for one in sent {
            match one.acknowledged().await {
                Ok(()) => is_sent = true,
                Err(error) => {
                    is_sent |= matches!(error, Failure::Unknown(_));
                    failed = Some(error);
                }
            }
        }
        match failed.map(|failure| failure.to_string()) {
            None => Ok(()),
            Some(reason) if is_sent => Err(AskError::MaybeAsked(reason)),
            Some(reason) => Err(AskError::Unavailable(reason)),
        }
    }
}

impl Publisher {
    fn records_of(&self, request: &ConsumerRequest) -> Vec<Outgoing> {
        match request {
            ConsumerRequest::Cancel {
                alert,
                gtid,
                sequence,
                severity,
                deliveries,
            } => cancel_records(*alert, *sequence, *severity, deliveries, self.partitions())
                .iter()
                .map(|(partition, record)| {
                    self.control(*partition, alert.to_string(), record, gtid.as_str())
                })
                .collect(),
            ConsumerRequest::Replay(replay) => {
                let partition = partition_of(replay.destination.id, self.partitions());
                let record = replay_record(replay, self.sealer());
                let alert = &replay.alert;
                vec![self.control(
                    partition,
                    alert.id.to_string(),
                    &record,
                    alert.gtid.as_str(),
                )]
            }
        }
    }

    fn control(&self, partition: i32, key: String, record: &ControlRecord, gtid: &str) -> Outgoing {
        Outgoing::json(&self.topics().control, partition, Some(key), record, gtid)
    }
}
