//! TLS, over real connections.

use std::{fs, path::Path, sync::Arc, time::Duration};

use axum::http::Request;
use http_api::{ServerSettings, Tls, TlsFiles};
use http_body_util::BodyExt;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::socket::{
    ALERT, Running, SOON, alert_request, patient, read_answer, start, until_closed,
};

/// A certificate for `localhost` and its key, in files.
struct Pair {
    folder: TempDir,
}

impl Pair {
    fn new() -> Self {
        let pair = Self {
            folder: TempDir::new().unwrap(),
        };
        pair.renew();
        pair
    }

    fn files(&self) -> TlsFiles {
        TlsFiles {
            certificate: self.folder.path().join("cert.pem"),
            key: self.folder.path().join("key.pem"),
        }
    }

    /// Puts another pair in the files' place.
    fn renew(&self) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        put(&self.files().key, &signing_key.serialize_pem());
        put(&self.files().certificate, &cert.pem());
    }

    fn certificate(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.files().certificate).unwrap()
    }

    fn settings(&self) -> ServerSettings {
        ServerSettings {
            tls: Some(Tls::load(self.files()).unwrap()),
            tls_reload: Duration::from_millis(5),
            ..patient()
        }
    }
}

/// As careful programs replace a file: whole or not at all.
fn put(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}

async fn connect(
    server: &Running,
    trusted: CertificateDer<'static>,
    protocol: Option<&str>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocol
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    let stream = server.connect().await;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

fn alert() -> Request<String> {
    Request::post("https://localhost/v1/alerts")
        .header("content-type", "application/json")
        .body(ALERT.to_owned())
        .unwrap()
}

#[tokio::test]
async fn http_1_is_spoken_where_the_client_wants_it_or_says_nothing() {
    let pair = Pair::new();
    let server = start(pair.settings()).await;
    for protocol in [Some("http/1.1"), None] {
        let mut stream = connect(&server, pair.certificate(), protocol)
            .await
            .unwrap();
        for _ in 0..2 {
            stream
                .write_all(alert_request(ALERT).as_bytes())
                .await
                .unwrap();
            stream.flush().await.unwrap();
            let (head, _) = read_answer(&mut stream).await;
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        }
    }
    assert_eq!(server.api.queue.accepted().len(), 4);
}

#[tokio::test]
async fn http_2_is_spoken_where_the_client_wants_it_many_requests_at_a_time() {
    let pair = Pair::new();
    let mut server = start(pair.settings()).await;
    let stream = connect(&server, pair.certificate(), Some("h2"))
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let mut sender = sender.clone();
        requests.spawn(async move {
            let answer = sender.send_request(alert()).await.unwrap();
            assert_eq!(answer.status(), 200);
            assert!(answer.headers().contains_key("x-global-transaction-id"));
            answer.into_body().collect().await.unwrap().to_bytes()
        });
    }
    for body in requests.join_all().await {
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["data"]["userCount"], 2);
    }
    assert_eq!(server.api.queue.accepted().len(), 50);
    server.begin_to_stop();
    assert_eq!(server.stopped.await.unwrap().cut_off, 0);
    let _ = connection.await.unwrap();
}

#[tokio::test]
async fn an_http_2_connection_that_waits_too_long_is_closed() {
    let pair = Pair::new();
    let server = start(ServerSettings {
        idle_timeout: SOON,
        ..pair.settings()
    })
    .await;
    let stream = connect(&server, pair.certificate(), Some("h2"))
        .await
        .unwrap();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    sender.ready().await.unwrap();
    assert_eq!(sender.send_request(alert()).await.unwrap().status(), 200);
    // It ends though the client would keep it, and answers what the server asks.
    let _ = connection.await.unwrap();
    assert!(sender.is_closed());
}

#[tokio::test]
async fn http_2_headers_beyond_64_kib_are_431() {
    let pair = Pair::new();
    let server = start(pair.settings()).await;
    let stream = connect(&server, pair.certificate(), Some("h2"))
        .await
        .unwrap();
    let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
        .max_header_list_size(1 << 20)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut request = Request::get("https://localhost/health/live");
    for number in 0..40 {
        request = request.header(format!("a{number}"), "b".repeat(3 << 10));
    }
    let request = request.body(String::new()).unwrap();
    let answer = sender.send_request(request).await;
    let refused = answer.map(|answer| answer.status().as_u16());
    assert!(matches!(refused, Ok(431)), "{refused:?}");
}

#[tokio::test]
async fn a_handshake_that_does_not_come_to_its_end_is_ended() {
    let pair = Pair::new();
    let server = start(ServerSettings {
        header_timeout: SOON,
        ..pair.settings()
    })
    .await;
    for begun in [&b""[..], b"\x16\x03\x01\x02"] {
        let mut stream = server.connect().await;
        stream.write_all(begun).await.unwrap();
        assert_eq!(until_closed(&mut stream).await, "");
    }
}

#[tokio::test]
async fn requests_go_through_while_half_handshakes_take_every_place() {
    let pair = Pair::new();
    let server = start(ServerSettings {
        max_connections: 20,
        ..pair.settings()
    })
    .await;
    let mut half = Vec::new();
    for _ in 0..100 {
        half.push(server.connect().await);
    }
    let mut stream = connect(&server, pair.certificate(), None).await.unwrap();
    stream
        .write_all(alert_request(ALERT).as_bytes())
        .await
        .unwrap();
    stream.flush().await.unwrap();
    assert!(read_answer(&mut stream).await.0.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn clear_text_to_a_tls_port_gets_no_answer_in_clear_text() {
    let pair = Pair::new();
    let server = start(pair.settings()).await;
    let mut stream = server.connect().await;
    stream
        .write_all(alert_request(ALERT).as_bytes())
        .await
        .unwrap();
    let mut rest = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await;
    assert!(!rest.starts_with(b"HTTP"));
    assert!(server.api.queue.accepted().is_empty());
}

/// Connects until the server shows `certificate`.
async fn until_shown(server: &Running, certificate: &CertificateDer<'static>) {
    loop {
        if connect(server, certificate.clone(), None).await.is_ok() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_new_pair_is_shown_to_new_connections_and_old_ones_go_on() {
    let pair = Pair::new();
    let server = start(pair.settings()).await;
    let mut old = connect(&server, pair.certificate(), None).await.unwrap();
    pair.renew();
    until_shown(&server, &pair.certificate()).await;
    old.write_all(alert_request(ALERT).as_bytes())
        .await
        .unwrap();
    old.flush().await.unwrap();
    assert!(read_answer(&mut old).await.0.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_pair_that_cannot_be_used_changes_nothing_and_the_next_good_one_is_taken() {
    let pair = Pair::new();
    let server = start(pair.settings()).await;
    let first = pair.certificate();
    let key = fs::read_to_string(pair.files().key).unwrap();
    let foreign = Pair::new();
    let foreign_key = fs::read_to_string(foreign.files().key).unwrap();
    for bad in ["", "no PEM", &foreign_key] {
        put(&pair.files().key, bad);
        // So that it is looked at: the third pair can only come after it.
        for _ in 0..20 {
            connect(&server, first.clone(), None).await.unwrap();
        }
    }
    fs::remove_file(pair.files().key).unwrap();
    connect(&server, first.clone(), None).await.unwrap();
    put(&pair.files().key, &key);
    connect(&server, first, None).await.unwrap();
    pair.renew();
    until_shown(&server, &pair.certificate()).await;
}

#[test]
fn what_is_no_pair_is_refused_by_its_files_name_and_shows_no_key() {
    let (pair, other) = (Pair::new(), Pair::new());
    let key_text = fs::read_to_string(pair.files().key).unwrap();
    let with = |certificate: &Path, key: &Path| {
        let files = TlsFiles {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        };
        let line = Tls::load(files).unwrap_err().to_string();
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(!line.contains(key_text.lines().nth(1).unwrap()), "{line}");
        line
    };
    let TlsFiles { certificate, key } = pair.files();
    let missing = pair.folder.path().join("missing.pem");
    assert!(with(&missing, &key).starts_with("cannot read "));
    assert!(with(&certificate, &missing).starts_with("cannot read "));
    assert!(with(&key, &key).contains("holds no certificate"));
    assert!(with(&certificate, &certificate).contains("holds no private key"));
    assert!(with(&certificate, &other.files().key).contains("cannot be used together"));
}

/// A client of HTTP/2 that holds back answers beyond so many bytes.
async fn http_2(server: &Running, pair: &Pair, window: u32) -> http2::SendRequest<String> {
    let stream = connect(server, pair.certificate(), Some("h2"))
        .await
        .unwrap();
    let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(window)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender.ready().await.unwrap();
    sender
}

fn group(name: &str) -> Request<String> {
    Request::post("https://localhost/v1/noti-groups")
        .header("content-type", "application/json")
        .body(format!(r#"{{"name":"{name}","desc":"whoever"}}"#))
        .unwrap()
}

fn get(path: &str) -> Request<String> {
    let uri = format!("https://localhost{path}");
    Request::get(uri).body(String::new()).unwrap()
}

#[tokio::test]
async fn a_request_that_its_client_resets_is_carried_out_to_its_end() {
    let pair = Pair::new();
    let server = start(pair.settings()).await;
    let mut sender = http_2(&server, &pair, 64 << 10).await;
    let store = &server.api.store;
    store.close();
    let sending = sender.send_request(group("operators"));
    store.asked().await;
    // No answer is wanted any more, which resets the request.
    drop(sending);
    // What is asked next is answered after the reset has come.
    assert_eq!(
        sender
            .send_request(get("/v1/users"))
            .await
            .unwrap()
            .status(),
        200
    );
    // The same again stands in the line behind it, and finds it done.
    let again = sender.send_request(group("operators"));
    store.asked().await;
    store.open();
    assert_eq!(again.await.unwrap().status(), 409);
}

#[tokio::test]
async fn requests_beside_an_answer_that_is_not_taken_do_not_keep_its_connection() {
    let pair = Pair::new();
    let server = start(ServerSettings {
        stall_timeout: SOON,
        ..pair.settings()
    })
    .await;
    let mut sender = http_2(&server, &pair, 1).await;
    let untaken = sender.send_request(get("/v3/api-docs")).await.unwrap();
    assert_eq!(untaken.status(), 200);
    // Each of these is answered at once and whole, as long as there is a connection.
    while let Ok(answer) = sender.send_request(get("/health/live")).await {
        drop(answer.into_body().collect().await);
    }
    assert!(untaken.into_body().collect().await.is_err());
}
