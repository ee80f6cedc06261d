//! TLS as the URL's `sslmode` says.

use std::{io::Write, sync::Arc, time::Duration};

use common::SystemClock;
use postgres::{ConnectError, Postgres};
use tempfile::NamedTempFile;
use tests::services;

use super::support::{execute, put_user, settings};

/// A server with TLS, whose certificate names `localhost`, and its authority's.
struct Secured {
    server: services::Postgres,
    authority: NamedTempFile,
}

impl Secured {
    fn start() -> Self {
        use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap().pem();

        let server = services::Postgres::start();
        for (name, text) in [
            ("server.crt", certificate),
            ("server.key", key.serialize_pem()),
        ] {
            // In the server's data folder, its account's alone.
            server.administer(
                services::Postgres::DATABASE,
                &format!(
                    "COPY (SELECT unnest(string_to_array('{text}', E'\\n')))
                     TO PROGRAM 'umask 077; cat > {name}'"
                ),
            );
        }
        for statement in ["ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()"] {
            server.administer(services::Postgres::DATABASE, statement);
        }
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(authority.as_bytes()).unwrap();
        Self {
            server,
            authority: file,
        }
    }

    /// A URL of that host, which is this machine, with those options.
    fn url(&self, host: &str, options: &str) -> String {
        let port = self.server.address().port();
        let direct = self.server.address().to_string();
        let url = self
            .server
            .url()
            .replace(&direct, &format!("{host}:{port}"));
        format!("{url}?hostaddr=127.0.0.1&{options}")
    }

    fn root(&self) -> String {
        format!("sslrootcert={}", self.authority.path().display())
    }
}

async fn connect(url: &str) -> Result<Postgres, ConnectError> {
    let settings = postgres::Settings {
        wait: Duration::ZERO,
        ..settings(url)
    };
    Postgres::connect(settings, Arc::new(SystemClock::start())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_as_secure_as_the_url_asks_for() {
    let secured = Secured::start();
    let root = secured.root();
    for (host, options, is_encrypted) in [
        ("other", "sslmode=disable".to_owned(), "f"),
        ("other", String::new(), "t"),
        ("other", "sslmode=require".into(), "t"),
        ("other", format!("sslmode=verify-ca&{root}"), "t"),
        ("localhost", format!("sslmode=verify-full&{root}"), "t"),
    ] {
        let store = connect(&secured.url(host, &options)).await.unwrap();
        execute(&store, vec![put_user(1, "ann")]).await.unwrap();
        let sessions = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                        WHERE application_name = 'error-notifier'";
        let database = services::Postgres::DATABASE;
        let answer = secured.server.administer(database, sessions);
        assert_eq!(answer, is_encrypted, "{options}");
        store.close();
        // Sessions end a moment after their connections.
        super::support::until_so("their end", || {
            secured.server.administer(database, sessions).is_empty()
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_convince_is_refused_and_the_setting_named() {
    let secured = Secured::start();
    let stranger = Secured::start();
    let (root, strange) = (secured.root(), stranger.root());
    for (host, options) in [
        ("other", format!("sslmode=verify-full&{root}")),
        ("localhost", format!("sslmode=verify-full&{strange}")),
        ("localhost", format!("sslmode=verify-ca&{strange}")),
        ("localhost", format!("sslmode=require&{strange}")),
        (
            "localhost",
            "sslmode=verify-full&sslrootcert=/nowhere.pem".into(),
        ),
    ] {
        let refusal = connect(&secured.url(host, &options)).await.err().unwrap();
        assert!(
            matches!(refusal, ConnectError::Tls { .. }),
            "{options}: {refusal}"
        );
        let text = refusal.to_string();
        assert!(text.contains("sslmode of --database-url"), "{text}");
        assert!(!text.contains(secured.server.password()), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_tls_is_refused_where_the_url_asks_for_it() {
    let url = services::Postgres::shared().url();
    let refusal = connect(&format!("{url}?sslmode=require"))
        .await
        .err()
        .unwrap();
    assert!(matches!(refusal, ConnectError::Tls { .. }), "{refusal}");
}
