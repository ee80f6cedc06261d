//! The message queue in Apache Kafka. `PROTOCOL.md` says how.
