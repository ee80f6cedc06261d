//! A PostgreSQL server.

mod cluster;

use std::{net::SocketAddr, path::Path, sync::OnceLock};

use rustix::process::{Signal, kill_process};

use self::cluster::Cluster;
use super::{Left, PATIENCE, until_ready};
use crate::harness::{Process, Scratch, is_running, pause, pid, wait_for};

/// A PostgreSQL server of Debian's package with a database and one account, which
/// may create databases and is no superuser. As a server should be: `fsync` on,
/// passwords by SCRAM. It takes no connection but over TCP on loopback.
#[derive(Debug)]
pub struct Postgres {
    cluster: Cluster,
    process: Option<Process>,
    _scratch: Option<Scratch>,
}

impl Postgres {
    /// The account.
    pub const USER: &str = "error_notifier";
    /// The database that is there from the start.
    pub const DATABASE: &str = "error_notifier";

    /// A new server, ready.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// A new server with further settings of `postgresql.conf`.
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        let scratch = cluster::scratch();
        let cluster = Cluster::create(scratch.path(), settings);
        let mut server = Self {
            process: Some(cluster.start(cluster.command())),
            cluster,
            _scratch: Some(scratch),
        };
        server.prepare();
        server
    }

    /// The server that the tests of this program share; each takes a database of
    /// its own, by [`create_database`](Self::create_database).
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A server on the data in `folder`, made where there is none, that runs on
    /// when this program ends, if it is [left](Self::leave). The port is a new one
    /// each time. Where the account it runs as cannot reach `folder`, the data is
    /// below `/var/tmp`.
    pub fn start_lasting(folder: &Path) -> Self {
        let folder = cluster::reachable(folder);
        let made = Cluster::open(&folder);
        let is_new = made.is_none();
        let cluster = made.unwrap_or_else(|| Cluster::create(&folder, &[]));
        let mut server = Self {
            process: Some(cluster.start(cluster.lasting_command())),
            cluster,
            _scratch: None,
        };
        if is_new {
            server.prepare();
        } else {
            server.await_ready();
        }
        server
    }

    /// Leaves the server to run on, to be ended by [`end`](Self::end).
    pub fn leave(mut self) -> Left {
        Left::new(self.process.take().expect("the server runs"))
    }

    /// Ends a server that was left, in order; no harm where it has ended.
    pub fn end(left: Left) {
        left.end(Signal::INT, PATIENCE);
    }

    /// Where it listens, also after a restart.
    pub fn address(&self) -> SocketAddr {
        self.cluster.address
    }

    /// Where its data and its log are.
    pub fn folder(&self) -> &Path {
        &self.cluster.folder
    }

    /// The account's password.
    pub fn password(&self) -> &str {
        &self.cluster.password
    }

    /// The URL of the first database, password and all.
    pub fn url(&self) -> String {
        self.url_of(Self::DATABASE)
    }

    /// The URL of a database.
    pub fn url_of(&self, database: &str) -> String {
        format!(
            "postgres://{}:{}@{}/{database}",
            Self::USER,
            self.password(),
            self.address()
        )
    }

    /// Makes a database, which the account owns; gives its URL. The name is of
    /// small letters, digits and `_`.
    pub fn create_database(&self, name: &str) -> String {
        self.sql(Self::DATABASE, &format!("CREATE DATABASE {name}"));
        self.url_of(name)
    }

    /// Runs SQL in a database as a person with `psql` would: the rows, without
    /// head, columns parted by `|`.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        self.try_sql(database, self.password(), sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// As [`sql`](Self::sql), with that password and what went wrong.
    ///
    /// # Errors
    ///
    /// What `psql` says.
    pub fn try_sql(&self, database: &str, password: &str, sql: &str) -> Result<String, String> {
        self.cluster.psql(Self::USER, password, database, sql)
    }

    /// As [`sql`](Self::sql), as a superuser: settings, locks, other people's
    /// connections.
    pub fn administer(&self, database: &str, sql: &str) -> String {
        self.cluster
            .psql(cluster::SUPERUSER, self.password(), database, sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Ends it in order; connections are closed.
    pub fn stop(&mut self) {
        let mut process = self.process.take().expect("the server runs");
        process.signal(Signal::INT);
        assert!(
            process.ends_within(PATIENCE),
            "PostgreSQL has not stopped after {PATIENCE:?}:\n{}",
            process.tail()
        );
    }

    /// Starts it again on the same port and data, after [`stop`](Self::stop) or
    /// [`kill`](Self::kill).
    pub fn start_again(&mut self) {
        assert!(self.process.is_none(), "the server runs");
        self.process = Some(self.cluster.start(self.cluster.command()));
        self.await_ready();
    }

    /// Ends it in order, and starts it again.
    pub fn restart(&mut self) {
        self.stop();
        self.start_again();
    }

    /// `kill -9` of all its processes, as when its machine dies.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("the server runs");
        // Stopped, it makes no more of them.
        process.pause();
        let children = process.children();
        for child in &children {
            // One that has ended meanwhile is no harm.
            let _ = kill_process(pid(*child), Signal::KILL);
        }
        process.kill();
        wait_for("the end of PostgreSQL's processes", PATIENCE, || {
            let is_gone = !children.iter().any(|child| is_running(*child));
            is_gone.then_some(())
        });
    }

    /// Stops all its processes where they stand: connections stay open, and
    /// nothing answers.
    pub fn pause(&self) {
        let process = self.process.as_ref().expect("the server runs");
        process.pause();
        process.children().into_iter().for_each(pause);
    }

    /// Lets all its processes go on.
    pub fn resume(&self) {
        let process = self.process.as_ref().expect("the server runs");
        for child in process.children() {
            let _ = kill_process(pid(child), Signal::CONT);
        }
        process.resume();
    }

    fn await_ready(&mut self) {
        let process = self.process.as_mut().expect("the server runs");
        until_ready("PostgreSQL", process, || self.cluster.is_ready());
    }

    fn prepare(&mut self) {
        self.await_ready();
        let (user, database) = (Self::USER, Self::DATABASE);
        self.administer(
            "postgres",
            &format!(
                "CREATE ROLE {user} LOGIN CREATEDB PASSWORD '{}'",
                self.password()
            ),
        );
        self.administer(
            "postgres",
            &format!("CREATE DATABASE {database} OWNER {user}"),
        );
        self.cluster.mark_complete();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process
            && process.is_running()
        {
            // At once, and its shared memory with it.
            process.signal(Signal::QUIT);
            self.resume();
            if let Some(process) = &mut self.process
                && !process.ends_within(PATIENCE)
            {
                self.kill();
            }
        }
    }
}
