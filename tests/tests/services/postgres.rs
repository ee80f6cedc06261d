//! A PostgreSQL server is private, keeps what it was told, and can be broken.

use std::{fs, thread};

use tests::{
    harness::{Scratch, until},
    services::Postgres,
};

const TABLE: &str = "CREATE TABLE word (text text); INSERT INTO word VALUES ('kept')";
const WORDS: &str = "SELECT text FROM word";

#[test]
fn what_was_committed_outlives_a_restart_and_a_kill_on_the_same_port() {
    let mut server = Postgres::start();
    let address = server.address();
    server.sql(Postgres::DATABASE, TABLE);

    server.restart();
    assert_eq!(server.sql(Postgres::DATABASE, WORDS), "kept");

    server.sql(Postgres::DATABASE, "INSERT INTO word VALUES ('and more')");
    server.kill();
    server.start_again();
    assert_eq!(server.sql(Postgres::DATABASE, WORDS), "kept\nand more");
    assert_eq!(server.address(), address);
}

#[test]
fn a_stopped_server_refuses_and_a_paused_one_is_silent() {
    let mut server = Postgres::start_with(&[("fsync", "off")]);
    server.stop();
    let error = ask(&server).expect_err("nobody listens");
    assert!(error.contains("Connection refused"), "{error}");
    server.start_again();

    server.pause();
    let answer = thread::scope(|scope| {
        let asking = scope.spawn(|| ask(&server));
        until("a connection", || has_connection(server.address().port()));
        assert!(!asking.is_finished(), "a paused server does not answer");
        server.resume();
        asking.join().expect("no panic")
    });
    assert_eq!(answer.expect("an answer"), "1");
}

#[test]
fn the_shared_server_gives_each_test_a_database_and_has_one_account_with_a_password() {
    let server = Postgres::shared();
    let url = server.create_database("mine");
    assert!(
        url.ends_with(&format!("@{}/mine", server.address())),
        "{url}"
    );
    server.sql("mine", TABLE);
    assert_eq!(server.sql("mine", WORDS), "kept");

    let wrong = server.try_sql("mine", "wrong", "SELECT 1");
    let error = wrong.expect_err("that is not the password");
    assert!(error.contains("password authentication failed"), "{error}");
    let superuser = server.sql("mine", "SELECT rolsuper FROM pg_roles WHERE rolname = USER");
    assert_eq!(superuser, "f");
    assert_eq!(server.administer("mine", "SHOW fsync"), "on");
    assert_eq!(
        server.administer("mine", "SHOW password_encryption"),
        "scram-sha-256"
    );
}

#[test]
fn a_lasting_server_outlives_its_handle_and_finds_its_data_again() {
    let scratch = Scratch::new("lasting");
    let folder = scratch.join("postgres");
    let server = Postgres::start_lasting(&folder);
    server.sql(Postgres::DATABASE, TABLE);
    let left = server.leave();
    assert!(left.is_running());
    Postgres::end(left);
    assert!(!left.is_running());

    let server = Postgres::start_lasting(&folder);
    assert_eq!(server.sql(Postgres::DATABASE, WORDS), "kept");

    // It is not in the scratch folder where the server's account does not reach that.
    let data = server.folder().to_owned();
    drop(server);
    fs::remove_dir_all(data).expect("the data can be removed");
}

fn ask(server: &Postgres) -> Result<String, String> {
    server.try_sql(Postgres::DATABASE, server.password(), "SELECT 1")
}

/// Whether a connection to that port on this machine is open, by its line in
/// `/proc/net/tcp`, see proc_net_tcp(5).
fn has_connection(port: u16) -> bool {
    let table = fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
    let is_open = |line: &str| {
        let mut fields = line.split_whitespace().skip(2);
        let remote = fields.next().unwrap_or_default();
        remote.ends_with(&format!(":{port:04X}")) && fields.next() == Some("01")
    };
    table.lines().any(is_open)
}
