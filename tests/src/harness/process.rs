//! A child process, bounded.

use std::{
    ffi::OsStr,
    fs::{self, OpenOptions},
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{OnceLock, mpsc},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::wait_for;

const SETPRIV: &str = "/usr/bin/setpriv";
/// Places among the fields of `/proc/ID/stat` that follow the name, see proc_pid_stat(5).
const STATE: usize = 0;
const PARENT: usize = 1;
const STARTED_AT: usize = 19;
/// How long a process may take to stop.
const PATIENCE: Duration = Duration::from_secs(30);
/// As much of a log as tells why a process has ended.
const TAIL: usize = 40;

/// The command that runs `program`. Where the system has `setpriv`, it dies with
/// the test, should that be killed before it can end what it started.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    command_ended_by("KILL", program)
}

/// As [`command`], but told so by that signal: `QUIT` of a program that has to
/// clean up.
pub fn command_ended_by(signal: &str, program: impl AsRef<OsStr>) -> Command {
    if !Path::new(SETPRIV).exists() {
        return Command::new(program);
    }
    let mut command = Command::new(SETPRIV);
    command.args(["--pdeathsig", signal]).arg(program);
    command
}

/// A process that writes its output to a file, and is killed when this goes.
#[derive(Debug)]
pub struct Process {
    child: Child,
    output: PathBuf,
}

impl Process {
    /// Starts `command`; all it writes is appended to the file `output`.
    pub fn start(command: &mut Command, output: &Path) -> Self {
        let child = redirected(command, output)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        Self {
            child,
            output: output.into(),
        }
    }

    /// As [`start`](Self::start), for what several tests use: it may outlive the
    /// thread that starts it, and dies with this program. It is the first of a
    /// process group of its own, so a terminal's Ctrl-C is not for it.
    pub fn start_lasting(mut command: Command, output: &Path) -> Self {
        redirected(&mut command, output).process_group(0);
        let shown = format!("{command:?}");
        let child = spawn_lasting(command)
            .unwrap_or_else(|error| panic!("{shown} does not start: {error}"));
        Self {
            child,
            output: output.into(),
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All it has written so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.output).expect("a log file")).into_owned()
    }

    /// The last lines that it has written.
    pub fn tail(&self) -> String {
        let output = self.output();
        let lines: Vec<&str> = output.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("a child can be waited for")
            .is_none()
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        // Errors mean that it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Stops it where it stands, as a suspended machine would; not its children.
    /// When this returns, none of its threads runs any more.
    pub fn pause(&self) {
        pause(self.id());
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(pid(self.id()), signal).expect("the process runs");
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        wait_for("the end of a process", limit, || {
            self.child.try_wait().expect("a child can be waited for")
        })
    }

    /// Waits for its end, and says whether it came in time.
    pub fn ends_within(&mut self, limit: Duration) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < limit {
            // An error means that there is nothing left to wait for.
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            thread::sleep(Duration::from_millis(2));
        }
        false
    }

    /// The ids of its children.
    pub fn children(&self) -> Vec<u32> {
        let processes = fs::read_dir("/proc").expect("/proc is there").flatten();
        processes
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|id| parent(*id) == Some(self.id()))
            .collect()
    }

    /// Leaves it to run on by itself; gives its id.
    pub fn leave(self) -> u32 {
        let id = self.id();
        std::mem::forget(self);
        id
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether a process, not necessarily a child, is there and has not ended.
pub(crate) fn is_running(id: u32) -> bool {
    started_at(id).is_some()
}

/// Stops a process, not necessarily a child, and waits until all its threads stand.
/// The signal alone is too little: it is taken when the first thread gets a
/// processor, and until then the others still answer.
pub(crate) fn pause(id: u32) {
    // An error means that it is gone, and stands in its own way.
    let _ = kill_process(pid(id), Signal::STOP);
    wait_for("a process to stop", PATIENCE, || {
        (!is_running(id) || threads_stand(id)).then_some(())
    });
}

fn threads_stand(id: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{id}/task"));
    threads.into_iter().flatten().flatten().all(|thread| {
        let fields = stat(&thread.path());
        fields.is_none_or(|fields| fields[STATE] == "T")
    })
}

/// When a process that has not ended was started, in ticks since the boot.
pub(crate) fn started_at(id: u32) -> Option<u64> {
    stat_of(id)?.get(STARTED_AT)?.parse().ok()
}

fn parent(id: u32) -> Option<u32> {
    stat_of(id)?.get(PARENT)?.parse().ok()
}

fn stat_of(id: u32) -> Option<Vec<String>> {
    stat(Path::new(&format!("/proc/{id}")))
}

/// What `stat` in the folder of a process or thread that has not ended says, from
/// the state on.
fn stat(folder: &Path) -> Option<Vec<String>> {
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    // The name, in brackets, may have anything in it.
    let fields = stat.rsplit_once(") ")?.1.split(' ');
    let fields: Vec<String> = fields.map(str::to_owned).collect();
    let has_ended = matches!(fields.first()?.as_str(), "Z" | "X");
    (!has_ended).then_some(fields)
}

/// As rustix wants a process id.
pub(crate) fn pid(id: u32) -> Pid {
    i32::try_from(id)
        .ok()
        .and_then(Pid::from_raw)
        .expect("a process id")
}

fn redirected<'a>(command: &'a mut Command, output: &Path) -> &'a mut Command {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(output)
        .expect("a log file");
    command
        .stdin(Stdio::null())
        .stdout(file.try_clone().expect("a log file"))
        .stderr(file)
}

/// Spawns on a thread that ends with the program: what "dies with its parent" dies
/// with the thread that spawned it.
fn spawn_lasting(command: Command) -> io::Result<Child> {
    type Order = (Command, mpsc::Sender<io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in orders {
                // Whoever asked waits for the answer.
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let (answer, child) = mpsc::channel();
    spawner
        .send((command, answer))
        .map_err(|_| io::ErrorKind::BrokenPipe)?;
    child.recv().map_err(|_| io::ErrorKind::BrokenPipe)?
}
