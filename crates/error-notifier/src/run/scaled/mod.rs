//! The scaled-out form: producers and consumers over PostgreSQL and Apache Kafka.

mod accepting;
mod cluster;
mod consumer;
mod delivering;
mod migrate;
mod producer;
mod serve;

pub(crate) use accepting::database_url;
pub(crate) use consumer::consumer;
pub(crate) use migrate::migrate;
pub(crate) use producer::producer;
pub(super) use serve::serve;
