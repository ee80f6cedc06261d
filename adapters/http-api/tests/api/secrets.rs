//! Rotating the keys of stored secrets.

use axum::http::StatusCode;
use producer::ports::DirectoryStore;
use serde_json::json;

use crate::{history::site::Site, support::Api};

#[tokio::test]
async fn a_rotation_says_what_it_came_to_and_is_on_record() {
    let site = Site::new().await;
    let answer = site.bare("POST", "/v1/secrets/rotate").await;
    assert_eq!(answer.status, StatusCode::OK);
    let expected = json!({"keyId": "k2", "resealed": 2, "dropped": ["k1"]});
    assert_eq!(answer.envelope()["data"], expected);
    let kept = site.bare("POST", "/v1/secrets/rotate?keepOld=true").await;
    let expected = json!({"keyId": "k3", "resealed": 2, "dropped": []});
    assert_eq!(kept.envelope()["data"], expected);
    let log = site.get("/v1/audit").await;
    let lines = log.envelope()["data"]["items"].as_array().unwrap().clone();
    let rotated = lines
        .iter()
        .filter(|line| line["action"] == "secrets.rotated");
    let details: Vec<_> = rotated.map(|line| line["detail"].clone()).collect();
    assert_eq!(details, [json!("old keys are kept"), json!(null)]);
    let directory = site.store.directory.snapshot();
    let user = directory.user_named("user_name1").unwrap();
    let credential = &user.destinations.first().credential;
    assert_eq!(credential.secret.expose(), "test_token1");
}

#[tokio::test]
async fn a_rotation_that_cannot_be_read_is_400_naming_the_field() {
    let answer = Api::new()
        .json("POST", "/v1/secrets/rotate?keepOld=perhaps", "")
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let sentence = "keepOld must be true or false.";
    assert_eq!(answer.more_information(), sentence);
}

#[tokio::test]
async fn a_rotation_without_a_new_key_is_409_and_says_what_to_do() {
    let answer = Api::new().json("POST", "/v1/secrets/rotate", "").await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert_eq!(answer.envelope()["errorCode"], "NO_NEW_KEY");
    assert!(answer.more_information().contains("rotate again"));
}
