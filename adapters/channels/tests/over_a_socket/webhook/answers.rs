//! What follows from a webhook's answer, or from none.

use std::time::Duration;

use consumer::domain::{Answer, Fault, Refusal};
use rstest::rstest;
use tokio::net::TcpListener;

use super::{
    Sent, channel, maybe, passing, refused, send,
    server::{Reply, Server, answer},
};

const SHORT: Duration = Duration::from_secs(1);
/// Far more than what sockets buffer, far less than two gigabytes.
const BOUNDED: usize = 64 << 20;

async fn to(reply: Reply) -> Answer {
    send(&Server::start(reply).await.url).await
}

fn accepted(status: u16) -> Answer {
    Answer::Accepted {
        status,
        provider_id: None,
    }
}

#[rstest]
#[case::empty("204 No Content", "")]
#[case::json("200 OK", "{\"ok\":false}")]
#[case::not_json("202 Accepted", "<html>")]
#[tokio::test]
async fn any_2xx_is_success_whatever_its_body(#[case] status: &str, #[case] body: &str) {
    let number = status[..3].parse().unwrap();
    assert_eq!(
        to(Reply::Answer(answer(status, "", body))).await,
        accepted(number)
    );
}

#[tokio::test]
async fn a_2xx_whose_body_breaks_off_or_never_ends_is_success_and_bounded() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{".to_vec();
    assert_eq!(to(Reply::AnswerAndClose(head.clone())).await, accepted(200));
    let server = Server::start(Reply::AnswerAndHang(head)).await;
    assert_eq!(
        Sent::to(&server.url).by(&channel(SHORT)).await,
        accepted(200)
    );
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 2147483648\r\n\r\n".to_vec();
    let mut server = Server::start(Reply::AnswerAndFlood(head)).await;
    assert_eq!(send(&server.url).await, accepted(200));
    assert!(server.flood().await < BOUNDED);
}

#[tokio::test]
async fn a_410_is_the_end_of_the_destination() {
    let refusal = refused(to(Reply::Answer(answer("410 Gone", "", ""))).await);
    assert_eq!(
        refusal,
        Refusal {
            lasting: true,
            ..passing(
                Fault::Destination,
                410,
                "410 Gone: the receiver wants no more; delete the destination"
            )
        }
    );
}

#[rstest]
#[case::too_many("429 Too Many Requests", Fault::Destination)]
#[case::unavailable("503 Service Unavailable", Fault::Host)]
#[tokio::test]
async fn retry_after_is_obeyed_and_bounded(#[case] status: &str, #[case] fault: Fault) {
    for (header, expected) in [
        ("retry-after: 7\r\n", Some(7)),
        ("retry-after: 1000000000\r\n", Some(3600)),
        ("retry-after: -1\r\n", None),
        ("retry-after: Thu, 01 Jan 1970 00:00:00 GMT\r\n", None),
        ("", None),
    ] {
        let refusal = refused(to(Reply::Answer(answer(status, header, ""))).await);
        assert_eq!(refusal.fault, fault);
        assert!(!refusal.lasting);
        assert_eq!(
            refusal.retry_after,
            expected.map(Duration::from_secs),
            "{header}"
        );
    }
}

#[tokio::test]
async fn a_redirect_is_refused_for_good_and_not_followed() {
    let mut elsewhere = Server::start(Reply::Answer(answer("200 OK", "", ""))).await;
    let header = format!("location: {}/\r\n", elsewhere.url);
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "307 Temporary Redirect",
    ] {
        let refusal = refused(to(Reply::Answer(answer(status, &header, ""))).await);
        assert_eq!((refusal.fault, refusal.lasting), (Fault::Destination, true));
    }
    assert!(elsewhere.so_far().is_empty());
}

#[tokio::test]
async fn a_request_that_is_not_answered_may_have_been_accepted() {
    let server = Server::start(Reply::Silence).await;
    let answer = Sent::to(&server.url).by(&channel(SHORT)).await;
    assert_eq!(maybe(answer), "no answer within 1 s");
    maybe(to(Reply::Close).await);
}

#[tokio::test]
async fn a_refused_connection_was_certainly_not_accepted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let refusal = refused(send(&url).await);
    assert_eq!((refusal.fault, refusal.lasting), (Fault::Host, false));
    assert_eq!(refusal.status, None);
}
