//! TLS for the listener: a certificate and its key from files, read again when they
//! change.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::{
    net::TcpStream,
    time::{MissedTickBehavior, interval},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing::{info, warn};

/// How often the files are looked at.
pub const RELOAD_INTERVAL: Duration = Duration::from_secs(10);

/// Where certificate and key are, both PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, and behind it those that lead to a known authority.
    pub certificate: PathBuf,
    /// Its private key: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

/// Why TLS cannot be spoken with the files given. No message holds any of a key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {error}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is no certificate, or something that only looks like one.
    #[error("{0} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")]
    NoCertificate(PathBuf),
    /// There is no key, or something that only looks like one.
    #[error("{0} holds no private key in PEM form (-----BEGIN PRIVATE KEY-----), unencrypted")]
    NoKey(PathBuf),
    /// The two do not belong together, or are of a kind that cannot be used.
    #[error("{certificate} and {key} cannot be used together: {reason}")]
    NoPair {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// Why.
        reason: rustls::Error,
    },
}

/// TLS as the listener speaks it: versions 1.2 and 1.3 with rustls's defaults, HTTP/2
/// where the client wants it. Clones share the certificate.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    shared: Arc<Shared>,
}

/// What new connections are shown, and where it comes from.
#[derive(Debug)]
struct Shared {
    files: TlsFiles,
    pair: RwLock<Arc<CertifiedKey>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`] where a file cannot be read or the two are no pair.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let pair = RwLock::new(Arc::new(read(&files, &provider)?));
        let shared = Arc::new(Shared { files, pair });
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|reason| no_pair(&shared.files, reason))?;
        let mut config = builder
            .with_no_client_auth()
            .with_cert_resolver(shared.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            shared,
        })
    }

    /// Looks at the files every `period` and, where they have changed, shows new
    /// connections the new certificate. A pair that cannot be used is logged, and the one
    /// in use stays. Never ends.
    pub async fn follow(self, period: Duration) {
        let mut seen = stamps(&self.shared.files);
        let mut interval = interval(period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let now = stamps(&self.shared.files);
            if now != seen {
                seen = now;
                self.shared.reload();
            }
        }
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Tls").field(&self.shared.files).finish()
    }
}

impl Shared {
    fn reload(&self) {
        match read(&self.files, &aws_lc_rs::default_provider()) {
            Ok(pair) => {
                *self.pair.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
                info!(certificate = %self.files.certificate.display(),
                    "the TLS certificate was read anew");
            }
            Err(error) => warn!(%error, "the TLS certificate in use stays"),
        }
    }
}

impl ResolvesServerCert for Shared {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let pair = self.pair.read().unwrap_or_else(PoisonError::into_inner);
        Some(pair.clone())
    }
}

fn read(files: &TlsFiles, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let pem = contents(&files.certificate)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or_else(|| TlsError::NoCertificate(files.certificate.clone()))?;
    let pem = contents(&files.key)?;
    let key = PrivateKeyDer::from_pem_slice(&pem);
    let key = key.map_err(|_| TlsError::NoKey(files.key.clone()))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|reason| no_pair(files, reason))
}

fn no_pair(files: &TlsFiles, reason: rustls::Error) -> TlsError {
    TlsError::NoPair {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        reason,
    }
}

fn contents(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|error| TlsError::Unreadable {
        path: path.to_owned(),
        error,
    })
}

/// By which a change of the files is noticed: also one of a link to them, as where a
/// secret is mounted into a container.
type Stamp = Option<(PathBuf, SystemTime, u64)>;

fn stamps(files: &TlsFiles) -> [Stamp; 2] {
    [&files.certificate, &files.key].map(|path| {
        let path = fs::canonicalize(path).ok()?;
        let file = fs::metadata(&path).ok()?;
        Some((path, file.modified().ok()?, file.len()))
    })
}
