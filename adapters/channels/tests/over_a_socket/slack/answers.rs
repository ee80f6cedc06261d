//! What follows from each answer of Slack's, and of what stands in between.

use std::time::{Duration, SystemTime};

use channels::slack::ERROR_CODES;
use consumer::domain::{Answer, Fault, Refusal};
use rstest::rstest;

use super::{
    TOKEN, channel, maybe, passing, refused, send,
    server::{Reply, Server, answer},
};

/// Sends one message to a server that gives this answer.
async fn told(status: &str, headers: &str, body: &str) -> Answer {
    let server = Server::start(Reply::Answer(answer(status, headers, body))).await;
    send(&channel(&server.url)).await
}

fn accepted(provider_id: Option<&str>) -> Answer {
    Answer::Accepted {
        status: 200,
        provider_id: provider_id.map(str::to_owned),
    }
}

#[tokio::test]
async fn ok_true_is_accepted_with_the_ts_as_its_id() {
    let body = r#"{"ok":true,"channel":"C1","ts":"1503435956.000247","message":{"text":"a"}}"#;
    assert_eq!(
        told("200 OK", "", body).await,
        accepted(Some("1503435956.000247"))
    );
}

#[rstest]
#[case::no_body("")]
#[case::white_space(" \r\n")]
#[case::no_ts(r#"{"ok":true}"#)]
#[case::ts_is_a_number(r#"{"ok":true,"ts":1.2}"#)]
#[case::ts_is_not_plain(r#"{"ok":true,"ts":"<script>"}"#)]
#[case::ts_is_null(r#"{"ok":true,"ts":null}"#)]
#[tokio::test]
async fn a_200_that_says_ok_or_nothing_is_accepted_without_an_id(#[case] body: &str) {
    assert_eq!(told("200 OK", "", body).await, accepted(None));
}

#[tokio::test]
async fn an_id_or_a_code_that_repeats_the_token_is_not_passed_on() {
    let body = format!(r#"{{"ok":true,"ts":"{TOKEN}"}}"#);
    assert_eq!(told("200 OK", "", &body).await, accepted(None));
    let body = format!(r#"{{"ok":false,"error":"bad_token_{TOKEN}"}}"#);
    assert_eq!(
        refused(told("200 OK", "", &body).await),
        passing(Fault::Unclear, 200, "refused without a usable error code")
    );
}

/// Every code of the table, by what follows from it.
const CODES: &[(Fault, bool, &str)] = &[
    (
        Fault::Destination,
        true,
        "channel_not_found not_in_channel is_archived messages_tab_disabled restricted_action \
         restricted_action_read_only_channel restricted_action_thread_only_channel \
         restricted_action_non_threadable_channel restricted_action_thread_locked \
         ekm_access_denied",
    ),
    (
        Fault::Destination,
        false,
        "rate_limited ratelimited message_limit_exceeded",
    ),
    (
        Fault::Payload,
        true,
        "msg_too_long no_text msg_blocks_too_long too_many_attachments \
         attachment_payload_limit_exceeded invalid_blocks invalid_blocks_format \
         markdown_text_conflict as_user_not_supported invalid_arguments invalid_arg_name \
         invalid_array_arg invalid_charset invalid_form_data invalid_post_type \
         missing_post_type invalid_json json_not_object slack_connect_canvas_sharing_blocked \
         slack_connect_file_link_sharing_blocked slack_connect_lists_sharing_blocked",
    ),
    (
        Fault::Credential,
        true,
        "not_authed invalid_auth account_inactive token_revoked token_expired \
         not_allowed_token_type no_permission missing_scope access_denied \
         app_access_restricted send_on_behalf_not_allowed team_access_not_granted \
         team_not_found enterprise_is_restricted two_factor_setup_required",
    ),
    (
        Fault::Credential,
        false,
        "org_login_required team_added_to_org",
    ),
    (
        Fault::Host,
        false,
        "internal_error fatal_error service_unavailable request_timeout accesslimited \
         method_deprecated deprecated_endpoint",
    ),
];

#[tokio::test]
async fn each_error_code_is_put_down_to_whose_fault_it_is() {
    let mut seen = 0;
    for &(fault, lasting, codes) in CODES {
        for code in codes.split_whitespace() {
            let body = format!(r#"{{"ok":false,"error":"{code}"}}"#);
            let expected = Refusal {
                lasting,
                ..passing(fault, 200, code)
            };
            assert_eq!(refused(told("200 OK", "", &body).await), expected);
            seen += 1;
        }
    }
    assert_eq!(seen, ERROR_CODES.len());
}

#[rstest]
#[case::unknown(r#"{"ok":false,"error":"something_new"}"#, "something_new")]
#[case::none(r#"{"ok":false}"#, "refused without a usable error code")]
#[case::number(r#"{"ok":false,"error":7}"#, "refused without a usable error code")]
#[case::not_a_code(
    r#"{"ok":false,"error":"line\nbreak"}"#,
    "refused without a usable error code"
)]
#[tokio::test]
async fn a_refusal_without_a_known_code_is_unclear(#[case] body: &str, #[case] reason: &str) {
    assert_eq!(
        refused(told("200 OK", "", body).await),
        passing(Fault::Unclear, 200, reason)
    );
}

#[rstest]
#[case::login_page("<!doctype html><title>Log in</title>")]
#[case::webhook("ok")]
#[case::another_service(r#"{"status":"fine"}"#)]
#[case::a_list("[]")]
#[tokio::test]
async fn a_200_that_is_not_slacks_has_accepted_nothing(#[case] body: &str) {
    assert_eq!(
        refused(told("200 OK", "", body).await),
        passing(
            Fault::Host,
            200,
            "the answer is not JSON of Slack's; is a proxy or a login page in between?"
        )
    );
}

#[tokio::test]
async fn a_200_whose_json_breaks_off_may_have_accepted() {
    assert_eq!(
        maybe(told("200 OK", "", r#"{"ok":true,"ts":"15"#).await),
        "the answer was cut short"
    );
}

#[rstest]
#[case::bare("", "429 Too Many Requests")]
#[case::with_code(r#"{"ok":false,"error":"ratelimited"}"#, "ratelimited")]
#[tokio::test]
async fn a_429_is_the_destinations_and_says_how_long_to_wait(
    #[case] body: &str,
    #[case] reason: &str,
) {
    let answer = told("429 Too Many Requests", "Retry-After: 30\r\n", body).await;
    let expected = Refusal {
        retry_after: Some(Duration::from_secs(30)),
        ..passing(Fault::Destination, 429, reason)
    };
    assert_eq!(refused(answer), expected);
}

#[tokio::test]
async fn a_429_with_a_date_is_waited_for_until_then() {
    let until = SystemTime::now() + Duration::from_secs(1800);
    let header = format!("Retry-After: {}\r\n", httpdate::fmt_http_date(until));
    let refusal = refused(told("429 Too Many Requests", &header, "").await);
    let wait = refusal.retry_after.unwrap();
    assert!(wait <= Duration::from_secs(1800) && wait > Duration::from_secs(900));
}

#[rstest]
#[case::too_long("1000000000", Some(3600))]
#[case::negative("-1", None)]
#[case::long_past("Thu, 01 Jan 1970 00:00:00 GMT", None)]
#[case::garbage("later", None)]
#[tokio::test]
async fn an_absurd_retry_after_is_bounded_or_ignored(
    #[case] value: &str,
    #[case] seconds: Option<u64>,
) {
    let header = format!("Retry-After: {value}\r\n");
    let refusal = refused(told("429 Too Many Requests", &header, "").await);
    assert_eq!(refusal.retry_after, seconds.map(Duration::from_secs));
}

#[rstest]
#[case::internal("500 Internal Server Error", "", "500 Internal Server Error")]
#[case::gateway("502 Bad Gateway", "<html>", "502 Bad Gateway")]
#[case::with_code(
    "503 Service Unavailable",
    r#"{"ok":false,"error":"service_unavailable"}"#,
    "service_unavailable"
)]
#[tokio::test]
async fn a_5xx_is_the_hosts_and_its_retry_after_is_kept(
    #[case] status: &str,
    #[case] body: &str,
    #[case] reason: &str,
) {
    let refusal = refused(told(status, "Retry-After: 7\r\n", body).await);
    let expected = Refusal {
        retry_after: Some(Duration::from_secs(7)),
        ..passing(Fault::Host, status[..3].parse().unwrap(), reason)
    };
    assert_eq!(refusal, expected);
}

#[rstest]
#[case("301 Moved Permanently")]
#[case("302 Found")]
#[case("307 Temporary Redirect")]
#[tokio::test]
async fn a_redirect_is_not_followed_and_the_reason_says_so(#[case] status: &str) {
    let mut elsewhere = Server::start(Reply::Answer(answer("200 OK", "", ""))).await;
    let header = format!("Location: {}/api/chat.postMessage\r\n", elsewhere.url);
    let refusal = refused(told(status, &header, "").await);
    let reason = format!("{status}: redirects are not followed; check --slack-url");
    let code = status[..3].parse().unwrap();
    assert_eq!(refusal, passing(Fault::Destination, code, &reason));
    assert!(elsewhere.so_far().is_empty());
}

#[rstest]
#[case("400 Bad Request", Fault::Unclear, false, "400 Bad Request")]
#[case(
    "401 Unauthorized",
    Fault::Credential,
    false,
    "401 Unauthorized: refused without an error code"
)]
#[case(
    "403 Forbidden",
    Fault::Credential,
    false,
    "403 Forbidden: refused without an error code"
)]
#[case(
    "404 Not Found",
    Fault::Host,
    false,
    "404 Not Found: no Slack there; check --slack-url"
)]
#[case("408 Request Timeout", Fault::Host, false, "408 Request Timeout")]
#[case("413 Payload Too Large", Fault::Payload, true, "413 Payload Too Large")]
#[tokio::test]
async fn a_bare_4xx_is_put_down_to_what_it_usually_means(
    #[case] status: &str,
    #[case] fault: Fault,
    #[case] lasting: bool,
    #[case] reason: &str,
) {
    let expected = Refusal {
        lasting,
        ..passing(fault, status[..3].parse().unwrap(), reason)
    };
    assert_eq!(refused(told(status, "", "").await), expected);
}

#[tokio::test]
async fn a_4xx_with_an_error_code_follows_the_code() {
    let body = r#"{"ok":false,"error":"token_revoked"}"#;
    let expected = Refusal {
        lasting: true,
        ..passing(Fault::Credential, 403, "token_revoked")
    };
    assert_eq!(refused(told("403 Forbidden", "", body).await), expected);
}
