//! What keeps a server from starting: one clear line, exit code 2, nothing changed.

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

use tests::harness::{Database, Directory, LONG, Mockup, Scratch, ServerOptions};

/// A place with a mockup and a data folder that a server has used.
struct Place {
    options: ServerOptions,
    _mockup: Mockup,
    scratch: Scratch,
}

impl Place {
    fn new() -> Self {
        let scratch = Scratch::new("refusing");
        let mockup = Mockup::start(&scratch);
        let options = ServerOptions::new(&scratch.join("data"), &mockup);
        let server = options.start();
        Directory::of_users(3).import(&server);
        server.stop();
        Self {
            options,
            _mockup: mockup,
            scratch,
        }
    }

    /// Starts a server that must not start; gives the one line that says why.
    fn refusal(&self, options: &ServerOptions) -> String {
        let before = contents(self.scratch.path());
        let mut process = options.spawn();
        let status = process.wait(LONG);
        let output = process.output();
        assert_eq!(status.code(), Some(2), "{output}");
        let lines: Vec<_> = output.lines().collect();
        assert_eq!(lines.len(), 1, "{output}");
        assert_eq!(contents(self.scratch.path()), before);
        output
    }
}

/// All files with what is in them, but for logs and the empty file that is locked.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.insert(path.clone(), Vec::new());
            found.extend(contents(&path));
        } else if path.extension().is_none_or(|extension| extension != "log")
            && !path.ends_with("lock")
        {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

#[test]
fn a_port_that_is_taken() {
    let place = Place::new();
    let taken = TcpListener::bind(place.options.address()).unwrap();
    let line = place.refusal(&place.options);
    assert!(
        line.contains(&taken.local_addr().unwrap().to_string()) && line.contains("--listen"),
        "{line}"
    );
    // Nor is a folder made where there was none.
    let elsewhere = place.scratch.join("elsewhere");
    place.refusal(&place.options.clone().on(&elsewhere));
    assert!(!elsewhere.exists());
}

#[test]
fn a_data_folder_that_another_process_uses() {
    let place = Place::new();
    let mut first = place.options.start();
    let mut second = place
        .options
        .clone()
        .listening(tests::harness::free_address())
        .spawn();
    let status = second.wait(LONG);
    let output = second.output();
    assert_eq!(status.code(), Some(2), "{output}");
    assert_eq!(output.lines().count(), 1, "{output}");
    assert!(
        output.contains("in use") && output.contains("--data-dir"),
        "{output}"
    );
    // The first one never noticed.
    assert_eq!(first.request("GET", "/health/ready", "").status, 200);
    assert!(first.process.is_running());
    first.stop();
}

#[test]
fn an_address_that_others_reach_while_there_is_no_token() {
    let place = Place::new();
    let port = place.options.address().port();
    let everywhere = place.options.clone().listening(([0, 0, 0, 0], port).into());
    // Whether there is a token is looked up in the folder, so that is opened and closed.
    let mut process = everywhere.spawn();
    let status = process.wait(LONG);
    let line = process.output();
    assert_eq!(status.code(), Some(2), "{line}");
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(
        line.contains("token create") && line.contains("--insecure-open"),
        "{line}"
    );
    // Nor is one made where there was none.
    let elsewhere = place.scratch.join("elsewhere");
    place.refusal(&everywhere.on(&elsewhere));
    assert!(!elsewhere.exists());
}

#[test]
fn data_of_a_newer_version() {
    let place = Place::new();
    let path = Database::path(place.options.data());
    let database = rusqlite::Connection::open(&path).unwrap();
    let newer = "INSERT INTO refinery_schema_history SELECT 1000, 'later', applied_on, checksum
                 FROM refinery_schema_history LIMIT 1";
    assert_eq!(database.execute(newer, []).unwrap(), 1);
    database.close().unwrap();
    let line = place.refusal(&place.options);
    assert!(
        line.contains("newer version") && line.contains("1000"),
        "{line}"
    );
}

#[test]
fn a_file_that_is_no_database() {
    let place = Place::new();
    let folder = place.scratch.join("other");
    fs::create_dir(&folder).unwrap();
    for text in ["no database".repeat(1000), "no".into()] {
        fs::write(Database::path(&folder), text).unwrap();
        let line = place.refusal(&place.options.clone().on(&folder));
        assert!(line.contains("database"), "{line}");
    }
}

#[test]
fn a_file_in_the_place_of_the_data_folder() {
    let place = Place::new();
    let file = place.scratch.join("file");
    fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("data")] {
        let line = place.refusal(&place.options.clone().on(&path));
        assert!(
            line.contains(path.to_str().unwrap()) && line.contains("--data-dir"),
            "{line}"
        );
    }
}

/// A mount, gone with its handle.
struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_data_folder_that_cannot_be_written() {
    let place = Place::new();
    let folder = place.scratch.join("read-only");
    fs::create_dir(&folder).unwrap();
    let status = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "ro", "none"])
        .arg(&folder)
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "this test mounts a file system: it needs to be root"
    );
    let _mounted = Mounted(&folder);
    for data in [folder.clone(), folder.join("data")] {
        let line = place.refusal(&place.options.clone().on(&data));
        assert!(
            line.contains(data.to_str().unwrap()) && line.contains("--data-dir"),
            "{line}"
        );
    }
}

#[test]
fn a_tls_certificate_or_key_that_cannot_be_used() {
    let place = Place::new();
    let pem = |name: &str| {
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let files = [
            ("cert", pair.cert.pem()),
            ("key", pair.signing_key.serialize_pem()),
        ];
        files.map(|(kind, text)| {
            let path = place.scratch.join(&format!("{name}.{kind}.log"));
            fs::write(&path, text).unwrap();
            path.display().to_string()
        })
    };
    let [certificate, key] = pem("one");
    let [_, other_key] = pem("other");
    for (certificate, key, reason) in [
        ("/nowhere/cert.pem", &*key, "cannot read /nowhere/cert.pem"),
        (
            &*certificate,
            "/nowhere/key.pem",
            "cannot read /nowhere/key.pem",
        ),
        (&*key, &*key, "holds no certificate"),
        (&*certificate, &*certificate, "holds no private key"),
        (&*certificate, &*other_key, "cannot be used together"),
    ] {
        let options = place.options.clone();
        let line = place.refusal(
            &options
                .with("--tls-cert", certificate)
                .with("--tls-key", key),
        );
        assert!(
            line.contains(reason) && line.contains("--tls-key"),
            "{line}"
        );
    }
    let line = place.refusal(&place.options.clone().with("--tls-cert", &certificate));
    assert!(line.contains("--tls-key"), "{line}");
}
