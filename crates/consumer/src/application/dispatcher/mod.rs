//! The async shell around the engine: performs what it decides, tells it what
//! happened. It decides nothing itself.

mod journal;
mod limits;
mod recorder;
mod request;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    future::{Future, pending},
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use common::Clock;
use tokio::sync::{mpsc, watch};

use crate::{
    application::engine::{Action, ChannelTraits, Engine, EngineSettings, Event},
    metrics::{DeliveryMetrics, Share},
    ports::{Channel, Credentials, DeliveryQueue, QueueError, Received},
};
use recorder::{Closed, Recorder};
use request::Told;

pub use limits::{Limits, Permit};

/// How long to leave the queue alone after it failed.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// How long the last outcomes may take to be recorded after the drain deadline.
const LAST_RECORD: Duration = Duration::from_secs(2);

/// Events taken in before the engine is asked again what to do.
const EVENTS_AT_ONCE: usize = 256;

/// What the dispatcher works with.
pub struct Outside {
    /// Where deliveries come from and outcomes go.
    pub queue: Arc<dyn DeliveryQueue>,
    /// Users' current credentials.
    pub credentials: Arc<dyn Credentials>,
    /// The ways out, one a kind.
    pub channels: Vec<Arc<dyn Channel>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Arc<DeliveryMetrics>,
    /// Limits that this dispatcher shares with others of its process; `None` where there
    /// is no other, since its engine has its own.
    pub limits: Option<Arc<Limits>>,
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<_> = self.channels.iter().map(|channel| channel.kind()).collect();
        f.debug_struct("Outside")
            .field("channels", &kinds)
            .finish_non_exhaustive()
    }
}

/// Delivers what the queue holds until it is told to stop.
#[derive(Debug)]
pub struct Dispatcher {
    outside: Arc<Outside>,
    engine: Engine,
}

type Receiving<'a> = Pin<Box<dyn Future<Output = Result<Received, QueueError>> + Send + 'a>>;

impl Dispatcher {
    /// A dispatcher that has not begun. The channels bring their traits along, so
    /// `settings.channels` is replaced. `seed` feeds the jitter of backoffs.
    pub fn new(outside: Outside, settings: EngineSettings, seed: u64) -> Self {
        let channels = outside.channels.iter().map(|channel| {
            let kind = channel.kind();
            let digest_after = settings
                .digest_after
                .filter(|_| !settings.without_digests.contains(&kind));
            ChannelTraits {
                kind,
                pace: channel.pace(),
                limit: channel.text_limit(),
                digest_after,
            }
        });
        let settings = EngineSettings {
            channels: channels.collect(),
            ..settings
        };
        Self {
            outside: Arc::new(outside),
            engine: Engine::new(settings, seed),
        }
    }

    /// Delivers until `shutdown` completes or the queue closes; then begins no
    /// further request, and returns when those under way have ended and are
    /// recorded, or `drain_deadline` later. What is left is received again by the
    /// next process; a request cut off by the deadline may be sent twice.
    ///
    /// Fails where the queue cannot say at the start what it has parked, and where it
    /// closes before everything is recorded. May be dropped at any time: then nothing more
    /// is recorded of what is under way.
    /// Needs a tokio runtime with its timer; requests run as tasks of their own.
    pub async fn run(
        mut self,
        shutdown: impl Future<Output = ()>,
        drain_deadline: Duration,
    ) -> Result<(), QueueError> {
        let outside = Arc::clone(&self.outside);
        let mut shutdown = pin!(shutdown);
        let mut deadline = pin!(tokio::time::sleep(Duration::MAX));
        let mut draining = false;
        let mut receiving: Option<Receiving<'_>> = None;
        let mut recorder = Recorder::new(&*outside.queue);
        let (reports, mut reported) = mpsc::unbounded_channel();
        let mut told = Vec::with_capacity(EVENTS_AT_ONCE);
        let (stopping, stopped) = watch::channel(false);
        let mut not_begun = 0;
        let mut share = outside.metrics.share();

        let parked = outside.queue.parked().await?;
        self.engine
            .handle(outside.clock.now(), Event::ParkedLanes(parked));
        loop {
            self.perform(&reports, &stopped, &mut recorder, &mut share);
            recorder.begin();
            if draining && self.engine.counts().in_flight == not_begun && recorder.is_empty() {
                return Ok(());
            }
            let room = self.engine.room();
            if receiving.is_none() && room > 0 {
                receiving = Some(outside.queue.receive(room));
            }
            let wake = self.engine.next_wake();
            let sleep = wake.map(|at| at.saturating_sub(outside.clock.now().mono));

            tokio::select! {
                _ = reported.recv_many(&mut told, EVENTS_AT_ONCE) => {
                    let now = outside.clock.now();
                    for told in told.drain(..) {
                        match told {
                            Told::Event(event) => self.engine.handle(now, event),
                            Told::NotBegun => not_begun += 1,
                        }
                    }
                }
                recorded = recorder.recorded() => {
                    let now = outside.clock.now();
                    let Ok(recorded) = recorded else {
                        return Err(QueueError::Closed);
                    };
                    if !recorded.unfolded.is_empty() {
                        self.engine.handle(now, Event::Unfolded(recorded.unfolded));
                    }
                    self.engine.handle(now, recorded.event);
                }
                received = next(&mut receiving) => {
                    receiving = None;
                    match received {
                        Ok(Received::Leases(leases)) => {
                            self.engine.handle(outside.clock.now(), Event::Received(leases));
                        }
                        Ok(Received::Cancelled(deliveries)) => {
                            self.engine.handle(outside.clock.now(), Event::Cancelled(deliveries));
                        }
                        Ok(Received::CaughtUp) => {
                            self.engine.handle(outside.clock.now(), Event::CaughtUp);
                        }
                        Err(QueueError::Closed) => {
                            draining = true;
                            stopping.send_replace(true);
                            deadline.as_mut().reset(tokio::time::Instant::now() + drain_deadline);
                            self.engine.handle(outside.clock.now(), Event::Draining);
                        }
                        Err(error) => {
                            tracing::error!(%error, "no deliveries could be received; trying again");
                            let room = room.max(1);
                            receiving = Some(Box::pin(receive_later(&*outside.queue, room)));
                        }
                    }
                }
                () = sleep_for(sleep) => {}
                () = &mut shutdown, if !draining => {
                    draining = true;
                    stopping.send_replace(true);
                    receiving = None;
                    deadline.as_mut().reset(tokio::time::Instant::now() + drain_deadline);
                    self.engine.handle(outside.clock.now(), Event::Draining);
                }
                () = &mut deadline, if draining => {
                    let left = self.engine.counts().in_flight.saturating_sub(not_begun);
                    if left > 0 {
                        tracing::warn!(left, "requests were cut off; they may be sent twice");
                    }
                    return match tokio::time::timeout(LAST_RECORD, recorder.finish()).await {
                        Ok(Ok(())) => Ok(()),
                        Ok(Err(Closed)) => Err(QueueError::Closed),
                        Err(_) => {
                            tracing::error!("the last outcomes could not be recorded");
                            Ok(())
                        }
                    };
                }
            }
        }
    }

    /// Does all that the engine wants done now.
    fn perform(
        &mut self,
        reports: &mpsc::UnboundedSender<Told>,
        stopped: &watch::Receiver<bool>,
        recorder: &mut Recorder<'_>,
        share: &mut Share,
    ) {
        let now = self.outside.clock.now();
        while let Some(action) = self.engine.next_action(now) {
            match action {
                Action::Send(order) => {
                    self.outside.queue.begins(order.lease.key());
                    request::spawn(&self.outside, order, reports.clone(), stopped.clone());
                }
                Action::Settle { settlement, lease } => {
                    self.outside.metrics.settled(
                        &lease.destination.kind,
                        &settlement.outcome,
                        lease.carries(),
                    );
                    journal::write(&settlement, &lease);
                    recorder.add(settlement);
                }
                Action::Unpark {
                    destination,
                    severity,
                    after,
                    room,
                } => {
                    let outside = Arc::clone(&self.outside);
                    let reports = reports.clone();
                    tokio::spawn(async move {
                        let leases = loop {
                            match outside
                                .queue
                                .unpark(destination, severity, after, room)
                                .await
                            {
                                Ok(leases) => break leases,
                                Err(QueueError::Closed) => return,
                                Err(error) => {
                                    tracing::error!(%error, "parked deliveries could not be fetched; trying again");
                                    tokio::time::sleep(RETRY_DELAY).await;
                                }
                            }
                        };
                        // Nobody listens any more where the dispatcher has ended.
                        let _ = reports.send(Told::Event(Event::Unparked {
                            destination,
                            severity,
                            leases,
                        }));
                    });
                }
            }
        }
        share.holds(self.engine.counts(), self.engine.oldest());
    }
}

async fn next(receiving: &mut Option<Receiving<'_>>) -> Result<Received, QueueError> {
    match receiving {
        Some(receiving) => receiving.await,
        None => pending().await,
    }
}

async fn receive_later(queue: &dyn DeliveryQueue, room: usize) -> Result<Received, QueueError> {
    tokio::time::sleep(RETRY_DELAY).await;
    queue.receive(room).await
}

async fn sleep_for(span: Option<Duration>) {
    match span {
        Some(span) => tokio::time::sleep(span).await,
        None => pending().await,
    }
}
