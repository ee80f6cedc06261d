//! What Slack is sent.

use common::ChannelKind;
use consumer::{domain::Fault, ports::Channel};
use rstest::rstest;

use super::{
    TOKEN, channel, refused, send, send_as,
    server::{Reply, Seen, Server, answer},
};

fn accepting() -> Reply {
    Reply::Answer(answer("200 OK", "", r#"{"ok":true,"ts":"1.2"}"#))
}

#[tokio::test]
async fn a_message_is_posted_as_the_contract_says() {
    let mut server = Server::start(accepting()).await;
    let channel = channel(&server.url);
    assert_eq!(channel.kind(), ChannelKind::SLACK);
    send(&channel).await;

    let mut request = server.request().await;
    let host = server.url.strip_prefix("http://").unwrap();
    for header in &mut request.headers {
        *header = header.replace(host, "HOST");
    }
    insta::assert_snapshot!(request.line, @"POST /api/chat.postMessage HTTP/1.1");
    insta::assert_snapshot!(request.headers.join("\n"), @r"
    authorization: Bearer xoxb-123456-very-secret
    content-type: application/json; charset=utf-8
    user-agent: error-notifier/0.1.0
    host: HOST
    content-length: 70
    ");
    insta::assert_snapshot!(
        request.body,
        @r#"{"channel":"C024BE91L","text":"[high] \"node1\" &lt;down&gt;\n장애"}"#
    );
}

#[tokio::test]
async fn a_destination_with_a_url_of_its_own_is_sent_to_there() {
    let mut server = Server::start(accepting()).await;
    let channel = channel("http://127.0.0.1:9");
    send_as(&channel, &format!("{}/proxy/", server.url), TOKEN).await;
    assert_eq!(
        server.request().await.line,
        "POST /proxy/api/chat.postMessage HTTP/1.1"
    );
}

#[tokio::test]
async fn a_destination_whose_url_cannot_be_called_is_refused_for_good() {
    let refusal = refused(send_as(&channel("http://127.0.0.1:9"), "ftp://a", TOKEN).await);
    assert_eq!((refusal.fault, refusal.lasting), (Fault::Destination, true));
}

#[rstest]
#[case::empty("")]
#[case::line_break("xoxb-1\r\nHost: elsewhere")]
#[case::zero_byte("xoxb-1\0")]
#[case::space("xoxb 1")]
#[case::not_ascii("토큰")]
#[tokio::test]
async fn a_token_that_no_header_can_hold_is_refused_for_good_and_nothing_is_sent(
    #[case] token: &str,
) {
    let mut server = Server::start(accepting()).await;
    let refusal = refused(send_as(&channel(&server.url), "", token).await);
    assert_eq!((refusal.fault, refusal.lasting), (Fault::Credential, true));
    assert_eq!(refusal.status, None);
    assert!(server.so_far().is_empty());
}

#[tokio::test]
async fn one_connection_serves_many_messages() {
    let mut server = Server::start(accepting()).await;
    let channel = channel(&server.url);
    for _ in 0..50 {
        send(&channel).await;
    }
    let connections = server
        .so_far()
        .iter()
        .filter(|seen| matches!(seen, Seen::Connected))
        .count();
    assert!(connections < 5, "{connections} connections");
}

#[test]
fn neither_channel_nor_settings_have_anything_to_hide_in_debug() {
    let channel = channel("http://127.0.0.1:9");
    assert!(format!("{channel:?}").starts_with("SlackChannel"));
}
