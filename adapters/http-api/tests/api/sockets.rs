//! Over real connections: slow clients, half requests, many idle ones, shutdown.

use std::time::Duration;

use http_api::{ServerSettings, Stopped};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::socket::{
    ALERT, Running, SOON, alert_request, patient, post, read_answer, start, start_with,
    until_closed,
};

#[tokio::test]
async fn a_connection_carries_many_requests_also_pipelined_ones() {
    let server = start(patient()).await;
    let mut stream = server.connect().await;
    for _ in 0..3 {
        let (head, body) = post(&mut stream, &alert_request(ALERT)).await;
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        assert_eq!(body["data"]["userCount"], 2);
    }
    let two = alert_request(ALERT).repeat(2);
    stream.write_all(two.as_bytes()).await.unwrap();
    for _ in 0..2 {
        assert!(read_answer(&mut stream).await.0.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(server.api.queue.accepted().len(), 5);
}

#[tokio::test]
async fn a_head_that_does_not_arrive_in_time_is_408_and_the_end() {
    let settings = ServerSettings {
        header_timeout: SOON,
        ..patient()
    };
    let server = start(settings).await;
    for half in [
        "P",
        "POST /v1/alerts HTTP/1.1\r\nhost: localhost\r\ncontent-",
    ] {
        let mut stream = server.connect().await;
        stream.write_all(half.as_bytes()).await.unwrap();
        let (head, body) = read_answer(&mut stream).await;
        assert!(
            head.starts_with("HTTP/1.1 408 Request Timeout\r\n"),
            "{head}"
        );
        assert_eq!(body["httpCode"], 408);
        assert_eq!(body["errorCode"], "REQUEST_TIMEOUT");
        assert_eq!(until_closed(&mut stream).await, "");
    }
}

#[tokio::test]
async fn a_body_that_does_not_arrive_in_time_is_408_and_nothing_is_stored() {
    let server = start_with(patient(), SOON).await;
    let mut stream = server.connect().await;
    let request = alert_request(ALERT);
    let half = &request[..request.len() - 5];
    let (head, body) = post(&mut stream, half).await;
    assert!(
        head.starts_with("HTTP/1.1 408 Request Timeout\r\n"),
        "{head}"
    );
    assert!(head.to_lowercase().contains("connection: close"), "{head}");
    assert_eq!(body["errorCode"], "REQUEST_TIMEOUT");
    until_closed(&mut stream).await;
    assert!(server.api.queue.accepted().is_empty());
}

#[tokio::test]
async fn half_a_request_whose_client_is_gone_stores_nothing() {
    let server = start(patient()).await;
    let request = alert_request(ALERT);
    for length in [10, request.len() - 5] {
        let mut stream = server.connect().await;
        stream
            .write_all(&request.as_bytes()[..length])
            .await
            .unwrap();
        stream.shutdown().await.unwrap();
        until_closed(&mut stream).await;
    }
    let mut stream = server.connect().await;
    assert!(
        post(&mut stream, &request)
            .await
            .0
            .starts_with("HTTP/1.1 200")
    );
    assert_eq!(server.api.queue.accepted().len(), 1);
}

#[tokio::test]
async fn a_client_that_is_done_sending_still_gets_its_answer() {
    let server = start(patient()).await;
    let mut stream = server.connect().await;
    stream
        .write_all(alert_request(ALERT).as_bytes())
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    assert!(read_answer(&mut stream).await.0.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_connection_that_waits_too_long_for_a_request_is_closed() {
    let settings = ServerSettings {
        idle_timeout: SOON,
        ..patient()
    };
    let server = start(settings).await;
    let mut fresh = server.connect().await;
    assert_eq!(until_closed(&mut fresh).await, "");
    let mut used = server.connect().await;
    post(&mut used, &alert_request(ALERT)).await;
    assert_eq!(until_closed(&mut used).await, "");
}

#[tokio::test]
async fn a_client_that_does_not_take_its_answer_is_cut_off() {
    let settings = ServerSettings {
        stall_timeout: SOON,
        ..patient()
    };
    let mut server = start(settings).await;
    // More than the sockets on both sides hold.
    server.api.store.add_users(120_000);
    let mut stream = server.connect().await;
    let request = "GET /v1/directory HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    // The answer has begun; from here on nobody takes it. With no other deadline,
    // the server ends only once this connection has.
    stream.read_u8().await.unwrap();
    server.begin_to_stop();
    assert_eq!(server.stopped.await.unwrap(), Stopped { cut_off: 0 });
    assert!(!until_closed(&mut stream).await.ends_with("0\r\n\r\n"));
}

#[tokio::test]
async fn requests_go_through_while_idle_connections_take_every_place() {
    let settings = ServerSettings {
        max_connections: 20,
        ..patient()
    };
    let server = start(settings).await;
    let mut idle = Vec::new();
    for _ in 0..500 {
        idle.push(server.connect().await);
    }
    for _ in 0..5 {
        let mut stream = server.connect().await;
        let (head, _) = post(&mut stream, &alert_request(ALERT)).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    }
    assert_eq!(server.api.queue.accepted().len(), 5);
    // The first to come are the first to go.
    assert_eq!(until_closed(&mut idle[0]).await, "");
    assert_eq!(until_closed(&mut idle[479]).await, "");
}

#[tokio::test]
async fn requests_go_through_while_half_requests_take_every_place() {
    let settings = ServerSettings {
        max_connections: 20,
        ..patient()
    };
    let server = start(settings).await;
    let mut half = Vec::new();
    for _ in 0..200 {
        let mut stream = server.connect().await;
        stream.write_all(b"POST /v1/al").await.unwrap();
        half.push(stream);
    }
    let mut stream = server.connect().await;
    let (head, _) = post(&mut stream, &alert_request(ALERT)).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
}

/// A request in a handler's hands, which waits for its body.
async fn begin_alert(server: &Running) -> TcpStream {
    let mut stream = server.connect().await;
    let head = format!(
        "POST /v1/alerts HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
        ALERT.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut asked_for = [0; 25];
    stream.read_exact(&mut asked_for).await.unwrap();
    assert_eq!(&asked_for, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

#[tokio::test]
async fn requests_go_through_while_withheld_bodies_take_every_place() {
    let settings = ServerSettings {
        max_connections: 20,
        body_grace: Duration::ZERO,
        ..patient()
    };
    let server = start(settings).await;
    let mut withheld = Vec::new();
    for _ in 0..60 {
        withheld.push(begin_alert(&server).await);
    }
    let mut stream = server.connect().await;
    let (head, _) = post(&mut stream, &alert_request(ALERT)).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(server.api.queue.accepted().len(), 1);
}

#[tokio::test]
async fn requests_are_not_cut_off_to_make_room() {
    let settings = ServerSettings {
        max_connections: 2,
        ..patient()
    };
    let server = start(settings).await;
    let mut busy = [begin_alert(&server).await, begin_alert(&server).await];
    let mut third = server.connect().await;
    let request = alert_request(ALERT);
    third.write_all(request.as_bytes()).await.unwrap();
    for stream in &mut busy {
        let (head, _) = post(stream, ALERT).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    }
    assert!(read_answer(&mut third).await.0.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn shutdown_lets_requests_finish_closes_idle_connections_and_accepts_no_more() {
    let mut server = start(patient()).await;
    let mut idle = server.connect().await;
    let mut used = server.connect().await;
    post(&mut used, &alert_request(ALERT)).await;
    let mut busy = begin_alert(&server).await;
    server.begin_to_stop();
    assert_eq!(until_closed(&mut idle).await, "");
    assert_eq!(until_closed(&mut used).await, "");
    assert!(TcpStream::connect(server.address).await.is_err());
    let (head, _) = post(&mut busy, ALERT).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(until_closed(&mut busy).await, "");
    assert_eq!(server.stopped.await.unwrap(), Stopped { cut_off: 0 });
}

#[tokio::test]
async fn requests_that_outlast_the_deadline_are_cut_off() {
    let settings = ServerSettings {
        drain_deadline: SOON,
        ..patient()
    };
    let mut server = start(settings).await;
    let mut stream = begin_alert(&server).await;
    server.begin_to_stop();
    assert_eq!(server.stopped.await.unwrap(), Stopped { cut_off: 1 });
    assert_eq!(until_closed(&mut stream).await, "");
    assert!(server.api.queue.accepted().is_empty());
}

#[tokio::test]
async fn dropped_it_ends_all_connections_at_once() {
    let server = start(patient()).await;
    let mut idle = server.connect().await;
    let mut busy = begin_alert(&server).await;
    server.stopped.abort();
    assert_eq!(until_closed(&mut idle).await, "");
    assert_eq!(until_closed(&mut busy).await, "");
}

#[tokio::test]
async fn a_large_answer_is_sent_whole_though_the_server_is_stopping() {
    let mut server = start(patient()).await;
    server.api.store.add_users(60_000);
    let mut stream = server.connect().await;
    let dry_run = alert_request(ALERT).replace("/v1/alerts", "/v1/alerts?dryRun=true");
    stream.write_all(dry_run.as_bytes()).await.unwrap();
    let first = stream.read_u8().await.unwrap();
    assert_eq!(first, b'H');
    server.begin_to_stop();
    let (_, body) = read_answer(&mut stream).await;
    assert_eq!(body["data"]["userCount"], 60_002);
    assert_eq!(server.stopped.await.unwrap(), Stopped { cut_off: 0 });
}

#[tokio::test]
async fn a_body_that_is_too_long_is_answered_though_the_client_sends_on() {
    let server = start(patient()).await;
    let mut stream = server.connect().await;
    let body = " ".repeat(3 << 20);
    let (head, body) = post(&mut stream, &alert_request(&body)).await;
    assert!(head.starts_with("HTTP/1.1 413"), "{head}");
    assert_eq!(
        body["moreInformation"],
        "The body must have at most 1048576 bytes."
    );
}
