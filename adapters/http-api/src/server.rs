//! Connections: accepted up to a cap, closed when they take too long, and let
//! finish at shutdown.
//!
//! The cap is kept by closing the connection that has waited longest without a
//! request: whoever holds thousands open and sends nothing loses them first, and
//! those who send requests are served. Only where every connection is at a
//! request do new ones wait.

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{Id, JoinSet},
    time::{MissedTickBehavior, interval},
};
use tracing::{debug, warn};

use crate::{
    connection::{Accepted, Activity},
    tls::{RELOAD_INTERVAL, Tls},
};

/// How connections are treated.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// The most connections at a time, at least 1. Each takes a file descriptor.
    pub max_connections: usize,
    /// How long a request's head may take from its first byte to its last; then 408.
    pub header_timeout: Duration,
    /// How long a client may send nothing of a body that it owes before its
    /// connection gives way to a newcomer.
    pub body_grace: Duration,
    /// How long a connection may wait for a request.
    pub idle_timeout: Duration,
    /// How long a client may take no more of an answer.
    pub stall_timeout: Duration,
    /// How long requests may go on after shutdown has begun.
    pub drain_deadline: Duration,
    /// TLS, where it is spoken.
    pub tls: Option<Tls>,
    /// How often its files are looked at.
    pub tls_reload: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            max_connections: 4096,
            header_timeout: Duration::from_secs(10),
            body_grace: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(75),
            stall_timeout: Duration::from_secs(60),
            drain_deadline: Duration::from_secs(25),
            tls: None,
            tls_reload: RELOAD_INTERVAL,
        }
    }
}

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Connections that were at a request when the deadline passed.
    pub cut_off: usize,
}

/// Serves `router` on `listener` until `shutdown` is ready; then accepts nothing
/// more, lets requests finish until the deadline, and ends. Dropped, it ends all
/// connections at once.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    settings: ServerSettings,
    shutdown: impl Future<Output = ()>,
) -> Stopped {
    // Ends when it is dropped.
    let mut following = JoinSet::new();
    if let Some(tls) = settings.tls.clone() {
        following.spawn(tls.follow(settings.tls_reload));
    }
    let mut server = Server::new(router, settings);
    server.accept_until(listener, shutdown).await;
    server.drain().await
}

struct Server {
    router: Router,
    settings: Arc<ServerSettings>,
    epoch: Instant,
    tasks: JoinSet<()>,
    connections: HashMap<Id, Arc<Activity>>,
    /// Accepted while the cap was reached; takes the next free place.
    waiting: Option<(TcpStream, IpAddr)>,
    /// Accepting failed, as where file descriptors have run out: it is tried
    /// again when a connection has ended or time has passed.
    paused: bool,
    stop: watch::Sender<bool>,
}

impl Server {
    fn new(router: Router, settings: ServerSettings) -> Self {
        Self {
            router,
            settings: Arc::new(settings),
            epoch: Instant::now(),
            tasks: JoinSet::new(),
            connections: HashMap::new(),
            waiting: None,
            paused: false,
            stop: watch::Sender::new(false),
        }
    }

    async fn accept_until(&mut self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let mut sweep = self.sweep_interval();
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                Some(ended) = self.tasks.join_next_with_id() => {
                    self.forget(ended.map(|(id, ())| id).unwrap_or_else(|error| error.id()));
                }
                _ = sweep.tick(), if self.paused || !self.connections.is_empty() => self.sweep(),
                accepted = listener.accept(), if self.waiting.is_none() && !self.paused => {
                    self.on_accept(accepted.map(|(stream, peer)| (stream, peer.ip())));
                }
            }
        }
    }

    async fn drain(mut self) -> Stopped {
        self.waiting = None;
        // Without connections there is nobody to tell.
        let _ = self.stop.send(true);
        let mut sweep = self.sweep_interval();
        let mut deadline = pin!(tokio::time::sleep(self.settings.drain_deadline));
        while !self.connections.is_empty() {
            tokio::select! {
                () = &mut deadline => break,
                Some(ended) = self.tasks.join_next_with_id() => {
                    self.forget(ended.map(|(id, ())| id).unwrap_or_else(|error| error.id()));
                }
                _ = sweep.tick() => self.sweep(),
            }
        }
        let cut_off = self.connections.len();
        self.tasks.shutdown().await;
        Stopped { cut_off }
    }

    fn on_accept(&mut self, accepted: io::Result<(TcpStream, IpAddr)>) {
        match accepted {
            Ok((stream, peer)) if self.connections.len() < self.settings.max_connections => {
                self.start(stream, peer);
            }
            Ok(accepted) => {
                self.waiting = Some(accepted);
                self.close_longest_idle();
            }
            // Only this connection's: its client has gone again.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                warn!(%error, connections = self.connections.len(),
                    "no connection can be accepted now; is the limit of open files too low?");
                self.paused = true;
                self.close_longest_idle();
            }
        }
    }

    fn start(&mut self, stream: TcpStream, peer: IpAddr) {
        // An answer is written at once and whole; waiting for more to send with
        // it would only delay it. A socket that refuses works all the same.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "TCP_NODELAY was refused");
        }
        let activity = Arc::new(Activity::new(self.epoch));
        let accepted = Accepted {
            stream,
            peer,
            router: self.router.clone(),
            activity: activity.clone(),
            settings: self.settings.clone(),
            stop: self.stop.subscribe(),
        };
        let task = self.tasks.spawn(accepted.drive());
        self.connections.insert(task.id(), activity);
    }

    fn forget(&mut self, ended: Id) {
        self.connections.remove(&ended);
        self.paused = false;
        if let Some((stream, peer)) = self.waiting.take() {
            self.start(stream, peer);
        }
    }

    /// Ends what takes too long, and looks again for room where it is wanted.
    fn sweep(&mut self) {
        self.paused = false;
        for activity in self.connections.values() {
            if activity.is_overdue(&self.settings) {
                activity.ask_to_close();
            }
        }
        if self.waiting.is_some() {
            self.close_longest_idle();
        }
    }

    fn close_longest_idle(&self) {
        let waiting = self.connections.values().filter_map(|activity| {
            let since = activity.waiting_since(&self.settings)?;
            Some((since, activity))
        });
        if let Some((_, activity)) = waiting.min_by_key(|(since, _)| *since) {
            activity.ask_to_close();
        }
    }

    /// Often enough that no time-out is late by more than a quarter, and at most
    /// by a second.
    fn sweep_interval(&self) -> tokio::time::Interval {
        let shortest = self
            .settings
            .header_timeout
            .min(self.settings.idle_timeout)
            .min(self.settings.stall_timeout);
        let period = (shortest / 4).clamp(Duration::from_millis(5), Duration::from_secs(1));
        let mut interval = interval(period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        interval
    }
}
