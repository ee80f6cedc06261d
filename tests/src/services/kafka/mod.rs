//! Apache Kafka.

mod broker;
mod jars;
mod probe;

use std::{net::SocketAddr, path::Path, sync::OnceLock};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rustix::process::Signal;
use uuid::Uuid;

use self::broker::{Broker, Compiler, Plan};
use super::{Left, PATIENCE, until_ready};
use crate::harness::{Process, Scratch, free_addresses, wait_for};

/// How a cluster is to be started.
#[derive(Clone, Debug)]
pub struct KafkaOptions {
    brokers: usize,
    settings: Vec<(String, String)>,
    compiler: Compiler,
}

impl KafkaOptions {
    /// So many brokers, for tests: they start quickly.
    pub fn new(brokers: usize) -> Self {
        Self {
            brokers,
            settings: Vec::new(),
            compiler: Compiler::Quick,
        }
    }

    /// The same with a setting of `server.properties`, whatever it was.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// The same to be measured, or loaded for minutes: slower to start, and faster
    /// then.
    #[must_use]
    pub fn for_load(mut self) -> Self {
        self.compiler = Compiler::Full;
        self
    }

    /// Starts the cluster, and waits until it is ready.
    pub fn start(&self) -> Kafka {
        let scratch = Scratch::new("kafka");
        let mut cluster = Kafka::on(self, scratch.path());
        cluster.scratch = Some(scratch);
        for broker in &mut cluster.brokers {
            broker.start();
        }
        cluster.await_ready();
        cluster
    }
}

/// A cluster of brokers that are controllers too, numbered from 1, which can be
/// broken one by one. Topics are not made by using them; each is replicated to all
/// brokers, and all but one of several must have a record before it is acknowledged.
#[derive(Debug)]
pub struct Kafka {
    brokers: Vec<Broker>,
    scratch: Option<Scratch>,
}

impl Kafka {
    /// A new cluster of so many brokers, ready.
    pub fn start(brokers: usize) -> Self {
        KafkaOptions::new(brokers).start()
    }

    /// The one broker that the tests of this program share; each takes topics and
    /// groups of its own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Kafka> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(1))
    }

    /// One broker on the data in `folder`, made where there is none, that runs on
    /// when this program ends, if it is [left](Self::leave). The port is a new one
    /// each time.
    pub fn start_lasting(folder: &Path) -> Self {
        let mut cluster = Self::on(&KafkaOptions::new(1).for_load(), folder);
        for broker in &mut cluster.brokers {
            broker.start_lasting();
        }
        cluster.await_ready();
        cluster
    }

    /// Leaves its brokers to run on, to be ended by [`end`](Self::end).
    pub fn leave(self) -> Vec<Left> {
        let processes = self.brokers.into_iter().filter_map(|broker| broker.process);
        processes.map(Left::new).collect()
    }

    /// Ends a broker that was left, in order; no harm where it has ended.
    pub fn end(left: Left) {
        left.end(Signal::TERM, PATIENCE);
    }

    /// The addresses of all brokers, as a client's `bootstrap.servers` takes them;
    /// the same after restarts.
    pub fn bootstrap(&self) -> String {
        let addresses = self.brokers.iter().map(|broker| broker.address.to_string());
        addresses.collect::<Vec<_>>().join(",")
    }

    /// Where the brokers' data and logs are, unless they outlive this program.
    pub fn folder(&self) -> Option<&Path> {
        self.scratch.as_ref().map(Scratch::path)
    }

    /// Where a broker listens.
    pub fn address(&self, number: usize) -> SocketAddr {
        self.brokers[number - 1].address
    }

    /// Makes a topic on all brokers, which know of it when this returns.
    pub fn create_topic(&self, name: &str, partitions: usize) {
        self.create_topic_with(name, partitions, &[]);
    }

    /// As [`create_topic`](Self::create_topic), with settings of the topic.
    pub fn create_topic_with(&self, name: &str, partitions: usize, settings: &[(&str, &str)]) {
        let count = |number: usize| i32::try_from(number).expect("a small number");
        let (parts, replicas) = (count(partitions), count(self.brokers.len()));
        probe::create_topic(&self.bootstrap(), name, parts, replicas, settings);
        self.await_all("a topic on all brokers", |broker| {
            probe::has_topic(broker, name, partitions)
        });
    }

    /// Waits until every partition is on all its brokers: another may fail now.
    pub fn await_in_sync(&self) {
        self.await_all("all replicas in sync", probe::is_in_sync);
    }

    /// `kill -9` of a broker, as when its machine dies.
    pub fn kill(&mut self, number: usize) {
        let broker = &mut self.brokers[number - 1];
        broker.process.take().expect("the broker runs").kill();
    }

    /// Ends a broker in order: its partitions are handed over first.
    pub fn stop(&mut self, number: usize) {
        self.brokers[number - 1].stop();
    }

    /// Starts a broker again on the same port and data, after [`stop`](Self::stop)
    /// or [`kill`](Self::kill), and waits until it is ready; its replicas may be
    /// behind.
    pub fn start_again(&mut self, number: usize) {
        let running = self.running().count();
        let broker = &mut self.brokers[number - 1];
        broker.start();
        await_ready(broker, running + 1);
    }

    /// Stops a broker where it stands: connections stay open, and nothing answers.
    pub fn pause(&self, number: usize) {
        self.process(number).pause();
    }

    /// Lets it go on.
    pub fn resume(&self, number: usize) {
        self.process(number).resume();
    }

    /// Brokers with their places on disk, not yet started.
    fn on(options: &KafkaOptions, folder: &Path) -> Self {
        let addresses = free_addresses(2 * options.brokers);
        let addresses: Vec<_> = addresses.chunks(2).map(|pair| (pair[0], pair[1])).collect();
        let plan = Plan {
            folder,
            jars: &jars::jars(),
            compiler: options.compiler,
            addresses: &addresses,
            settings: &options.settings,
        };
        let brokers: Vec<_> = (1..=options.brokers)
            .map(|id| Broker::new(&plan, id))
            .collect();
        let cluster = cluster_id();
        let formats: Vec<_> = brokers
            .iter()
            .filter_map(|broker| broker.format(&cluster))
            .collect();
        for mut format in formats {
            assert!(
                format.ends_within(PATIENCE) && format.wait(PATIENCE).success(),
                "Kafka's folder cannot be made:\n{}",
                format.tail()
            );
        }
        Self {
            brokers,
            scratch: None,
        }
    }

    fn await_ready(&mut self) {
        let count = self.brokers.len();
        for broker in &mut self.brokers {
            await_ready(broker, count);
        }
    }

    fn await_all(&self, what: &str, is_so: impl Fn(&Broker) -> bool) {
        wait_for(what, PATIENCE, || self.running().all(&is_so).then_some(()));
    }

    fn running(&self) -> impl Iterator<Item = &Broker> {
        self.brokers
            .iter()
            .filter(|broker| broker.process.is_some())
    }

    fn process(&self, number: usize) -> &Process {
        let process = self.brokers[number - 1].process.as_ref();
        process.expect("the broker runs")
    }
}

fn await_ready(broker: &mut Broker, count: usize) {
    let mut process = broker.process.take().expect("the broker runs");
    until_ready("Kafka", &mut process, || probe::is_ready(broker, count));
    broker.process = Some(process);
}

/// A new id: 16 bytes in base64 that do not look like an option.
fn cluster_id() -> String {
    let mut bytes = Uuid::new_v4().into_bytes();
    bytes[0] &= 0x7f;
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
