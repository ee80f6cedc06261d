//! Producers, and the threads that hear what became of their records.
//!
//! librdkafka tells by events that somebody must wait for. rdkafka's own threaded producers wait
//! for them in turns of a tenth of a second, each of which ends with half a millisecond of
//! asking over and over; here turns are longer, so an idle producer is idle.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rdkafka::{
    ClientConfig, ClientContext, Message,
    config::RDKafkaLogLevel,
    error::{KafkaError, KafkaResult},
    producer::{BaseProducer, DeliveryResult, Producer, ProducerContext, PurgeConfig},
};
use tokio::sync::oneshot;

use crate::{client::Events, error::OpenError, records::Outgoing};

/// How long one turn of waiting for events is. Events are served at once; this is how
/// long the thread outlives its producer.
const TURN: Duration = Duration::from_secs(1);

/// A producer and the thread that serves its events. When it is dropped, what was not sent
/// is not, and what was not acknowledged is told so.
pub(crate) struct Served<C: ProducerContext + 'static> {
    producer: Arc<BaseProducer<C>>,
    ended: Arc<AtomicBool>,
}

impl<C: ProducerContext + 'static> Served<C> {
    /// A producer with these settings, whose events go to `context`.
    pub(crate) fn start(config: &ClientConfig, context: C) -> Result<Self, OpenError> {
        let producer: BaseProducer<C> = config.create_with_context(context)?;
        let served = Self {
            producer: Arc::new(producer),
            ended: Arc::new(AtomicBool::new(false)),
        };
        let (producer, ended) = (served.producer.clone(), served.ended.clone());
        thread::Builder::new()
            .name("kafka events".into())
            .spawn(move || {
                while !ended.load(Ordering::Relaxed) {
                    producer.poll(TURN);
                }
            })
            .map_err(|error| OpenError::Client(error.to_string()))?;
        Ok(served)
    }

    /// The producer.
    pub(crate) fn producer(&self) -> &BaseProducer<C> {
        &self.producer
    }

    /// Its events' listener.
    pub(crate) fn context(&self) -> &Arc<C> {
        self.producer.context()
    }
}

impl<C: ProducerContext + 'static> Drop for Served<C> {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        self.producer
            .purge(PurgeConfig::default().queue().inflight());
    }
}

/// A producer that answers each record with a future.
pub(crate) type Answering = Served<Answers>;

/// What became of a record: its offset, or why it is not known to have one.
pub(crate) type Answer = KafkaResult<u64>;

/// Hands each answer to the one who waits for it.
pub(crate) struct Answers(Events);

impl Answering {
    /// A producer with these settings, which logs and tells errors by `events`.
    pub(crate) fn answering(config: &ClientConfig, events: Events) -> Result<Self, OpenError> {
        Self::start(config, Answers(events))
    }

    /// Hands a record over. `Err` where there is no room for it, or it cannot be sent ever; it
    /// has not left the process then.
    pub(crate) fn send(&self, outgoing: &Outgoing) -> KafkaResult<Sent> {
        let (answer, sent) = oneshot::channel();
        self.producer
            .send(outgoing.to_base(Box::new(answer)))
            .map_err(|(error, _)| error)?;
        Ok(Sent(sent))
    }
}

/// A record on its way.
pub(crate) struct Sent(oneshot::Receiver<Answer>);

impl Sent {
    /// Waits for the answer. It comes within the producer's `message.timeout.ms`.
    pub(crate) async fn answer(self) -> Answer {
        self.0.await.unwrap_or(Err(KafkaError::Canceled))
    }
}

impl ClientContext for Answers {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }
}

impl ProducerContext for Answers {
    type DeliveryOpaque = Box<oneshot::Sender<Answer>>;

    fn delivery(&self, result: &DeliveryResult<'_>, answer: Self::DeliveryOpaque) {
        let told = match result {
            Ok(message) => Ok(u64::try_from(message.offset()).unwrap_or_default()),
            Err((error, _)) => Err(error.clone()),
        };
        // An error means that nobody waits for it any more.
        let _ = answer.send(told);
    }
}
