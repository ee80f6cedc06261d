//! A stand-in for Slack and for receivers of webhooks, for running and testing without
//! them.
//!
//! It answers `POST /api/chat.postMessage` as [Slack does][slack], keeps what
//! it was sent, and can be told to be slow, limited or broken.
//! It shares no code with the rest of the project, so a mistake in the client
//! cannot hide in its counterpart.
//!
//! | request | answer |
//! |---|---|
//! | `POST /api/chat.postMessage` | as Slack, JSON or form body |
//! | `GET`, `POST /api/auth.test`, `/api/api.test` | as Slack |
//! | `POST /_mock/hooks/{name}` | 204 to a webhook, as [Standard Webhooks][sw] describe it |
//! | `PUT /_mock/hooks/{name}` `{"secret":"whsec_…"}`, `DELETE` | from now on only what is signed with the secret is accepted |
//! | `GET /health/live`, `/health/ready` | 204, faults or not |
//! | `GET /_mock/stats` | the counts |
//! | `GET /_mock/messages?channel=&limit=` | the messages kept, newest last |
//! | `GET /_mock/refusals?channel=&limit=` | the posts kept that were answered with an error, newest last |
//! | `DELETE /_mock/messages` | forgets both, counts from 0 again |
//! | `GET`, `PUT`, `DELETE /_mock/faults` | what is to go wrong |
//!
//! A webhook is a message of the channel `hooks/{name}`, counted and shown with the
//! others; `webhook` then holds its `id`, `timestamp` and `body`, and in `verified`
//! whether its signature was checked and right. Without a secret none is checked.
//! One with a wrong signature, or a timestamp that is 5 minutes off, is answered 401.
//!
//! # When a message counts as received
//!
//! When its whole request has been read. At that moment its fate is decided and
//! counted, and an accepted message is recorded, whatever `latencyMs` then does
//! to the answer. A message in `/_mock/messages` therefore is a request that had
//! begun, and its `answer` tells how far it came:
//!
//! | `answer` | meaning |
//! |---|---|
//! | `pending` | not answered yet |
//! | `sent` | answered; `answeredAt` is set before the first byte leaves, so a message without it was never answered |
//! | `lost` | told to lose the answer: the connection was closed unanswered at `closedAt` |
//! | `clientGone` | the client went away before the answer, at `closedAt` |
//!
//! A crash test takes this list after it has killed the client: the accepted
//! messages that the client has no record of are the only ones that it may send
//! twice.
//!
//! A refusal has the `status`, the `error` and the `retryAfter` that it was answered
//! with, and `answer` and its times as a message has them. Of a post that could not be
//! read, `channel` and `text` are empty. It is shown by a number of its own, `seq`.
//!
//! # What the counts mean
//!
//! | count | what it counts |
//! |---|---|
//! | `received` | posts that were read |
//! | `accepted` | messages recorded |
//! | `rateLimited` | posts answered 429, by the rate limit or as told |
//! | `failed` | posts answered with another error, and connections closed unanswered on purpose |
//! | `answersLost` | those of `accepted` that are in `failed` too |
//! | `clientGone` | posts whose client went away before the answer |
//! | `inProgress` | posts received and not answered yet |
//!
//! So `received` is `accepted + rateLimited + failed - answersLost`.
//!
//! # The faults
//!
//! Each `PUT` replaces all of them, and fills the buckets of the rate limits.
//! `channels` maps channel ids to the same keys, which override the mockup's
//! own one by one.
//!
//! | key | effect |
//! |---|---|
//! | `latencyMs`, `jitterMs` | answers are held back so long, give or take the jitter |
//! | `down` | connections are closed unanswered; nothing is recorded |
//! | `error`, `status` | what a refused message is answered: Slack's error (in a 200, unless `status` is given), or the HTTP status |
//! | `errorRate` | the share of messages refused so; left out, all if `error` or `status` is given, else none; with neither of them, a 500 |
//! | `rateLimitPerSecond`, `rateBurst` | a token bucket a channel; the burst is a second's worth, and at least 1, if left out |
//! | `retryAfter` | the `Retry-After` of every 429 and 5xx, in seconds; a limited message gets the time to wait if left out |
//! | `loseAnswerRate` | the share of accepted messages that are recorded and then have their connection closed unanswered |
//!
//! They apply in this order: `down`; then what `error`, `status` and `errorRate`
//! inject; then Slack's own checks (token, channel, text); then the rate limit;
//! then `loseAnswerRate`. `auth.test` and `api.test` know the mockup's latency,
//! `down` and injected errors. For webhooks all of them hold; an `error` without a
//! `status` is a 400. The other paths under `/_mock/` are never disturbed.
//!
//! [sw]: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
//! [slack]: https://docs.slack.dev/reference/methods/chat.postMessage

mod answer;
mod clock;
mod control;
mod faults;
mod hooks;
mod http;
mod messages;
mod post;
mod ratelimit;
mod reception;
mod refusals;
mod ring;
mod server;
mod settings;
mod slack;
mod subscription;

use std::sync::Arc;

use tokio::net::TcpListener;

pub use messages::ReceivedMessage;
pub use settings::Settings;
pub use subscription::{Arrival, Subscription};

use reception::Reception;

/// One stand-in for Slack. Clones are cheap and are the same mockup.
#[derive(Clone)]
pub struct Mockup {
    reception: Arc<Reception>,
}

impl Mockup {
    /// A mockup without messages or faults.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            reception: Arc::new(Reception::new(settings)),
        }
    }

    /// The messages accepted from now on, as they arrive.
    ///
    /// A subscriber never slows the server down: one that lags more than 1024
    /// messages behind misses some and is told how many.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        self.reception.subscribe()
    }

    /// Serves HTTP/1.1 on `listener` until `shutdown` completes.
    ///
    /// After that no connection is accepted, and requests under way have two
    /// seconds to be answered. Errors of single connections end those alone; when
    /// the process is out of file descriptors, accepting pauses and goes on.
    pub fn serve<S>(
        &self,
        listener: TcpListener,
        shutdown: S,
    ) -> impl Future<Output = ()> + Send + use<S>
    where
        S: Future<Output = ()> + Send + 'static,
    {
        server::serve(Arc::clone(&self.reception), listener, shutdown)
    }
}
