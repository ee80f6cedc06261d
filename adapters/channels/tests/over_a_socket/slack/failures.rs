//! What follows where no answer comes, or not all of it.

use std::time::Duration;

use consumer::domain::{Fault, Refusal};
use rstest::rstest;
use tokio::net::TcpListener;

use super::{
    channel, channel_with, maybe, passing, refused, send,
    server::{Reply, Seen, Server},
};

/// Long enough for a request over the loopback interface to leave.
const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(60);
/// Far more than what sockets buffer, far less than two gigabytes.
const BOUNDED: usize = 64 << 20;

fn not_sent(reason: &str) -> Refusal {
    Refusal {
        status: None,
        ..passing(Fault::Host, 0, reason)
    }
}

#[tokio::test]
async fn a_refused_connection_was_certainly_not_accepted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(
        refused(send(&channel(&url)).await),
        not_sent("could not connect: Connection refused (os error 111)")
    );
}

#[tokio::test]
async fn a_tls_handshake_that_never_ends_is_given_up_and_was_not_accepted() {
    let server = Server::start(Reply::Deaf).await;
    let channel = channel_with(&server.url.replace("http:", "https:"), LONG, SHORT);
    assert_eq!(
        refused(send(&channel).await),
        not_sent("could not connect: no connection within 1 s")
    );
}

#[tokio::test]
async fn a_request_whose_time_is_up_before_it_is_connected_was_not_accepted() {
    let server = Server::start(Reply::Deaf).await;
    let channel = channel_with(&server.url.replace("http:", "https:"), SHORT, LONG);
    assert_eq!(
        refused(send(&channel).await),
        not_sent("no answer within 1 s")
    );
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_was_not_sent_anything() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream);
        }
    });
    let refusal = refused(send(&channel(&url)).await);
    assert_eq!((refusal.fault, refusal.lasting), (Fault::Host, false));
    assert!(
        refusal.reason.starts_with("could not connect: "),
        "{}",
        refusal.reason
    );
}

#[tokio::test]
async fn a_connection_closed_after_the_request_was_read_may_have_accepted_it() {
    let mut server = Server::start(Reply::Close).await;
    assert_eq!(
        maybe(send(&channel(&server.url)).await),
        "connection closed before message completed"
    );
    server.request().await;
    assert!(server.so_far().is_empty(), "it was sent once");
}

#[tokio::test]
async fn a_request_that_is_never_answered_may_have_been_accepted() {
    let mut server = Server::start(Reply::Silence).await;
    let channel = channel_with(&server.url, SHORT, LONG);
    assert_eq!(maybe(send(&channel).await), "no answer within 1 s");
    server.request().await;
}

#[tokio::test]
async fn half_an_answer_to_the_head_may_have_accepted() {
    let server = Server::start(Reply::AnswerAndClose(b"HTTP/1.1 200".to_vec())).await;
    maybe(send(&channel(&server.url)).await);
}

#[tokio::test]
async fn an_answer_that_is_not_http_may_have_accepted() {
    let server = Server::start(Reply::AnswerAndClose(b"what?\r\n\r\n".to_vec())).await;
    assert_eq!(
        maybe(send(&channel(&server.url)).await),
        "invalid HTTP version parsed"
    );
}

#[tokio::test]
async fn a_200_whose_body_is_cut_short_may_have_accepted() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"ok\":true".to_vec();
    let server = Server::start(Reply::AnswerAndClose(head)).await;
    assert_eq!(
        maybe(send(&channel(&server.url)).await),
        "the answer was cut short: end of file before message length reached"
    );
}

#[tokio::test]
async fn a_200_whose_body_does_not_end_in_time_may_have_accepted() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"ok\":true".to_vec();
    let server = Server::start(Reply::AnswerAndHang(head)).await;
    let channel = channel_with(&server.url, SHORT, LONG);
    assert_eq!(
        maybe(send(&channel).await),
        "the answer did not end within 1 s"
    );
}

#[rstest]
#[case::two_gigabytes("content-length: 2147483648\r\n")]
#[case::endless("connection: close\r\n")]
#[tokio::test]
async fn an_answer_too_long_to_read_is_left_and_its_connection_closed(#[case] headers: &str) {
    let head = format!("HTTP/1.1 200 OK\r\n{headers}\r\n").into_bytes();
    let mut server = Server::start(Reply::AnswerAndFlood(head)).await;
    assert_eq!(
        maybe(send(&channel(&server.url)).await),
        "the answer is longer than 64 KiB"
    );
    let flood = server.flood().await;
    assert!(flood < BOUNDED, "{flood} bytes were taken");
}

#[tokio::test]
async fn an_endless_error_page_still_means_what_its_status_says() {
    let head = b"HTTP/1.1 502 Bad Gateway\r\n\r\n".to_vec();
    let mut server = Server::start(Reply::AnswerAndFlood(head)).await;
    assert_eq!(
        refused(send(&channel(&server.url)).await),
        passing(Fault::Host, 502, "502 Bad Gateway")
    );
    assert!(server.flood().await < BOUNDED);
}

#[tokio::test]
async fn a_connection_whose_answer_was_given_up_is_not_used_again() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"ok\":true".to_vec();
    let mut server = Server::start(Reply::AnswerAndHang(head)).await;
    let channel = channel_with(&server.url, SHORT, LONG);
    for _ in 0..2 {
        maybe(send(&channel).await);
        assert_eq!(server.next().await, Seen::Connected);
        server.request().await;
    }
}
