//! Being told of messages as they arrive.

use mockup::{Arrival, Mockup, Settings};
use serde_json::json;

use crate::client::Server;

#[tokio::test]
async fn a_subscriber_is_told_of_each_message_in_order() {
    let server = Server::start().await;
    let mut arrivals = server.mockup.subscribe();
    for text in ["one", "two"] {
        server.post("C1", text).await.unwrap();
    }
    for (seq, text) in [(1, "one"), (2, "two")] {
        let Some(Arrival::Message(message)) = arrivals.next().await else {
            panic!("a message was expected");
        };
        assert_eq!(
            (message.seq(), message.channel(), message.text()),
            (seq, "C1", text)
        );
    }
}

#[tokio::test]
async fn a_subscriber_is_told_of_messages_whose_answer_is_lost_and_not_of_refused_ones() {
    let server = Server::start().await;
    server
        .break_with(json!({"channels": {
            "refused": {"status": 500},
            "lost": {"loseAnswerRate": 1},
        }}))
        .await;
    let mut arrivals = server.mockup.subscribe();
    server.post("refused", "t").await;
    server.post("lost", "t").await;
    let Some(Arrival::Message(message)) = arrivals.next().await else {
        panic!("a message was expected");
    };
    assert_eq!(message.channel(), "lost");
}

#[tokio::test]
async fn a_slow_subscriber_misses_messages_and_is_told_how_many() {
    let server = Server::start().await;
    let mut arrivals = server.mockup.subscribe();
    let mut connection = server.connect().await;
    for _ in 0..1024 + 3 {
        connection.post("C1", "t").await;
        connection.answer().await.unwrap();
    }
    assert!(matches!(arrivals.next().await, Some(Arrival::Missed(3))));
    let Some(Arrival::Message(message)) = arrivals.next().await else {
        panic!("a message was expected");
    };
    assert_eq!(message.seq(), 4);
}

#[tokio::test]
async fn a_subscription_ends_with_its_mockup() {
    let mockup = Mockup::new(Settings::default());
    let mut arrivals = mockup.subscribe();
    drop(mockup);
    assert!(arrivals.next().await.is_none());
}
