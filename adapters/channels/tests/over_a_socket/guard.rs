//! The guard, where connections are made.

use std::{
    collections::VecDeque,
    io,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use channels::{
    guard::{Forbidden, Guard, Lookup},
    http::{Host, HttpClient, HttpSettings, NoAnswer},
};
use hyper::Request;
use rstest::rstest;

use crate::server::{Reply, Seen, Server, answer};

/// Names that stand for what a test says: one answer a lookup, the last for ever.
#[derive(Debug)]
struct Names(Mutex<VecDeque<Vec<IpAddr>>>);

impl Names {
    fn answering(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |texts: &&[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Arc::new(Self(Mutex::new(answers.iter().map(parse).collect())))
    }
}

#[async_trait]
impl Lookup for Names {
    async fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let mut answers = self.0.lock().unwrap();
        let next = answers.pop_front().unwrap_or_default();
        if answers.is_empty() {
            answers.push_back(next.clone());
        }
        Ok(next)
    }
}

fn client(allowed: &[&str], names: Arc<Names>) -> HttpClient {
    let allowed = allowed.iter().map(|text| text.parse().unwrap());
    let settings = HttpSettings::default();
    HttpClient::with_lookup(settings, Guard::new(allowed.collect()), names).unwrap()
}

async fn post(client: &HttpClient, host: Host, url: &str) -> Result<u16, NoAnswer> {
    let request = Request::post(url).body(Bytes::from_static(b"{}")).unwrap();
    let answer = client.send(host, request, Duration::from_secs(60)).await;
    answer.map(|answer| answer.status.as_u16())
}

async fn server() -> (Server, String) {
    let server = Server::start(Reply::Answer(answer("200 OK", "", ""))).await;
    let port = server.url.rsplit(':').next().unwrap().to_owned();
    (server, port)
}

const REFUSED: Result<u16, NoAnswer> = Err(NoAnswer::Forbidden(Forbidden::Address));

#[rstest]
#[case::loopback(&["127.0.0.1"])]
#[case::private(&["10.0.0.1", "192.168.0.1"])]
#[case::metadata(&["169.254.169.254"])]
#[case::loopback_six(&["::1"])]
#[case::mapped(&["::ffff:127.0.0.1"])]
#[case::nat64(&["64:ff9b::7f00:1"])]
#[case::six_to_four(&["2002:7f00:1::"])]
#[tokio::test]
async fn a_name_that_stands_for_an_inner_address_is_not_connected_to(#[case] addresses: &[&str]) {
    let (mut server, port) = server().await;
    let client = client(&[], Names::answering(&[addresses]));
    for scheme in ["http", "https"] {
        let url = format!("{scheme}://innocent.example:{port}/");
        assert_eq!(post(&client, Host::Chosen, &url).await, REFUSED);
    }
    assert!(server.so_far().is_empty());
}

#[rstest]
#[case::dotted("127.0.0.1")]
#[case::six("[::1]")]
#[case::mapped("[::ffff:127.0.0.1]")]
#[case::decimal("2130706433")]
#[case::hexadecimal("0x7f000001")]
#[case::octal("0177.0.0.1")]
#[case::short("127.1")]
#[case::zero("0.0.0.0")]
#[case::name("localhost")]
#[tokio::test]
async fn every_way_to_write_this_machine_is_refused(#[case] host: &str) {
    let (mut server, port) = server().await;
    let settings = HttpSettings::default();
    let client = HttpClient::new(settings, Guard::default()).unwrap();
    let url = format!("http://{host}:{port}/");
    let refusal = post(&client, Host::Chosen, &url).await;
    // Where the system does not know the form, there is nothing to connect to.
    let is_unknown = matches!(refusal, Err(NoAnswer::NotSent { .. }));
    assert!(refusal == REFUSED || is_unknown, "{refusal:?}");
    assert!(server.so_far().is_empty());
}

#[tokio::test]
async fn the_address_that_was_checked_is_the_one_connected_to() {
    let (mut server, port) = server().await;
    // The name stands for something else as soon as it has been looked up.
    let names = Names::answering(&[&["127.0.0.1"], &["10.0.0.1"]]);
    let client = client(&["127.0.0.0/8"], names);
    let url = format!("http://changing.example:{port}/");
    assert_eq!(post(&client, Host::Chosen, &url).await, Ok(200));
    server.request().await;
}

#[tokio::test]
async fn a_name_that_comes_to_stand_for_an_inner_address_is_refused_from_then_on() {
    let closing = Reply::AnswerAndClose(answer("200 OK", "connection: close\r\n", ""));
    let server = Server::start(closing).await;
    let port = server.url.rsplit(':').next().unwrap();
    let names = Names::answering(&[&["127.0.0.2"], &["127.0.0.1"]]);
    let client = client(&["127.0.0.2/32"], names);
    let url = format!("http://changing.example:{port}/");
    // Nobody listens on the first address, or somebody does: it is admitted.
    let first = post(&client, Host::Chosen, &url).await;
    assert_ne!(first, REFUSED);
    assert_eq!(post(&client, Host::Chosen, &url).await, REFUSED);
}

#[tokio::test]
async fn of_several_addresses_only_the_admitted_are_tried() {
    let (mut server, port) = server().await;
    let names = Names::answering(&[&["10.255.255.1", "::1", "127.0.0.1"]]);
    let client = client(&["127.0.0.1"], names);
    let url = format!("http://mixed.example:{port}/");
    assert_eq!(post(&client, Host::Chosen, &url).await, Ok(200));
    server.request().await;
}

#[tokio::test]
async fn a_connection_that_the_operators_settings_opened_serves_no_users_url() {
    let (mut server, _) = server().await;
    let client = client(&[], Names::answering(&[&[]]));
    let url = format!("{}/", server.url);
    assert_eq!(post(&client, Host::Configured, &url).await, Ok(200));
    assert_eq!(post(&client, Host::Chosen, &url).await, REFUSED);
    let requests = server.so_far();
    let count = requests
        .iter()
        .filter(|seen| matches!(seen, Seen::Request(_)));
    assert_eq!(count.count(), 1);
}
