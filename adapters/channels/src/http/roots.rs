//! Whom TLS trusts: the system's root certificates, so that a company's own
//! authority works, and Mozilla's (built in) where the system has none, as in a
//! minimal container.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_native_certs::CertificateResult;
use tracing::warn;

/// The TLS settings of every connection.
pub(super) fn client_config() -> Result<ClientConfig, rustls::Error> {
    let roots = choose(rustls_native_certs::load_native_certs());
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

fn choose(system: CertificateResult) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    // A system's store often holds a few certificates that are not well formed.
    let (usable, _) = roots.add_parsable_certificates(system.certs);
    if usable > 0 {
        return roots;
    }
    let why = system
        .errors
        .first()
        .map_or_else(|| "none found".to_owned(), ToString::to_string);
    warn!(
        why,
        "the system has no root certificates for TLS; using the built-in ones of Mozilla. \
         Install ca-certificates or set SSL_CERT_FILE to trust the system's"
    );
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    roots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_without_root_certificates_falls_back_to_the_built_in_ones() {
        let roots = choose(CertificateResult::default());
        assert_eq!(roots.len(), webpki_roots::TLS_SERVER_ROOTS.len());
    }

    #[test]
    fn unreadable_system_certificates_count_as_none() {
        let mut system = CertificateResult::default();
        system.certs.push(vec![0; 8].into());
        assert_eq!(choose(system).len(), webpki_roots::TLS_SERVER_ROOTS.len());
    }
}
