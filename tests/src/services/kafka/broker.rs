//! One broker, which is a controller too.

use std::{
    env,
    ffi::OsString,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    harness::{Process, command},
    services::PATIENCE,
};

/// The names of the listeners: for clients and other brokers, for controllers.
const CLIENTS: &str = "CLIENTS";
const CONTROLLERS: &str = "CONTROLLERS";

/// What all brokers have; see <https://kafka.apache.org/41/configuration/>. Groups
/// notice soon that a member is gone, and internal topics and buffers are small, so
/// that three brokers start quickly on two cores.
const SETTINGS: &str = "\
process.roles=broker,controller
inter.broker.listener.name=CLIENTS
controller.listener.names=CONTROLLERS
listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLERS:PLAINTEXT
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.min.session.timeout.ms=1000
group.consumer.session.timeout.ms=6000
group.consumer.min.heartbeat.interval.ms=100
group.consumer.heartbeat.interval.ms=1000
offsets.topic.num.partitions=8
transaction.state.log.num.partitions=8
share.coordinator.state.topic.num.partitions=8
log.cleaner.dedupe.buffer.size=16777216
";

/// How much of the compiler a broker uses.
#[derive(Clone, Copy, Debug)]
pub(super) enum Compiler {
    /// The quick one alone: half the processor time of a start.
    Quick,
    /// All of it, which pays in minutes.
    Full,
}

/// A broker: its place on disk, and its process while it runs.
#[derive(Debug)]
pub(super) struct Broker {
    pub(super) id: i32,
    pub(super) address: SocketAddr,
    pub(super) process: Option<Process>,
    folder: PathBuf,
    jars: PathBuf,
    compiler: Compiler,
}

/// What brokers have in common.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) folder: &'a Path,
    pub(super) jars: &'a Path,
    pub(super) compiler: Compiler,
    /// Of each broker: for clients, for controllers.
    pub(super) addresses: &'a [(SocketAddr, SocketAddr)],
    /// Override all others.
    pub(super) settings: &'a [(String, String)],
}

impl Broker {
    /// Broker `id`, from 1, with its settings written.
    pub(super) fn new(plan: &Plan<'_>, id: usize) -> Self {
        let broker = Self {
            id: i32::try_from(id).expect("a few brokers"),
            address: plan.addresses[id - 1].0,
            process: None,
            folder: plan.folder.join(format!("broker-{id}")),
            jars: plan.jars.into(),
            compiler: plan.compiler,
        };
        fs::create_dir_all(&broker.folder).expect("a folder for the broker");
        fs::write(broker.properties(), broker.settings(plan)).expect("a file of settings");
        broker
    }

    /// Begins to make its place on disk; `None` where that is made.
    pub(super) fn format(&self, cluster: &str) -> Option<Process> {
        // The last file that formatting leaves, which is why it is looked for.
        if self.data().join("meta.properties").exists() {
            return None;
        }
        let mut format = self.java(command(java()), "kafka.tools.StorageTool");
        format
            .args(["format", "--cluster-id", cluster, "--config"])
            .arg(self.properties());
        Some(Process::start(&mut format, &self.log()))
    }

    /// Starts it; it ends with this program.
    pub(super) fn start(&mut self) {
        self.run(command(java()));
    }

    /// Starts it; it outlives this program.
    pub(super) fn start_lasting(&mut self) {
        self.run(Command::new(java()));
    }

    /// Ends it in order: its partitions are handed over first.
    pub(super) fn stop(&mut self) {
        let mut process = self.process.take().expect("the broker runs");
        process.terminate();
        assert!(
            process.ends_within(PATIENCE),
            "Kafka has not stopped after {PATIENCE:?}:\n{}",
            process.tail()
        );
    }

    fn run(&mut self, java: Command) {
        assert!(self.process.is_none(), "broker {} runs", self.id);
        let mut command = self.java(java, "kafka.Kafka");
        command.arg(self.properties());
        self.process = Some(Process::start_lasting(command, &self.log()));
    }

    fn java(&self, mut java: Command, class: &str) -> Command {
        match self.compiler {
            Compiler::Quick => {
                java.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            }
            Compiler::Full => java.arg("-Xmx512m"),
        };
        let log = "-Dorg.slf4j.simpleLogger";
        let mut class_path = OsString::from(&self.jars);
        class_path.push("/*");
        java.arg(format!("{log}.showDateTime=true"))
            .arg(format!("{log}.dateTimeFormat=HH:mm:ss.SSS"))
            .arg("-classpath")
            .arg(class_path)
            .arg(class)
            .current_dir(&self.folder);
        java
    }

    fn settings(&self, plan: &Plan<'_>) -> String {
        let count = plan.addresses.len();
        // All but one must have a record, so that one may fail.
        let in_sync = count.saturating_sub(1).max(1);
        let (clients, controllers) = plan.addresses[self.id as usize - 1];
        let voters = (1..).zip(plan.addresses);
        let voters: Vec<String> = voters
            .map(|(id, (_, address))| format!("{id}@{address}"))
            .collect();
        let mut all = SETTINGS.to_owned();
        let mut set = |name: &str, value: &str| all.push_str(&format!("{name}={value}\n"));
        set("node.id", &self.id.to_string());
        set("log.dirs", &self.data().display().to_string());
        set(
            "listeners",
            &format!("{CLIENTS}://{clients},{CONTROLLERS}://{controllers}"),
        );
        set("advertised.listeners", &format!("{CLIENTS}://{clients}"));
        set("controller.quorum.voters", &voters.join(","));
        for name in [
            "default.replication.factor",
            "offsets.topic.replication.factor",
            "transaction.state.log.replication.factor",
            "share.coordinator.state.topic.replication.factor",
        ] {
            set(name, &count.to_string());
        }
        for name in [
            "min.insync.replicas",
            "transaction.state.log.min.isr",
            "share.coordinator.state.topic.min.isr",
        ] {
            set(name, &in_sync.to_string());
        }
        // Of two lines of one name the later counts.
        for (name, value) in plan.settings {
            set(name, value);
        }
        all
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("kafka.log")
    }

    fn properties(&self) -> PathBuf {
        self.folder.join("server.properties")
    }
}

fn java() -> PathBuf {
    env::var_os("JAVA_HOME")
        .map(|home| Path::new(&home).join("bin/java"))
        .filter(|java| java.exists())
        .unwrap_or_else(|| "java".into())
}
