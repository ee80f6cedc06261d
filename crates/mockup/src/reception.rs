//! Where messages are received: their fate is decided, counted and recorded in
//! one step, under one lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::broadcast;
use tokio::time::Instant;

use crate::answer::Refusal;
use crate::clock;
use crate::faults::{FaultSet, Faults};
use crate::hooks::Secrets;
use crate::messages::ReceivedMessage;
use crate::post::{Message, Post};
use crate::ratelimit::Buckets;
use crate::refusals::{Named, RefusedPost};
use crate::ring::{End, Kept, Ring};
use crate::settings::Settings;
use crate::subscription::{self, Subscription};

/// The counts of `GET /_mock/stats`, since the start or the last reset.
///
/// `received` is `accepted + rateLimited + failed - answersLost`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stats {
    /// Posts that were read.
    received: u64,
    /// Messages recorded.
    accepted: u64,
    /// Posts answered 429, by the rate limit or as told.
    rate_limited: u64,
    /// Posts answered with another error, and connections closed unanswered.
    failed: u64,
    /// Messages recorded whose connection was closed unanswered.
    answers_lost: u64,
    /// Posts whose client went away before the answer.
    client_gone: u64,
    /// Posts received and not answered yet.
    in_progress: u64,
}

/// What becomes of a post.
pub(crate) enum Verdict {
    /// Recorded, and answered so.
    Accept(Arc<ReceivedMessage>),
    /// Recorded, and the connection closed.
    LoseAnswer,
    /// Answered with an error.
    Refuse(Refusal),
    /// The connection is closed at once.
    Close,
}

/// A post that has been received.
pub(crate) struct Received {
    pub(crate) verdict: Verdict,
    /// How long the answer is held back.
    pub(crate) delay: Duration,
    pub(crate) progress: InProgress,
}

/// Everything the mockup knows.
pub(crate) struct Reception {
    faults: RwLock<Arc<Faults>>,
    books: Mutex<Books>,
    arrivals: broadcast::Sender<Arc<ReceivedMessage>>,
    secrets: Secrets,
}

/// What is decided about a post.
enum Decision {
    Accept(Message),
    Refuse(Refusal, Named),
    Close,
}

struct Books {
    stats: Stats,
    messages: Ring<ReceivedMessage>,
    refusals: Ring<RefusedPost>,
    buckets: Buckets,
    last_seq: u64,
    last_refusal: u64,
    last_ts: u64,
}

impl Reception {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            faults: RwLock::default(),
            books: Mutex::new(Books {
                stats: Stats::default(),
                messages: Ring::new(settings),
                refusals: Ring::new(settings),
                buckets: Buckets::new(),
                last_seq: 0,
                last_refusal: 0,
                last_ts: 0,
            }),
            arrivals: broadcast::Sender::new(subscription::CAPACITY),
            secrets: Secrets::default(),
        }
    }

    /// Decides, counts and records; the rest is waiting and writing.
    pub(crate) fn receive(self: &Arc<Self>, post: Result<Post, Refusal>) -> Received {
        let faults = self.faults();
        let channel = post.as_ref().ok().and_then(|post| post.channel.as_deref());
        let faults = faults.of(channel);

        let mut books = self.books();
        let (verdict, kept): (_, Option<Arc<dyn Kept>>) = match books.decide(faults, post) {
            Decision::Close => (Verdict::Close, None),
            Decision::Refuse(refusal, named) => {
                let kept = books.record_refusal(refusal.clone(), named);
                (Verdict::Refuse(refusal), Some(kept))
            }
            Decision::Accept(message) => {
                let message = books.record(message);
                let verdict = if faults.loses_answer(rand::random()) {
                    Verdict::LoseAnswer
                } else {
                    Verdict::Accept(Arc::clone(&message))
                };
                // Under the lock, so that subscribers see the order of `seq`.
                // Without subscribers it fails, which is fine.
                let _ = self.arrivals.send(Arc::clone(&message));
                (verdict, Some(message))
            }
        };
        books.stats.count(&verdict);
        drop(books);

        Received {
            verdict,
            delay: faults.delay(rand::random()),
            progress: InProgress {
                reception: Arc::clone(self),
                kept,
                end: End::ClientGone,
            },
        }
    }

    /// The secrets of the receivers of webhooks.
    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    pub(crate) fn subscribe(&self) -> Subscription {
        Subscription::new(self.arrivals.subscribe())
    }

    pub(crate) fn faults(&self) -> Arc<Faults> {
        let faults = self.faults.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&faults)
    }

    /// Replaces all faults, and fills the rate limits' buckets.
    pub(crate) fn set_faults(&self, faults: Faults) {
        let faults = Arc::new(faults);
        *self.faults.write().unwrap_or_else(PoisonError::into_inner) = faults;
        self.books().buckets.clear();
    }

    pub(crate) fn stats(&self) -> Stats {
        self.books().stats
    }

    pub(crate) fn newest(&self, channel: Option<&str>, limit: usize) -> Vec<Arc<ReceivedMessage>> {
        self.books().messages.newest(channel, limit)
    }

    pub(crate) fn newest_refusals(
        &self,
        channel: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<RefusedPost>> {
        self.books().refusals.newest(channel, limit)
    }

    /// Forgets messages and refusals and counts from 0 again, except for what is in
    /// progress.
    pub(crate) fn forget(&self) {
        let mut books = self.books();
        books.messages.clear();
        books.refusals.clear();
        books.stats = Stats {
            in_progress: books.stats.in_progress,
            ..Stats::default()
        };
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn decide(&mut self, faults: &FaultSet, post: Result<Post, Refusal>) -> Decision {
        if faults.is_down() {
            return Decision::Close;
        }
        let injected = faults.injected(rand::random());
        let post = match post {
            Ok(post) => post,
            Err(refusal) => return Decision::Refuse(injected.unwrap_or(refusal), Named::default()),
        };
        if let Some(refusal) = injected.or_else(|| post.fault()) {
            return match post.is_hook() {
                true => Decision::Refuse(refusal.for_hook(), post.into_named()),
                false => Decision::Refuse(refusal, post.into_named()),
            };
        }
        if let (Some(limit), Some(channel)) = (faults.rate_limit(), &post.channel)
            && let Err(wait) = self.buckets.take(channel, limit, Instant::now())
        {
            return Decision::Refuse(faults.rate_limited(wait), post.into_named());
        }
        Decision::Accept(post.into_message())
    }

    fn record(&mut self, message: Message) -> Arc<ReceivedMessage> {
        let now = clock::now_micros();
        self.last_seq += 1;
        // Two messages in one microsecond, or a clock that goes back, do not
        // make two equal ids.
        self.last_ts = now.max(self.last_ts + 1);
        let message = Arc::new(ReceivedMessage::new(
            self.last_seq,
            self.last_ts,
            now,
            message,
        ));
        self.messages.push(Arc::clone(&message));
        message
    }

    fn record_refusal(&mut self, refusal: Refusal, named: Named) -> Arc<RefusedPost> {
        self.last_refusal += 1;
        let now = clock::now_micros();
        let refused = Arc::new(RefusedPost::new(self.last_refusal, now, named, refusal));
        self.refusals.push(Arc::clone(&refused));
        refused
    }
}

impl Stats {
    fn count(&mut self, verdict: &Verdict) {
        self.received += 1;
        self.in_progress += 1;
        match verdict {
            Verdict::Accept(_) => self.accepted += 1,
            Verdict::LoseAnswer => {
                self.accepted += 1;
                self.answers_lost += 1;
                self.failed += 1;
            }
            Verdict::Refuse(refusal) if refusal.status.as_u16() == 429 => self.rate_limited += 1,
            Verdict::Refuse(_) | Verdict::Close => self.failed += 1,
        }
    }
}

/// A post that is not answered yet. Dropped unfinished, its client is gone: the
/// server drops a handler whose connection has ended.
pub(crate) struct InProgress {
    reception: Arc<Reception>,
    kept: Option<Arc<dyn Kept>>,
    end: fn(u64) -> End,
}

impl InProgress {
    /// The answer is about to be written.
    pub(crate) fn answered(mut self) {
        self.end = End::Sent;
    }

    /// The connection is about to be closed on purpose.
    pub(crate) fn closed(mut self) {
        self.end = End::Lost;
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        if let Some(kept) = &self.kept {
            kept.ended(self.end);
        }
        let mut books = self.reception.books();
        books.stats.in_progress -= 1;
        books.stats.client_gone += u64::from(matches!((self.end)(0), End::ClientGone(_)));
    }
}
