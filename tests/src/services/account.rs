//! Whom a server runs as that refuses to be root.

use std::{
    fs, io,
    os::unix::{fs::chown, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
};

/// An account without privileges.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    user: u32,
    group: u32,
}

impl Account {
    /// The one to use: `None` where this process is not root, and servers run as
    /// it does.
    pub(super) fn unprivileged() -> Option<Self> {
        if !rustix::process::getuid().is_root() {
            return None;
        }
        // Debian's package makes the first; the other is everywhere.
        let account = ["postgres", "nobody"].into_iter().find_map(|name| {
            let users = fs::read_to_string("/etc/passwd").ok()?;
            let line = users
                .lines()
                .find(|line| line.split(':').next() == Some(name))?;
            let mut ids = line.split(':').skip(2);
            Some(Self {
                user: ids.next()?.parse().ok()?,
                group: ids.next()?.parse().ok()?,
            })
        });
        Some(account.expect("/etc/passwd has a user postgres or nobody"))
    }

    /// Makes `command` run as this account.
    pub(super) fn run(self, command: &mut Command) {
        command.uid(self.user).gid(self.group);
    }

    /// Gives it a file or folder.
    pub(super) fn own(self, path: &Path) -> io::Result<()> {
        chown(path, Some(self.user), Some(self.group))
    }

    /// Whether it may use folders in that one, which is made where it is missing.
    pub(super) fn reaches_into(self, folder: &Path) -> bool {
        fs::create_dir_all(folder).expect("a folder can be made");
        let mut test = Command::new("test");
        test.arg("-x").arg(folder).stderr(Stdio::null());
        self.run(&mut test);
        test.status().is_ok_and(|status| status.success())
    }
}
