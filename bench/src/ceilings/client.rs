//! Posts messages to a Slack and reads the answers.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, header};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use rustix::time::ClockId;

use super::Done;
use crate::clock::cpu;

type Bare = Client<HttpConnector, Full<Bytes>>;

pub(super) fn post(to: SocketAddr, connections: usize, span: Duration) -> Done {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let count = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    runtime.block_on(async {
        let client: Bare = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(connections)
            .build_http();
        let tasks: Vec<_> = (0..connections)
            .map(|number| {
                let (client, count) = (client.clone(), count.clone());
                tokio::spawn(async move {
                    while begun.elapsed() < span {
                        one(&client, to, number).await;
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("a poster");
        }
    });
    Done {
        count: count.load(Ordering::Relaxed),
        took: begun.elapsed(),
        cpu: cpu(ClockId::ProcessCPUTime),
    }
}

async fn one(client: &Bare, to: SocketAddr, number: usize) {
    let text = "[normal] node1 down: the disk /dev/sda1 is full";
    let body = format!("{{\"channel\":\"C{number}\",\"text\":\"{text}\"}}");
    let request = Request::post(format!("http://{to}/api/chat.postMessage"))
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .header(header::AUTHORIZATION, format!("Bearer xoxb-{number}"))
        .body(Full::new(Bytes::from(body)))
        .expect("a request");
    let answer = client.request(request).await.expect("an answer");
    let body = answer.into_body().collect().await.expect("a body");
    let answer: serde_json::Value =
        serde_json::from_slice(&body.to_bytes()).expect("what Slack answers");
    assert_eq!(answer["ok"], true, "{answer}");
}
