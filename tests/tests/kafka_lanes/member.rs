//! A consumer as a process, and what it told of its requests.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::rig::{HANG, KEYS, Rig};

/// A consumer.
pub(crate) struct Member {
    child: Child,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// In microseconds.
    pub(crate) begun: u64,
    pub(crate) ended: Option<u64>,
    pub(crate) address: String,
    pub(crate) text: String,
}

impl Member {
    pub(crate) fn start(rig: &Rig, latency: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("requests");
        let child = Command::new(env!("CARGO_BIN_EXE_lanes"))
            .arg(&rig.settings.brokers)
            .args([&rig.settings.topic, &rig.settings.group])
            .args([&rig.settings.partitions.to_string(), KEYS])
            .arg(latency.as_millis().to_string())
            .arg(&file)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            child,
            file,
            _folder: folder,
        }
    }

    /// Ends it in order, and waits for it.
    pub(crate) fn stop(&mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }

    /// `SIGKILL`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// `SIGSTOP`; it stands still when this returns.
    pub(crate) fn suspend(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
        waitpid(Some(self.pid()), WaitOptions::UNTRACED).unwrap();
    }

    pub(crate) fn resume(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32).unwrap()
    }

    /// Its requests, in the order in which they began, by delivery; several of one where
    /// it sent it again.
    pub(crate) fn requests(&self) -> Vec<(String, Request)> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        let mut all: Vec<(String, Request)> = Vec::new();
        let mut open: BTreeMap<String, usize> = BTreeMap::new();
        // The last line may not be whole yet.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.lines() {
            let [what, at, delivery, address, text] = split(line);
            let at = at.parse().unwrap();
            if what == "begin" {
                open.insert(delivery.to_owned(), all.len());
                let request = Request {
                    begun: at,
                    ended: None,
                    address: address.to_owned(),
                    text: text.to_owned(),
                };
                all.push((delivery.to_owned(), request));
            } else {
                all[open[delivery]].1.ended = Some(at);
            }
        }
        all
    }

    /// The texts that it has sent to each address, in the order in which it began.
    pub(crate) fn texts(&self) -> BTreeMap<String, Vec<String>> {
        let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (_, request) in self.requests() {
            texts.entry(request.address).or_default().push(request.text);
        }
        texts
    }

    pub(crate) fn ended(&self) -> usize {
        let requests = self.requests();
        let ended = requests.iter().filter(|(_, one)| one.ended.is_some());
        ended.count()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn split(line: &str) -> [&str; 5] {
    let mut parts = line.splitn(5, ' ');
    [(); 5].map(|()| parts.next().unwrap())
}

/// Waits until `is_so`.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < HANG, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// How often each delivery was sent.
pub(crate) fn counts(members: &[&Member]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for member in members {
        for (delivery, _) in member.requests() {
            *counts.entry(delivery).or_default() += 1;
        }
    }
    counts
}
