//! On a network: TLS, limits, and input that means no good.

use std::{fs, time::Duration};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::json;
use tests::{
    crowd::Crowd,
    harness::{Connection, Directory, LONG, Mockup, Scratch, ServerOptions, Site, program, until},
};

#[test]
fn its_own_client_reaches_it_by_tls_and_the_certificate_may_change_meanwhile() {
    let scratch = Scratch::new("tls");
    let mockup = Mockup::start(&scratch);
    let renew = || {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(scratch.join("key.pem"), signing_key.serialize_pem()).unwrap();
        fs::write(scratch.join("cert.pem"), cert.pem()).unwrap();
    };
    renew();
    let path = |name: &str| scratch.join(name).display().to_string();
    let options = ServerOptions::new(&scratch.join("data"), &mockup)
        .with("--tls-cert", &path("cert.pem"))
        .with("--tls-key", &path("key.pem"));
    let mut server = options.spawn();
    let url = format!("https://localhost:{}", options.address().port());
    let is_ready = || {
        let ended = std::process::Command::new(program())
            .args(["health", "--url", &url])
            .env("SSL_CERT_FILE", scratch.join("cert.pem"))
            .output()
            .unwrap();
        ended.status.success()
    };
    until("a server that is ready", is_ready);
    renew();
    until("the new certificate", is_ready);
    server.terminate();
    assert_eq!(server.wait(LONG).code(), Some(0));
    assert!(!server.output().contains("PRIVATE KEY"));
}

#[test]
fn who_sends_too_much_through_a_proxy_is_told_to_wait_and_others_are_not() {
    let site = Site::with(Directory::of_users(1), |options| {
        options
            .with("--trusted-proxies", "127.0.0.0/8")
            .with("--rate-limit", "0.01")
            .with("--rate-burst", "2")
            .switched("--insecure-open")
    });
    let from = |address: &str| {
        let mut connection = Connection::open(site.server.address()).unwrap();
        let headers = [("X-Forwarded-For", address)];
        connection
            .request("GET", "/v1/users", &headers, b"")
            .unwrap()
    };
    assert_eq!(from("192.0.2.1").status, 200);
    assert_eq!(from("192.0.2.1").status, 200);
    let refused = from("192.0.2.1");
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), Some("100"));
    assert_eq!(from("192.0.2.2").status, 200);
}

#[test]
fn what_would_ping_everyone_in_slack_is_read_as_it_was_written() {
    let message = "<!channel> <@U024BE7LH> a & b <https://example.org|click>";
    for (escape, received) in [
        (
            "true",
            "[low] &lt;!channel&gt; &lt;@U024BE7LH&gt; a &amp; b &lt;https://example.org|click&gt;",
        ),
        (
            "false",
            "[low] <!channel> <@U024BE7LH> a & b <https://example.org|click>",
        ),
    ] {
        let site = Site::with(Directory::of_users(1), |options| {
            options.with("--slack-escape", escape)
        });
        site.accepted(&["@all"], "low", message);
        assert_eq!(site.wait_for("C1", 1)[0].text, received);
    }
}

#[test]
fn no_name_message_or_transaction_id_begins_a_line_of_the_log() {
    const FORGED: &str = "\n2026-01-01T00:00:00Z ERROR forged\u{1b}[2J\r\u{9b}31m";
    for format in ["text", "json"] {
        let site = Site::with(Directory::of_users(1), |options| {
            options
                .with("--log-format", format)
                .with("--log-http", "full")
                .with("--log-level", "trace")
        });
        site.accepted(&["@all"], "low", &format!("line{FORGED}"));
        let user = json!({ "name": format!("x{FORGED}"), "token": "t", "channelId": "c" });
        let refused = site.server.request("POST", "/v1/users", &user.to_string());
        assert_eq!(refused.status, 400);
        let target = format!("@x{FORGED}");
        assert_eq!(site.server.alert(&[&target], "low", "m").status, 400);
        let mut connection = Connection::open(site.server.address()).unwrap();
        let headers = [("X-Global-Transaction-Id", "a ERROR forged")];
        let path = "/v1/users?prefix=%0a2026-01-01T00:00:00Z%20ERROR%20forged%1b%5b2J";
        connection.request("GET", path, &headers, b"").unwrap();
        site.wait_for("C1", 1);
        site.server.drain(LONG);
        let log = site.server.process.output();
        for line in log.lines() {
            assert!(!line.starts_with("2026-01-01"), "{line}");
        }
        let controls = log.chars().filter(|c| c.is_control() && *c != '\n').count();
        assert_eq!(controls, 0, "{log:?}");
    }
}

#[test]
fn a_crowd_of_idle_and_slow_connections_holds_up_nobody_and_is_closed_in_the_end() {
    let site = Site::with(Directory::of_users(1), |options| {
        options
            .with("--max-connections", "50")
            .with("--header-timeout", "1s")
            .with("--idle-timeout", "2s")
    });
    let mut crowd = Crowd::gather(site.server.address(), 400).unwrap();
    // Those beyond the limit have given way, or will; nobody waits for them.
    for _ in 0..20 {
        site.accepted(&["@user1"], "high", "node1 down");
    }
    until("places that were given up", || crowd.held() <= 50);
    assert_eq!(crowd.outlast(LONG + Duration::from_secs(30)), 0);
    assert_eq!(site.wait_for("C1", 20).len(), 20);
    assert_eq!(site.server.request("GET", "/health/ready", "").status, 200);
}
