//! `make measure-scaled-out`: the figures of producers and consumers over a real Kafka and
//! a real PostgreSQL, as Markdown. Names of parts measure those alone.
//!
//! Brokers, database, processes, load and mockup share the machine; compare a figure with
//! what stands beside it, from the same run.

mod accepting;
mod away;
mod beside;
mod directory;
mod growth;
mod handover;
mod idle;

use tests::{
    figures::{chosen, head, machine, row},
    scaled_out::SiteOptions,
    services::{Kafka, KafkaOptions, Postgres},
};

/// A part, by the name that asks for it alone.
type Part = (&'static str, fn(&mut Servers));

const PARTS: [Part; 7] = [
    ("idle", idle::measure),
    ("directory", directory::measure),
    ("handover", handover::measure),
    ("growth", growth::measure),
    ("accepting", accepting::measure),
    ("beside", beside::measure),
    ("away", away::measure),
];

/// What everything stands on.
struct Servers {
    kafka: Kafka,
    postgres: Postgres,
}

impl Servers {
    fn options(&self) -> SiteOptions {
        SiteOptions::on(&self.kafka, &self.postgres)
    }
}

fn main() {
    let parts = chosen(PARTS);
    let mut servers = Servers {
        kafka: KafkaOptions::new(1).for_load().start(),
        postgres: Postgres::start(),
    };
    head();
    row(
        "cores; fdatasync of 4 KiB, median and p99",
        &machine::describe(),
        "",
    );
    for measure in parts {
        measure(&mut servers);
    }
}
