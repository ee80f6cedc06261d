//! Requests as nobody writes them who means well, byte by byte over a real connection.

use tokio::io::AsyncWriteExt;

use crate::support::socket::{
    ALERT, Running, alert_request, patient, post, read_answer, start, until_closed,
};

/// What a request hidden in another one would do, were it taken for one.
const HIDDEN: &str =
    "DELETE /v1/users/11111111-1111-1111-1111-111111111111 HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Sends `bytes`, and gives all that comes back until the connection ends.
async fn all_answers(server: &Running, bytes: &str) -> String {
    let mut stream = server.connect().await;
    stream.write_all(bytes.as_bytes()).await.unwrap();
    until_closed(&mut stream).await
}

/// Sends `bytes`, and gives the status of the first answer.
async fn status(server: &Running, bytes: &str) -> u16 {
    let mut stream = server.connect().await;
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let (head, _) = read_answer(&mut stream).await;
    head[9..12].parse().unwrap()
}

fn user_count(server: &Running) -> usize {
    use producer::ports::DirectoryStore;
    server.api.store.snapshot().user_count()
}

#[tokio::test]
async fn a_length_beside_chunks_ends_the_connection_with_what_the_chunks_hold() {
    let server = start(patient()).await;
    let chunks = format!("{:x}\r\n{ALERT}\r\n0\r\n\r\n", ALERT.len());
    for lengths in [
        "content-length: 4\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
    ] {
        let request = format!(
            "POST /v1/alerts HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{lengths}\r\n{chunks}{HIDDEN}"
        );
        let answers = all_answers(&server, &request).await;
        assert!(answers.starts_with("HTTP/1.1 200"), "{answers}");
        assert_eq!(answers.matches("HTTP/1.1").count(), 1, "{answers}");
    }
    assert_eq!(user_count(&server), 2);
}

#[tokio::test]
async fn a_chunked_request_is_the_last_of_its_connection() {
    let server = start(patient()).await;
    let request = format!(
        "POST /v1/alerts HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{ALERT}\r\n0\r\n\r\n{HIDDEN}",
        ALERT.len()
    );
    let answers = all_answers(&server, &request).await;
    assert!(answers.to_lowercase().contains("\r\nconnection: close\r\n"));
    assert_eq!(answers.matches("HTTP/1.1").count(), 1, "{answers}");
    assert_eq!(user_count(&server), 2);
}

#[tokio::test]
async fn two_lengths_that_differ_are_400_and_the_end() {
    let server = start(patient()).await;
    let request = format!(
        "POST /v1/alerts HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\ncontent-length: 4\r\n\r\n{ALERT}{HIDDEN}",
        ALERT.len()
    );
    let answers = all_answers(&server, &request).await;
    assert!(answers.starts_with("HTTP/1.1 400"), "{answers}");
    assert_eq!(answers.matches("HTTP/1.1").count(), 1, "{answers}");
    assert_eq!(user_count(&server), 2);
}

#[tokio::test]
async fn a_length_that_is_no_number_and_an_encoding_that_is_not_chunked_are_400() {
    let server = start(patient()).await;
    for header in [
        "content-length: -1",
        "content-length: +4",
        "content-length: 4, 4",
        "content-length: 99999999999999999999",
        "transfer-encoding: identity",
        "transfer-encoding: chunked, gzip",
        "transfer-encoding: xchunked",
    ] {
        let request =
            format!("POST /v1/alerts HTTP/1.1\r\nhost: localhost\r\n{header}\r\n\r\n{HIDDEN}");
        let answers = all_answers(&server, &request).await;
        assert!(answers.starts_with("HTTP/1.1 4"), "{header}: {answers}");
        assert_eq!(
            answers.matches("HTTP/1.1").count(),
            1,
            "{header}: {answers}"
        );
    }
    assert_eq!(user_count(&server), 2);
}

#[tokio::test]
async fn a_head_whose_lines_end_with_a_lone_line_feed_is_400_and_the_end() {
    let server = start(patient()).await;
    for head in [
        "GET /health/live HTTP/1.1\nhost: localhost\r\n\r\n",
        "GET /health/live HTTP/1.1\r\nhost: localhost\n\r\n",
        "GET /health/live HTTP/1.1\r\nhost: localhost\r\na: b\ncontent-length: 40\r\n\r\n",
        "GET /health/live HTTP/1.1\r\nhost: localhost\r\n\n",
    ] {
        let answers = all_answers(&server, &format!("{head}{HIDDEN}")).await;
        assert!(answers.starts_with("HTTP/1.1 400"), "{head:?}: {answers}");
        assert!(answers.contains("must end with CR LF"), "{answers}");
        assert_eq!(answers.matches("HTTP/1.1").count(), 1, "{answers}");
    }
    assert_eq!(user_count(&server), 2);
}

#[tokio::test]
async fn a_lone_line_feed_is_found_in_a_later_request_of_a_connection_too() {
    let server = start(patient()).await;
    let first = alert_request(ALERT);
    let second = HIDDEN.replace("host: localhost\r\n", "host: localhost\n");
    let answers = all_answers(&server, &format!("{first}{second}")).await;
    assert_eq!(user_count(&server), 2);
    assert!(!answers.contains("HTTP/1.1 204"), "{answers}");
}

#[tokio::test]
async fn line_feeds_in_a_body_are_the_bodys_own() {
    let server = start(patient()).await;
    let mut stream = server.connect().await;
    let body = ALERT.replace(',', ",\n\n");
    for _ in 0..3 {
        let (head, _) = post(&mut stream, &alert_request(&body)).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    }
}

#[tokio::test]
async fn a_body_in_many_pieces_with_the_next_request_behind_it_is_read_whole() {
    let server = start(patient()).await;
    let mut stream = server.connect().await;
    let bytes = alert_request(ALERT).repeat(2);
    for byte in bytes.as_bytes() {
        stream.write_all(&[*byte]).await.unwrap();
        stream.flush().await.unwrap();
    }
    for _ in 0..2 {
        assert!(read_answer(&mut stream).await.0.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(server.api.queue.accepted().len(), 2);
}

#[tokio::test]
async fn a_head_beyond_64_kib_or_100_headers_is_431() {
    let server = start(patient()).await;
    let long = format!(
        "GET /health/live HTTP/1.1\r\nhost: localhost\r\na: {}\r\n\r\n",
        "b".repeat(80 << 10)
    );
    let many = format!(
        "GET /health/live HTTP/1.1\r\nhost: localhost\r\n{}\r\n",
        "a: b\r\n".repeat(101)
    );
    for request in [long, many] {
        assert_eq!(status(&server, &request).await, 431);
    }
    let fits = format!(
        "GET /health/live HTTP/1.1\r\nhost: localhost\r\na: {}\r\n\r\n",
        "b".repeat(60 << 10)
    );
    assert_eq!(status(&server, &fits).await, 200);
}

#[tokio::test]
async fn a_path_beyond_64_kib_is_refused() {
    let server = start(patient()).await;
    let request = format!(
        "GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "a".repeat(70 << 10)
    );
    let status = status(&server, &request).await;
    assert!(status == 414 || status == 431, "{status}");
}

#[tokio::test]
async fn a_header_that_may_stand_there_once_is_400_when_it_stands_there_twice() {
    let server = start(patient()).await;
    for (name, value) in [
        ("host", "x"),
        ("content-type", "application/json"),
        ("content-type", "text/plain"),
        ("content-encoding", "identity"),
        ("authorization", "Bearer a"),
    ] {
        let twice = format!("{name}: {value}\r\n");
        let request = format!("GET /health/live HTTP/1.1\r\n{twice}{twice}\r\n");
        assert_eq!(status(&server, &request).await, 400, "{name}");
    }
}

#[tokio::test]
async fn a_head_that_is_no_http_is_400() {
    let server = start(patient()).await;
    for bytes in [
        "\0\0\0\0\r\n\r\n",
        "GET\r\n\r\n",
        "GET /health/live HTTP/9.9\r\n\r\n",
        "GET /health/live HTTP/1.1\r\nhost : x\r\n\r\n",
        "GET /health/live HTTP/1.1\r\n: x\r\n\r\n",
        "GET /health/live HTTP/1.1\r\nhost: localhost\r\n folded\r\n\r\n",
        "GET /health/live HTTP/1.1\r\nhost: \0\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\r\n\r\n",
    ] {
        let answers = all_answers(&server, bytes).await;
        assert!(answers.starts_with("HTTP/1.1 400"), "{bytes:?}: {answers}");
    }
}

#[tokio::test]
async fn a_compressed_body_is_415_and_says_that_none_will_do() {
    let server = start(patient()).await;
    for encoding in ["gzip", "br", "deflate", "zstd", "identity, gzip", ""] {
        let mut stream = server.connect().await;
        let request = alert_request(ALERT);
        let request = request.replace(
            "host: localhost",
            &format!("host: localhost\r\ncontent-encoding: {encoding}"),
        );
        let (head, body) = post(&mut stream, &request).await;
        assert!(head.starts_with("HTTP/1.1 415"), "{encoding}: {head}");
        assert!(head.contains("\r\naccept-encoding: identity\r\n"), "{head}");
        assert_eq!(body["errorCode"], "UNSUPPORTED_CONTENT_ENCODING");
    }
    let mut stream = server.connect().await;
    let plain = alert_request(ALERT).replace(
        "host: localhost",
        "host: localhost\r\ncontent-encoding: identity",
    );
    let (head, _) = post(&mut stream, &plain).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
}

#[tokio::test]
async fn a_path_is_what_it_says_and_nothing_that_it_could_be_made_to_mean() {
    let server = start(patient()).await;
    for path in [
        "//v1/users",
        "/v1//users",
        "/v1/users/",
        "/v1/./users",
        "/v1/../v1/users",
        "/%2e%2e/v1/users",
        "/v1/%2e%2e/v1/users",
        "/v1%2fusers",
        "/V1/users",
        "/swagger-ui/../v1/users",
        "/swagger-ui/%2e%2e/%2e%2e/etc/passwd",
        "/swagger-ui/..%2f..%2fetc/passwd",
        "/swagger-ui//etc/passwd",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        assert_eq!(status(&server, &request).await, 404, "{path}");
    }
    for path in ["/v1/users/%2e%2e", "/v1/users/..%2f..", "/v1/users/%00"] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        assert_eq!(status(&server, &request).await, 400, "{path}");
    }
}

#[tokio::test]
async fn a_transaction_id_that_could_forge_a_log_line_is_replaced() {
    let server = start(patient()).await;
    let mut long = "a".repeat(129);
    for bad in [
        "a b",
        "a\tb",
        "a\u{1b}[31mb",
        "ä",
        "a;b",
        "",
        &*long.clone(),
    ] {
        let request = format!(
            "GET /health/live HTTP/1.1\r\nhost: localhost\r\nx-global-transaction-id: {bad}\r\n\r\n"
        );
        let mut stream = server.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let (head, _) = read_answer(&mut stream).await;
        if head.starts_with("HTTP/1.1 400") {
            // No header may hold an escape character at all.
            assert!(bad.contains('\u{1b}'), "{bad:?}: {head}");
            continue;
        }
        let line = head
            .lines()
            .find(|line| line.starts_with("x-global-transaction-id: "));
        let given = line.unwrap().split_once(": ").unwrap().1;
        assert!(given.parse::<uuid::Uuid>().is_ok(), "{bad:?}: {given}");
    }
    long.pop();
    let request = format!(
        "GET /health/live HTTP/1.1\r\nhost: localhost\r\nx-global-transaction-id: {long}\r\n\r\n"
    );
    let mut stream = server.connect().await;
    stream.write_all(request.as_bytes()).await.unwrap();
    assert!(read_answer(&mut stream).await.0.contains(&long));
}

#[tokio::test]
async fn names_that_look_alike_are_two_and_both_are_listed() {
    let server = start(patient()).await;
    let (latin, cyrillic) = ("pay-admin", "pay-\u{430}dmin");
    for name in [latin, cyrillic] {
        let body = format!(
            r#"{{"name":"{name}","token":"t","channelId":"c-{}"}}"#,
            name.len()
        );
        let request = format!(
            "POST /v1/users HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        assert_eq!(status(&server, &request).await, 201, "{name}");
    }
    let mut stream = server.connect().await;
    let (_, listed) = post(
        &mut stream,
        "GET /v1/users?prefix=pay- HTTP/1.1\r\nhost: localhost\r\n\r\n",
    )
    .await;
    let listed = listed.to_string();
    assert!(
        listed.contains(latin) && listed.contains(cyrillic),
        "{listed}"
    );
    let alert = ALERT.replace("@all", &format!("@{latin}"));
    let (_, body) = post(&mut stream, &alert_request(&alert)).await;
    assert_eq!(body["data"]["userCount"], 1);
}
