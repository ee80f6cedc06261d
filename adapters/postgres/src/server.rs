//! Making connections: those of the pool, and those that stand alone.

use std::{pin::pin, time::Duration};

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use tokio::time::{Instant, interval_at, sleep_until, timeout};
use tokio_postgres::{Client, Connection, Socket, tls::MakeTlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{
    error::{ConnectError, Failure, NO_ANSWER, NoConnection},
    tls,
    url::{CONNECT_TIMEOUT, DatabaseUrl},
};

/// What a connection's other half is: it has to be polled for anything to happen.
pub(crate) type Driver = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

const SECOND: Duration = Duration::from_secs(1);

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
        match timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(connected) => connected.map_err(|error| NoConnection::from(&error)),
            Err(_) => Err(NoConnection::Unreachable(NO_ANSWER.into())),
        }
    }

    /// The first connection, with a line a second while there is none. It is tried once
    /// at least, and to that try's end.
    pub(crate) async fn connect_within(&self, wait: Duration) -> Result<Client, ConnectError> {
        let until = Instant::now() + wait;
        let mut seconds = interval_at(Instant::now() + SECOND, SECOND);
        loop {
            let mut connecting = pin!(self.connect());
            let connected = loop {
                tokio::select! {
                    connected = &mut connecting => break connected,
                    _ = seconds.tick() => self.say_that_it_waits(NO_ANSWER, until),
                }
            };
            let place = self.place().to_owned();
            let reason = match connected {
                Ok((client, driver)) => {
                    tokio::spawn(driver);
                    return Ok(client);
                }
                Err(NoConnection::Unreachable(reason)) => reason,
                Err(NoConnection::Refused(reason)) => {
                    return Err(ConnectError::Refused { place, reason });
                }
                Err(NoConnection::Tls(reason)) => return Err(ConnectError::Tls { place, reason }),
            };
            if Instant::now() >= until {
                return Err(ConnectError::Unreachable { place, reason });
            }
            tokio::select! {
                _ = seconds.tick() => self.say_that_it_waits(&reason, until),
                () = sleep_until(until) => {}
            }
        }
    }

    fn say_that_it_waits(&self, reason: &str, until: Instant) {
        tracing::warn!(
            database = self.place(),
            reason,
            seconds_left = until.saturating_duration_since(Instant::now()).as_secs(),
            "waiting for PostgreSQL"
        );
    }

    /// Connections for whoever needs one for a moment, made on demand. Who waits for a
    /// free one says how long.
    pub(crate) fn pool(&self, size: usize) -> Result<Pool, Failure> {
        let settings = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = Manager::from_config(self.url.config.clone(), self.tls.clone(), settings);
        Pool::builder(manager)
            .max_size(size)
            .runtime(Runtime::Tokio1)
            .create_timeout(Some(CONNECT_TIMEOUT))
            .build()
            .map_err(|error| Failure::Failed(error.to_string()))
    }
}
