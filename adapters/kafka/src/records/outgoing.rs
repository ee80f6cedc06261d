use std::borrow::Cow;

use common::{
    Gtid,
    wire::{AlertRecord, DeliveryRecord},
};
use rdkafka::{
    Message,
    message::{Header, Headers, OwnedHeaders},
    producer::{BaseRecord, FutureRecord},
    util::IntoOpaque,
};
use serde::Serialize;

use super::{FOUND_HEADER, GTID_HEADER, META_HEADER, REASON_HEADER};
use crate::topics::Topics;

/// A record on its way to a topic.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Where to.
    pub topic: String,
    /// Which partition.
    pub partition: i32,
    /// The key, where there is one.
    pub key: Option<Vec<u8>>,
    /// The value; `None` is a tombstone.
    pub payload: Option<Vec<u8>>,
    /// Header names and values.
    pub headers: Vec<(Cow<'static, str>, Vec<u8>)>,
}

impl Outgoing {
    /// A record whose value is JSON, with its request's id as the header.
    pub fn json(
        topic: &str,
        partition: i32,
        key: Option<String>,
        value: &impl Serialize,
        gtid: &str,
    ) -> Self {
        Self {
            topic: topic.to_owned(),
            partition,
            key: key.map(String::into_bytes),
            payload: Some(to_json(value)),
            headers: vec![(GTID_HEADER.into(), gtid.as_bytes().to_vec())],
        }
    }

    /// A record of the topic of alerts.
    pub fn alert(topics: &Topics, record: &AlertRecord) -> Self {
        let key = Some(record.alert_id.to_string());
        Self::json(&topics.alerts, 0, key, record, &record.gtid)
    }

    /// A record of the topics of deliveries, in the form that its `sealed` says; `lane_key`
    /// is its key there where it is sealed.
    pub fn delivery(
        topics: &Topics,
        partition: i32,
        lane_key: &str,
        record: &DeliveryRecord,
    ) -> Self {
        let meta = &record.meta;
        if meta.sealed.is_some() {
            let topic = topics.of(meta.severity);
            let key = Some(lane_key.to_owned());
            return Self::json(topic, partition, key, record, &meta.gtid);
        }
        let mut plain = Self::json(
            &topics.deliveries,
            partition,
            None,
            &record.contract,
            &meta.gtid,
        );
        plain.headers.push((META_HEADER.into(), to_json(meta)));
        plain
    }

    /// For a producer that answers by a future.
    pub fn to_future(&self) -> FutureRecord<'_, [u8], [u8]> {
        FutureRecord {
            topic: &self.topic,
            partition: Some(self.partition),
            payload: self.payload.as_deref(),
            key: self.key.as_deref(),
            timestamp: None,
            headers: self.owned_headers(),
        }
    }

    /// For a producer that answers by a call with `opaque`.
    pub fn to_base<D: IntoOpaque>(&self, opaque: D) -> BaseRecord<'_, [u8], [u8], D> {
        BaseRecord {
            topic: &self.topic,
            partition: Some(self.partition),
            payload: self.payload.as_deref(),
            key: self.key.as_deref(),
            timestamp: None,
            headers: self.owned_headers(),
            delivery_opaque: opaque,
        }
    }

    /// The same without its value and key: what is left of a dead letter that is longer than
    /// its topic takes. Its headers say where the message was found.
    pub fn without_payload(&self) -> Self {
        Self {
            topic: self.topic.clone(),
            partition: self.partition,
            key: None,
            payload: None,
            headers: self.headers.clone(),
        }
    }

    /// About how many bytes it takes in a record batch.
    pub fn size(&self) -> usize {
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len() + 4);
        self.key.as_ref().map_or(0, Vec::len)
            + self.payload.as_ref().map_or(0, Vec::len)
            + headers.sum::<usize>()
            + 32
    }

    fn owned_headers(&self) -> Option<OwnedHeaders> {
        let headers = OwnedHeaders::new_with_capacity(self.headers.len());
        Some(self.headers.iter().fold(headers, |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: Some(value),
            })
        }))
    }
}

/// A message that nobody can read or deliver, as it was, with the reason.
pub fn dead_letter(topics: &Topics, message: &impl Message, reason: &str) -> Outgoing {
    let header = |header: Header<'_, &[u8]>| {
        let value = header.value.unwrap_or_default().to_vec();
        (Cow::Owned(header.key.to_owned()), value)
    };
    let mut headers: Vec<_> = message
        .headers()
        .map(|headers| headers.iter().map(header).collect())
        .unwrap_or_default();
    let found = format!(
        "{}-{}-{}",
        message.topic(),
        message.partition(),
        message.offset()
    );
    headers.push((REASON_HEADER.into(), reason.as_bytes().to_vec()));
    headers.push((FOUND_HEADER.into(), found.into_bytes()));
    Outgoing {
        topic: topics.dead_letters.clone(),
        partition: message.partition(),
        key: message.key().map(<[u8]>::to_vec),
        payload: message.payload().map(<[u8]>::to_vec),
        headers,
    }
}

/// The first header of that name, in any letter case.
pub fn header_of<'a>(message: &'a impl Message, name: &str) -> Option<&'a [u8]> {
    let mut headers = message.headers()?.iter();
    headers
        .find(|header| header.key.eq_ignore_ascii_case(name))?
        .value
}

/// The request's id that a message carries, where it is well formed.
pub(super) fn gtid_of(message: &impl Message) -> Option<Gtid> {
    let value = header_of(message, GTID_HEADER)?;
    Gtid::parse(std::str::from_utf8(value).ok()?)
}

/// The wire's types have nothing that JSON cannot say.
fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
