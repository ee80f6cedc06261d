//! Looking names up, and letting only admitted addresses through.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    vec,
};

use async_trait::async_trait;
use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;

use super::{Forbidden, Guard};

/// Looks names up.
#[async_trait]
pub trait Lookup: Send + Sync + std::fmt::Debug {
    /// All addresses of `host`, in the order in which they are to be tried.
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// Asks the system, as every program does.
#[derive(Clone, Copy, Debug)]
pub struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((host, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// What the connector asks: it connects to one of what this answers, and to nothing
/// else.
#[derive(Clone, Debug)]
pub(crate) struct GuardedLookup {
    lookup: Arc<dyn Lookup>,
    /// `None` where the operator chose the host.
    guard: Option<Guard>,
    /// For connections without TLS.
    plain: bool,
}

impl GuardedLookup {
    pub(crate) fn new(lookup: Arc<dyn Lookup>, guard: Option<Guard>, plain: bool) -> Self {
        Self {
            lookup,
            guard,
            plain,
        }
    }
}

type Addresses = vec::IntoIter<SocketAddr>;
type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Service<Name> for GuardedLookup {
    type Response = Addresses;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Addresses, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let Self {
            lookup,
            guard,
            plain,
        } = self.clone();
        Box::pin(async move {
            let found = lookup.addresses(name.as_str()).await?;
            let had_some = !found.is_empty();
            let admits = |address: &IpAddr| {
                let guard = guard.as_ref();
                guard.is_none_or(|guard| guard.admits(*address, plain))
            };
            let admitted = found.into_iter().filter(admits);
            // The connector puts the URL's port in the place of 0.
            let admitted: Vec<_> = admitted.map(|ip| SocketAddr::new(ip, 0)).collect();
            if had_some && admitted.is_empty() {
                return Err(Forbidden::Address.into());
            }
            Ok(admitted.into_iter())
        })
    }
}
