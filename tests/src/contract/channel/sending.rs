//! What a channel promises of sending.

use std::time::Duration;

use consumer::domain::{Answer, Fault};
use tokio::net::TcpListener;

use super::{
    ChannelUnderTest, LONG, refused, send,
    server::{Service, Then, answer},
};

const SHORT: Duration = Duration::from_millis(500);

async fn to<C: ChannelUnderTest>(bytes: Vec<u8>, then: Then) -> Answer {
    let service = Service::start(bytes, then).await;
    send::<C>(&service.url, C::CREDENTIAL, LONG).await
}

pub async fn an_accepted_message_is_accepted_with_its_status<C: ChannelUnderTest>() {
    let answer = to::<C>(answer("200 OK", "", C::ACCEPTING), Then::GoOn).await;
    assert!(
        matches!(answer, Answer::Accepted { status: 200, .. }),
        "{answer:?}"
    );
}

pub async fn sending_twice_delivers_twice<C: ChannelUnderTest>() {
    let service = Service::start(answer("200 OK", "", C::ACCEPTING), Then::GoOn).await;
    for _ in 0..2 {
        send::<C>(&service.url, C::CREDENTIAL, LONG).await;
    }
    assert_eq!(service.requests(), 2);
}

pub async fn a_message_that_is_not_answered_in_time_may_have_been_accepted<C: ChannelUnderTest>() {
    let service = Service::start("", Then::Hang).await;
    let answer = send::<C>(&service.url, C::CREDENTIAL, SHORT).await;
    assert!(matches!(answer, Answer::MaybeAccepted { .. }), "{answer:?}");
    assert_eq!(service.requests(), 1);
}

pub async fn a_connection_that_breaks_off_may_have_accepted<C: ChannelUnderTest>() {
    let answer = to::<C>(Vec::new(), Then::Close).await;
    assert!(matches!(answer, Answer::MaybeAccepted { .. }), "{answer:?}");
}

pub async fn a_service_that_is_not_there_has_not_accepted<C: ChannelUnderTest>() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let refusal = refused(send::<C>(&url, C::CREDENTIAL, LONG).await);
    assert_eq!((refusal.fault, refusal.lasting), (Fault::Host, false));
    assert_eq!(refusal.status, None);
}

pub async fn an_answer_that_never_ends_is_left<C: ChannelUnderTest>() {
    let head = b"HTTP/1.1 500 Internal Server Error\r\n\r\n".to_vec();
    let refusal = refused(to::<C>(head, Then::Flood).await);
    assert_eq!((refusal.status, refusal.lasting), (Some(500), false));
}

pub async fn a_redirect_is_not_followed<C: ChannelUnderTest>() {
    let elsewhere = Service::start(answer("200 OK", "", C::ACCEPTING), Then::GoOn).await;
    let location = format!("location: {}/\r\n", elsewhere.url);
    let refusal =
        refused(to::<C>(answer("307 Temporary Redirect", &location, ""), Then::GoOn).await);
    assert_eq!(refusal.status, Some(307));
    assert_eq!(elsewhere.requests(), 0);
}

pub async fn a_limited_destination_says_how_long<C: ChannelUnderTest>() {
    let bytes = answer("429 Too Many Requests", "retry-after: 7\r\n", "");
    let refusal = refused(to::<C>(bytes, Then::GoOn).await);
    assert_eq!(
        (refusal.fault, refusal.lasting),
        (Fault::Destination, false)
    );
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(7)));
}

pub async fn an_absurd_wait_is_bounded<C: ChannelUnderTest>() {
    for (asked, granted) in [
        ("1000000000", Some(Duration::from_secs(3600))),
        (
            "99999999999999999999999999",
            Some(Duration::from_secs(3600)),
        ),
        ("-1", None),
        ("soon", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", None),
    ] {
        let header = format!("retry-after: {asked}\r\n");
        let bytes = answer("429 Too Many Requests", &header, "");
        let refusal = refused(to::<C>(bytes, Then::GoOn).await);
        assert_eq!(refusal.retry_after, granted, "{asked}");
    }
}

pub async fn an_error_of_the_service_passes<C: ChannelUnderTest>() {
    for status in [
        "500 Internal Server Error",
        "502 Bad Gateway",
        "503 Service Unavailable",
    ] {
        let refusal = refused(to::<C>(answer(status, "", "<html>{"), Then::GoOn).await);
        assert!(!refusal.lasting, "{status}");
        assert!(
            matches!(refusal.fault, Fault::Host | Fault::Destination),
            "{refusal:?}"
        );
    }
}

pub async fn an_unusable_credential_is_never_sent<C: ChannelUnderTest>() {
    let service = Service::start(answer("200 OK", "", C::ACCEPTING), Then::GoOn).await;
    let refusal = refused(send::<C>(&service.url, C::UNUSABLE, LONG).await);
    assert_eq!((refusal.fault, refusal.lasting), (Fault::Credential, true));
    assert_eq!(service.requests(), 0);
}
