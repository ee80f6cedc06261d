//! Making connections: those of the pool, and those that stand alone.

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use tokio::time::Instant;
use tokio_postgres::{Client, Connection, Socket, tls::MakeTlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{
    error::{ConnectError, Failure, NoConnection},
    tls,
    url::{CONNECT_TIMEOUT, DatabaseUrl},
};

/// What a connection's other half is: it has to be polled for anything to happen.
pub(crate) type Driver = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// A server, and how to connect to it.
#[derive(Clone)]
pub(crate) struct Server {
    url: DatabaseUrl,
    tls: MakeRustlsConnect,
}

impl Server {
    pub(crate) fn new(url: DatabaseUrl) -> Result<Self, ConnectError> {
        let tls = tls::connector(&url).map_err(|reason| ConnectError::Tls {
            place: url.place().to_owned(),
            reason,
        })?;
        Ok(Self { url, tls })
    }

    pub(crate) fn place(&self) -> &str {
        self.url.place()
    }

    /// A connection of its own.
    pub(crate) async fn connect(&self) -> Result<(Client, Driver), NoConnection> {
        let connecting = self.url.config.connect(self.tls.clone());
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(connected) => connected.map_err(|error| NoConnection::from(&error)),
            Err(_) => Err(NoConnection::Unreachable("it does not answer".into())),
        }
    }

    /// The first connection, with a line a second while there is none.
    pub(crate) async fn connect_within(&self, wait: Duration) -> Result<Client, ConnectError> {
        let place = || self.place().to_owned();
        let until = Instant::now() + wait;
        loop {
            let begun = Instant::now();
            let reason = match self.connect().await {
                Ok((client, driver)) => {
                    tokio::spawn(driver);
                    return Ok(client);
                }
                Err(NoConnection::Unreachable(reason)) => reason,
                Err(NoConnection::Refused(reason)) => {
                    let place = place();
                    return Err(ConnectError::Refused { place, reason });
                }
                Err(NoConnection::Tls(reason)) => {
                    let place = place();
                    return Err(ConnectError::Tls { place, reason });
                }
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let place = place();
                return Err(ConnectError::Unreachable { place, reason });
            }
            tracing::warn!(
                database = self.place(),
                reason,
                seconds_left = left.as_secs(),
                "waiting for PostgreSQL"
            );
            tokio::time::sleep_until((begun + Duration::from_secs(1)).min(until)).await;
        }
    }

    /// Connections for whoever needs one for a moment, made on demand.
    pub(crate) fn pool(&self, size: usize) -> Result<Pool, Failure> {
        let settings = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = Manager::from_config(self.url.config.clone(), self.tls.clone(), settings);
        Pool::builder(manager)
            .max_size(size)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(CONNECT_TIMEOUT))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .build()
            .map_err(|error| Failure::Failed(error.to_string()))
    }
}
