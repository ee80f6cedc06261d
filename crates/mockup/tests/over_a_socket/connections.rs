//! Connections: kept alive, broken off, shut down; and what a message's record
//! says of it.

use std::time::Duration;

use mockup::Arrival;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{Connection, Server};

/// How long a test waits for what must happen before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// Posts to a mockup that holds the answer back, and waits until it was received.
async fn post_unanswered(server: &Server) -> Connection {
    server.break_with(json!({"latencyMs": 600_000})).await;
    let mut arrivals = server.mockup.subscribe();
    let mut connection = server.connect().await;
    connection.post("C1", "begun").await;
    assert!(matches!(arrivals.next().await, Some(Arrival::Message(_))));
    connection
}

async fn until_the_answer_is(server: &Server, answer: &str) -> Value {
    let ended = async {
        loop {
            let message = server.messages().await.remove(0);
            if message["answer"] == answer {
                return message;
            }
        }
    };
    timeout(PATIENCE, ended).await.unwrap()
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    for _ in 0..3 {
        connection.post("C1", "t").await;
        assert_eq!(connection.answer().await.unwrap().status, 200);
    }
    connection.send("GET", "/_mock/stats", "", b"").await;
    assert_eq!(connection.answer().await.unwrap().json()["accepted"], 3);
}

#[tokio::test]
async fn a_message_is_recorded_and_counted_before_it_is_answered() {
    let server = Server::start().await;
    let _connection = post_unanswered(&server).await;
    let message = server.messages().await.remove(0);
    assert_eq!(message["text"], "begun");
    assert_eq!(message["answer"], "pending");
    assert!(message["answeredAt"].is_null() && message["closedAt"].is_null());
    let stats = server.stats().await;
    assert_eq!(
        (&stats["accepted"], &stats["inProgress"]),
        (&1.into(), &1.into())
    );
}

#[tokio::test]
async fn a_client_that_goes_before_the_answer_is_recorded_as_gone() {
    let server = Server::start().await;
    let connection = post_unanswered(&server).await;
    drop(connection);
    let message = until_the_answer_is(&server, "clientGone").await;
    assert!(message["answeredAt"].is_null() && message["closedAt"].is_string());
    let stats = server.stats().await;
    assert_eq!(
        (&stats["clientGone"], &stats["inProgress"]),
        (&1.into(), &0.into())
    );
    assert_eq!(stats["accepted"], 1);
}

#[tokio::test]
async fn half_a_request_is_never_received() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    connection
        .write(b"POST /api/chat.postMessage HTTP/1.1\r\nHost: m\r\nContent-Length: 10\r\n\r\n{")
        .await;
    drop(connection);
    assert_eq!(server.post("C1", "whole").await.unwrap().status, 200);
    let stats = server.stats().await;
    assert_eq!(
        (&stats["received"], &stats["inProgress"]),
        (&1.into(), &0.into())
    );
}

#[tokio::test]
async fn what_is_no_http_is_a_400_and_the_others_are_served() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    connection.write(b"what is this\r\n\r\n").await;
    assert_eq!(connection.answer().await.unwrap().status, 400);
    assert_eq!(server.post("C1", "t").await.unwrap().status, 200);
}

#[tokio::test]
async fn what_is_in_progress_stays_so_when_the_stats_are_reset() {
    let server = Server::start().await;
    let connection = post_unanswered(&server).await;
    server.ask("DELETE", "/_mock/messages", "", "").await;
    assert_eq!(server.stats().await["inProgress"], 1);
    drop(connection);
    let none_left = async { while server.stats().await["inProgress"] != 0 {} };
    timeout(PATIENCE, none_left).await.unwrap();
}

#[tokio::test]
async fn a_shutdown_closes_idle_connections_and_takes_no_more() {
    let server = Server::start().await;
    let address = server.address;
    let mut idle = server.connect().await;
    idle.post("C1", "t").await;
    idle.answer().await.unwrap();
    server.stop().await;
    assert!(idle.answer().await.is_none());
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_shutdown_lets_a_request_under_way_be_answered() {
    let server = Server::start().await;
    let mut arrivals = server.mockup.subscribe();
    let mut connection = server.connect().await;
    server.break_with(json!({"latencyMs": 1000})).await;
    tokio::time::pause();
    connection.post("C1", "t").await;
    arrivals.next().await.unwrap();
    server.stop().await;
    assert_eq!(connection.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_ever() {
    let server = Server::start().await;
    let mut connection = post_unanswered(&server).await;
    tokio::time::pause();
    server.stop().await;
    assert!(connection.answer().await.is_none());
}
