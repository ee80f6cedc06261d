//! The external service as a model: each destination has its own troubles, and
//! some texts are refused.

use std::time::Duration;

use consumer::domain::{Answer, Fault, Refusal};
use rand::{RngExt, rngs::Xoshiro256PlusPlus};

/// What a destination is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Character {
    /// Fast and without fault, with few deliveries: must never be held up.
    Quiet,
    /// Without fault.
    Healthy,
    /// Answers after seconds.
    Slow,
    /// Refuses what exceeds its limit, and says for how long.
    Limited,
    /// Away now and then, for up to an hour.
    Flaky,
    /// Takes messages and loses the answer now and then.
    Forgetful,
    /// Never answers well.
    Gone,
    /// On a host that is away as a whole now and then.
    Housed,
    /// Of a workspace whose token is revoked now and then.
    Tenant,
}

/// A host, or a workspace, with times at which it refuses everybody.
#[derive(Default)]
pub(crate) struct House {
    away_until: Duration,
    next_outage: Duration,
}

impl House {
    /// Whether it refuses now. Outages last from seconds to an hour.
    fn is_away(&mut self, now: Duration, rng: &mut Xoshiro256PlusPlus) -> bool {
        if now >= self.next_outage {
            self.away_until = now + Duration::from_secs(rng.random_range(5..3600));
            self.next_outage = self.away_until + Duration::from_secs(rng.random_range(30..2000));
        }
        now < self.away_until
    }
}

/// What a text is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// It can be taken, in that many parts.
    Good(u16),
    /// It is refused, perhaps not for good.
    Bad,
    /// It is refused for good.
    Impossible,
}

impl Content {
    /// The worst one of a digest decides.
    pub(crate) fn badness(&self) -> u8 {
        match self {
            Content::Good(_) => 0,
            Content::Bad => 1,
            Content::Impossible => 2,
        }
    }
}

/// One destination.
pub(crate) struct Place {
    pub(crate) character: Character,
    tokens: f64,
    seen: Duration,
    away_until: Duration,
    next_outage: Duration,
}

/// What one request comes to.
pub(crate) struct Response {
    /// The message is there.
    pub(crate) taken: bool,
    pub(crate) answer: Answer,
    pub(crate) took: Duration,
}

impl Place {
    pub(crate) fn new(character: Character) -> Self {
        Self {
            character,
            tokens: 4.0,
            seen: Duration::ZERO,
            away_until: Duration::ZERO,
            next_outage: Duration::from_secs(60),
        }
    }

    /// Whether it can be the reason that a delivery is given up.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.character == Character::Gone
    }

    pub(crate) fn request(
        &mut self,
        now: Duration,
        content: Content,
        house: &mut House,
        rng: &mut Xoshiro256PlusPlus,
    ) -> Response {
        let took = Duration::from_micros(match self.character {
            Character::Slow => rng.random_range(1_000_000..10_000_000),
            _ => rng.random_range(200..50_000),
        });
        let refused = |fault, lasting, retry_after, reason: &str| Response {
            taken: false,
            answer: Answer::Refused(Refusal {
                fault,
                lasting,
                retry_after,
                status: None,
                reason: reason.into(),
            }),
            took,
        };
        match self.character {
            Character::Gone => return refused(Fault::Host, false, None, "connection refused"),
            Character::Flaky => {
                if now >= self.next_outage {
                    self.away_until = now + Duration::from_secs(rng.random_range(1..3600));
                    self.next_outage =
                        self.away_until + Duration::from_secs(rng.random_range(10..2000));
                }
                if now < self.away_until {
                    let fault = [Fault::Destination, Fault::Credential, Fault::Unclear]
                        [rng.random_range(0..3)];
                    return refused(fault, false, None, "away");
                }
            }
            Character::Limited => {
                // A little less than the engine's own pace, so it is exceeded.
                self.tokens = (self.tokens + (now - self.seen).as_secs_f64() * 0.8).min(3.0);
                self.seen = now;
                if self.tokens < 1.0 {
                    let span = Duration::from_secs(rng.random_range(1..90));
                    return refused(Fault::Destination, false, Some(span), "rate_limited");
                }
                self.tokens -= 1.0;
            }
            Character::Housed if house.is_away(now, rng) => {
                return refused(Fault::Host, false, None, "connection refused");
            }
            Character::Tenant if house.is_away(now, rng) => {
                let lasting = rng.random_bool(0.5);
                return refused(Fault::Credential, lasting, None, "invalid_auth");
            }
            Character::Quiet
            | Character::Healthy
            | Character::Slow
            | Character::Forgetful
            | Character::Housed
            | Character::Tenant => {}
        }
        match content {
            Content::Good(_) => {}
            Content::Bad => {
                let asked = rng.random_bool(0.1).then_some(Duration::from_secs(3));
                return refused(Fault::Payload, false, asked, "invalid_blocks");
            }
            Content::Impossible => return refused(Fault::Payload, true, None, "msg_too_long"),
        }
        if self.character == Character::Forgetful && rng.random_bool(0.1) {
            let answer = Answer::MaybeAccepted {
                reason: "no answer within 10 s".into(),
            };
            // Half of them had arrived.
            return Response {
                taken: rng.random_bool(0.5),
                answer,
                took,
            };
        }
        let answer = Answer::Accepted {
            status: 200,
            provider_id: None,
        };
        Response {
            taken: true,
            answer,
            took,
        }
    }
}
