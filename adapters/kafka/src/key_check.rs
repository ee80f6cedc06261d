//! Whether this process can open what the others seal.

use std::time::{Duration, Instant};

use common::wire::AlertRecord;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaResult,
};

use crate::{
    client::{self, Events, blocking},
    error::OpenError,
    records::{open_part, read_versioned},
    sealer::Sealer,
    settings::Settings,
    topics::Topics,
};

/// How long one question to the cluster may take.
const ANSWER: Duration = Duration::from_secs(10);
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(50);

/// Opens the last alert that was accepted, if there is one. A ring without the key of the
/// others would hold them up; that is told before.
pub async fn check_keys(settings: &Settings, sealer: &Sealer) -> Result<(), OpenError> {
    let topic = Topics::new(settings).alerts;
    let context = Events::logged("keys");
    // librdkafka reads nothing for a consumer without a group; this one never joins it.
    let reader: BaseConsumer<Events> = client::consumer(settings, &settings.fan_out_group())
        .set("enable.partition.eof", "true")
        .create_with_context(context)?;
    let name = topic.clone();
    let last = blocking(move || read_last(&reader, &name)).await?;
    // What is no alert is no reason: the fan-out tells of it.
    let Some(Ok(record)) = last.map(|json| read_versioned::<AlertRecord>(&json)) else {
        return Ok(());
    };
    match open_part(&record, sealer) {
        Ok(_) => Ok(()),
        Err(reason) => Err(OpenError::OtherKeys { topic, reason }),
    }
}

fn read_last(reader: &BaseConsumer<Events>, topic: &str) -> KafkaResult<Option<Vec<u8>>> {
    let began = Instant::now();
    let (first, end) = loop {
        match reader.fetch_watermarks(topic, 0, ANSWER) {
            Ok(ends) => break ends,
            // A topic that was just made, or a broker that just went, has no leader yet.
            Err(_) if began.elapsed() < ANSWER => std::thread::sleep(PAUSE),
            Err(error) => return Err(error),
        }
    };
    if first >= end {
        return Ok(None);
    }
    let mut last = TopicPartitionList::with_capacity(1);
    last.add_partition_offset(topic, 0, Offset::Offset(end - 1))?;
    reader.assign(&last)?;
    while began.elapsed() < ANSWER {
        // An error is the end of the partition, or passes.
        if let Some(Ok(message)) = reader.poll(Duration::from_millis(100)) {
            return Ok(message.payload().map(<[u8]>::to_vec));
        }
    }
    Ok(None)
}
