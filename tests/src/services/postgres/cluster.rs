//! A cluster on disk, and the programs that make and serve it.

use std::{
    env, fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use uuid::Uuid;

use crate::{
    harness::{Process, Scratch, build_folder, command_ended_by, free_address},
    services::{account::Account, run},
};

pub(super) const SUPERUSER: &str = "postgres";
/// Where Debian puts each version's programs.
const VERSIONS: &str = "/usr/lib/postgresql";
/// For accounts that do not reach the build's folder; a disk, unlike `/tmp`.
const OPEN_TO_ALL: &str = "/var/tmp";

const PASSWORD: &str = "password";
/// A file that is there once the cluster has its account and its database.
const COMPLETE: &str = "complete";

/// What does not depend on the cluster. Connections: every test has a pool.
const SETTINGS: &str = "\
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 300
shared_buffers = 64MB
";

/// A cluster.
#[derive(Debug)]
pub(super) struct Cluster {
    programs: PathBuf,
    /// With `data`, the log and the password in it.
    pub(super) folder: PathBuf,
    account: Option<Account>,
    pub(super) address: SocketAddr,
    /// Of the superuser and of the account alike.
    pub(super) password: String,
}

/// A scratch folder that the server's account reaches.
pub(super) fn scratch() -> Scratch {
    let name = "postgres";
    let parent = build_folder().map(|folder| folder.join("tmp"));
    match (Account::unprivileged(), parent) {
        (Some(account), Some(parent)) if !account.reaches_into(&parent) => {
            Scratch::within(Path::new(OPEN_TO_ALL), name)
        }
        _ => Scratch::new(name),
    }
}

/// `folder`, or the one that always stands for it where the server's account does
/// not reach that.
pub(super) fn reachable(folder: &Path) -> PathBuf {
    let parent = folder.parent().expect("the folder has a parent");
    match Account::unprivileged() {
        Some(account) if !account.reaches_into(parent) => {
            let name = folder.to_string_lossy();
            let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes());
            Path::new(OPEN_TO_ALL).join(format!("error-notifier-postgres-{id}"))
        }
        _ => folder.into(),
    }
}

impl Cluster {
    /// A new cluster, alone in that folder, with further settings.
    pub(super) fn create(folder: &Path, settings: &[(&str, &str)]) -> Self {
        let cluster = Self {
            programs: programs(),
            folder: folder.into(),
            account: Account::unprivileged(),
            address: free_address(),
            password: Uuid::new_v4().simple().to_string(),
        };
        cluster.clear();
        let password = cluster.file(PASSWORD);
        fs::write(&password, &cluster.password).expect("a file for the password");
        if let Some(account) = cluster.account {
            account.own(folder).expect("root may give folders away");
            account.own(&password).expect("root may give files away");
        }
        let mut initdb = Command::new(cluster.programs.join("initdb"));
        // `--no-sync`: a machine that dies now has no data to lose.
        initdb
            .args(["--no-sync", "--encoding=UTF8", "--no-locale"])
            .args(["--auth=scram-sha-256", "--username", SUPERUSER])
            .arg("--pwfile")
            .arg(&password)
            .arg("--pgdata")
            .arg(cluster.data());
        cluster.run_as_account(&mut initdb);
        run(initdb, &cluster.log());
        let settings = settings
            .iter()
            .map(|(name, value)| format!("{name} = '{value}'\n"));
        let settings = settings.fold(SETTINGS.to_owned(), |all, line| all + &line);
        let file = cluster.data().join("postgresql.conf");
        fs::write(file, settings).expect("the settings can be written");
        cluster
    }

    /// The cluster in that folder, on a new port; `None` where there is none, or
    /// only half of one.
    pub(super) fn open(folder: &Path) -> Option<Self> {
        if !folder.join(COMPLETE).exists() {
            return None;
        }
        Some(Self {
            programs: programs(),
            folder: folder.into(),
            account: Account::unprivileged(),
            address: free_address(),
            password: fs::read_to_string(folder.join(PASSWORD)).ok()?,
        })
    }

    /// Says that it may be opened again.
    pub(super) fn mark_complete(&self) {
        fs::write(self.file(COMPLETE), "").expect("a file can be made");
    }

    /// Makes its folder, and removes what an earlier one has left there.
    fn clear(&self) {
        let _ = fs::remove_dir_all(self.data());
        fs::create_dir_all(&self.folder).expect("a folder for the cluster");
        let private = fs::Permissions::from_mode(0o700);
        fs::set_permissions(&self.folder, private).expect("the folder is this program's");
    }

    /// The server's process, which ends with this program.
    pub(super) fn command(&self) -> Command {
        // QUIT: an end at once that leaves no shared memory behind, as KILL would.
        let command = command_ended_by("QUIT", self.programs.join("postgres"));
        self.served(command)
    }

    /// The server's process, which outlives this program.
    pub(super) fn lasting_command(&self) -> Command {
        self.served(Command::new(self.programs.join("postgres")))
    }

    fn served(&self, mut command: Command) -> Command {
        command
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.address.port().to_string()]);
        self.run_as_account(&mut command);
        command
    }

    pub(super) fn start(&self, command: Command) -> Process {
        Process::start_lasting(command, &self.log())
    }

    /// Whether the server takes connections.
    pub(super) fn is_ready(&self) -> bool {
        let port = self.address.port().to_string();
        let mut ask = Command::new(self.programs.join("pg_isready"));
        ask.args([
            "--quiet",
            "--timeout=1",
            "--host=127.0.0.1",
            "--port",
            &port,
        ]);
        ask.status().expect("pg_isready starts").success()
    }

    /// Runs SQL, for a minute at most.
    pub(super) fn psql(
        &self,
        user: &str,
        password: &str,
        database: &str,
        sql: &str,
    ) -> Result<String, String> {
        let mut psql = Command::new("timeout");
        psql.arg("60")
            .arg(self.programs.join("psql"))
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set", "ON_ERROR_STOP=1", "--host", "127.0.0.1"])
            .args(["--port", &self.address.port().to_string()])
            .args(["--username", user, "--dbname", database, "--command", sql])
            .env("PGPASSWORD", password)
            .stdin(Stdio::null());
        let output = psql.output().expect("timeout starts");
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout)
                .trim_end()
                .to_owned());
        }
        Err(format!(
            "{}, {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        ))
    }

    fn run_as_account(&self, command: &mut Command) {
        if let Some(account) = self.account {
            account.run(command);
        }
        // A working folder that the account does not reach is one more complaint.
        command.current_dir("/");
    }

    fn data(&self) -> PathBuf {
        self.file("data")
    }

    fn log(&self) -> PathBuf {
        self.file("postgres.log")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// The folder of the newest installed version's programs.
fn programs() -> PathBuf {
    let has_server = |folder: &PathBuf| folder.join("initdb").exists();
    let version = |folder: &PathBuf| {
        let name = folder.parent()?.file_name()?.to_str()?;
        name.parse::<u32>().ok()
    };
    let installed = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let newest = installed
        .map(|entry| entry.path().join("bin"))
        .filter(has_server)
        .max_by_key(version);
    let elsewhere = || {
        let path = env::var_os("PATH")?;
        env::split_paths(&path).find(has_server)
    };
    newest
        .or_else(elsewhere)
        .unwrap_or_else(|| panic!("there is no PostgreSQL server: `make tools` installs it"))
}
