//! From the first token, made before anybody listens, to its end.

use std::path::Path;

use tests::harness::{Connection, Mockup, Scratch, Server, ServerOptions, command, program};

/// Runs `token` on a data folder; what it printed.
fn token(data: &Path, arguments: &[&str]) -> String {
    let output = command(program().as_os_str())
        .arg("token")
        .args(arguments)
        .args(["--offline", "--data-dir"])
        .arg(data)
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    printed
}

fn status(server: &Server, path: &str, token: Option<&str>) -> u16 {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<_> = bearer
        .iter()
        .map(|bearer| ("Authorization", bearer.as_str()))
        .collect();
    let mut connection = Connection::open(server.address()).unwrap();
    connection
        .request("GET", path, &headers, b"")
        .unwrap()
        .status
}

#[test]
fn a_server_that_others_reach_starts_with_a_token_and_asks_for_it() {
    let scratch = Scratch::new("tokens");
    let mockup = Mockup::start(&scratch);
    let options = ServerOptions::new(&scratch.join("data"), &mockup);
    let printed = token(options.data(), &["create", "admin", "--scope", "admin"]);
    let secret = printed
        .lines()
        .find(|line| line.starts_with("en_"))
        .unwrap();
    let port = options.address().port();
    // Reached over loopback all the same.
    let options = options.listening(([0, 0, 0, 0], port).into());
    let server = options.start();
    assert_eq!(status(&server, "/v1/users", None), 401);
    assert_eq!(status(&server, "/v1/users", Some(secret)), 200);
    assert_eq!(status(&server, "/metrics", None), 200);
    assert!(!server.process.output().contains(secret));
    server.stop();
    token(options.data(), &["revoke", "admin"]);
    let server = options.start();
    assert_eq!(status(&server, "/v1/users", Some(secret)), 401);
    server.stop();
}

#[test]
fn a_server_that_is_open_says_so_in_one_line() {
    let scratch = Scratch::new("open");
    let mockup = Mockup::start(&scratch);
    let options = ServerOptions::new(&scratch.join("data"), &mockup);
    for (options, said) in [
        (options.clone(), "every program on this machine"),
        (options.switched("--insecure-open"), "whoever reaches it"),
    ] {
        let server = options.start();
        assert_eq!(status(&server, "/v1/users", None), 200);
        let lines = server.process.output();
        let said = lines.lines().filter(|line| line.contains(said));
        assert_eq!(said.count(), 1, "{lines}");
        server.stop();
    }
}
