//! Takes an alert and answers as the program does, without doing anything about it.

use std::net::SocketAddr;

use axum::{Json, Router, routing::post};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Done;

#[derive(Deserialize)]
struct Request {
    target: Vec<String>,
    #[expect(dead_code, reason = "parsed as the program does")]
    severity: String,
    #[expect(dead_code, reason = "parsed as the program does")]
    message: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    http_code: u16,
    http_message: &'static str,
    data: Data,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    user_count: usize,
    alert_id: Uuid,
    unknown_targets: [String; 0],
}

/// Serves until it is killed.
pub(super) fn serve(address: SocketAddr) -> Done {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(address)
            .await
            .expect("a free port");
        let router = Router::new().route("/v1/alerts", post(answer));
        axum::serve(listener, router).await.expect("a server");
    });
    unreachable!("axum serves until the process ends")
}

async fn answer(Json(request): Json<Request>) -> Json<Answer> {
    Json(Answer {
        http_code: 200,
        http_message: "OK",
        data: Data {
            user_count: request.target.len(),
            alert_id: Uuid::now_v7(),
            unknown_targets: [],
        },
    })
}
