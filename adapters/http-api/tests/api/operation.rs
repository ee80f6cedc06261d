//! Health and metrics.

use serde_json::json;

use crate::support::Api;

#[tokio::test]
async fn a_running_process_is_live_and_ready() {
    let api = Api::new();
    for path in ["/health/live", "/health/ready"] {
        let answer = api.get(path).await;
        assert_eq!(
            answer.envelope(),
            json!({"httpCode": 200, "httpMessage": "OK"})
        );
    }
}

#[tokio::test]
async fn a_draining_process_is_live_and_not_ready() {
    let api = Api::new();
    api.readiness.drain();
    assert_eq!(api.get("/health/live").await.status, 200);
    let answer = api.get("/health/ready").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.more_information(), "draining");
    assert_eq!(answer.envelope()["errorCode"], "NOT_READY");
}

#[tokio::test]
async fn a_process_whose_queue_takes_nothing_is_not_ready_and_says_why() {
    let api = Api::new();
    api.queue.fall_ill("the disk is full");
    let answer = api.get("/health/ready").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.more_information(), "the disk is full");
}

#[tokio::test]
async fn metrics_are_text_and_count_alerts_and_requests_without_names() {
    let api = Api::new();
    api.alert(r#"{"target":["@user_name1"],"severity":"high","message":"m"}"#)
        .await;
    api.get("/nowhere").await;
    let answer = api.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .starts_with("application/openmetrics-text")
    );
    let text = answer.text();
    for line in [
        r#"alerts_accepted_total{severity="high"} 1"#,
        r#"http_requests_total{route="/v1/alerts",status="2xx"} 1"#,
        r#"http_requests_total{route="unknown",status="4xx"} 1"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    assert!(!text.contains("user_name1") && !text.contains("nowhere"));
    assert!(text.ends_with("# EOF\n"));
}
