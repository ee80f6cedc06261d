//! Whoever uses the program, by HTTP and by its commands.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    process::Command,
};

use tests::harness::{Connection, LONG, Site, program};

/// Makes every request, and keeps all that comes back.
pub(crate) struct Client<'a> {
    pub(crate) site: &'a Site,
    pub(crate) shown: Vec<String>,
}

impl<'a> Client<'a> {
    pub(crate) fn of(site: &'a Site) -> Self {
        Self {
            site,
            shown: Vec::new(),
        }
    }

    pub(crate) fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> u16 {
        let mut connection = Connection::open(self.site.server.address()).unwrap();
        let mut all = vec![("Connection", "close")];
        all.extend_from_slice(headers);
        let answer = connection.request(method, path, &all, body).unwrap();
        self.shown.push(format!(
            "{method} answered\n{}\n{}",
            answer.head,
            answer.text()
        ));
        answer.status
    }

    pub(crate) fn json(&mut self, method: &str, path: &str, body: &serde_json::Value) -> u16 {
        self.ask(method, path, &[], body.to_string().as_bytes())
    }

    /// Sends bytes that are no proper request and takes what comes back.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        let mut stream = TcpStream::connect(self.site.server.address()).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        // A reset is an answer too.
        let _ = stream.read_to_end(&mut answer);
        self.shown
            .push(String::from_utf8_lossy(&answer).into_owned());
    }

    /// Runs a command of the program; all it prints is kept. Says whether it
    /// succeeded.
    pub(crate) fn run(&mut self, arguments: &[&str]) -> bool {
        let mut command = Command::new(program());
        command.args(arguments);
        if !arguments.contains(&"--data-dir") {
            command.args(["--url", &format!("http://{}", self.site.server.address())]);
        }
        let output = command.output().unwrap();
        for printed in [&output.stdout, &output.stderr] {
            self.shown.push(format!(
                "{}: {}",
                arguments[0],
                String::from_utf8_lossy(printed)
            ));
        }
        output.status.success()
    }
}
