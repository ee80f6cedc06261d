//! What is to go wrong, as `PUT /_mock/faults` says it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::answer::Refusal;
use crate::ratelimit::RateLimit;

const MAX_LATENCY_MS: u64 = 600_000;
const MAX_RATE: f64 = 1_000_000.0;
const MIN_RATE: f64 = 0.000_1;

/// The faults of the whole mockup or of one channel. A key left out is no fault,
/// or in a channel the mockup's.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct FaultSet {
    /// How long an answer is held back, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<u64>,
    /// By how much the latency varies, up and down, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    jitter_ms: Option<u64>,
    /// The share of messages that `error` and `status` apply to, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_rate: Option<f64>,
    /// Messages a second that each channel takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limit_per_second: Option<f64>,
    /// Messages at once that each channel takes after a pause.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_burst: Option<u32>,
    /// Connections are closed unanswered, and nothing is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    down: Option<bool>,
    /// The share of accepted messages whose answer is lost, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    lose_answer_rate: Option<f64>,
    /// The Slack error of a refused message.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The HTTP status of a refused message.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// The `Retry-After` of every 429 and 5xx, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

impl FaultSet {
    /// Whether connections are closed unanswered.
    pub(crate) fn is_down(&self) -> bool {
        self.down.unwrap_or(false)
    }

    /// How long the answer is held back; `dice` is from 0 to 1.
    pub(crate) fn delay(&self, dice: f64) -> Duration {
        let latency = Duration::from_millis(self.latency_ms.unwrap_or(0));
        let Some(jitter) = self.jitter_ms else {
            return latency;
        };
        let swing = Duration::from_millis(2 * jitter).mul_f64(dice);
        (latency + swing).saturating_sub(Duration::from_millis(jitter))
    }

    /// The refusal to inject; `dice` is from 0 to just below 1.
    ///
    /// `error` and `status` say what it looks like, `errorRate` how often it
    /// comes: always where one of them is given without a rate, else never.
    pub(crate) fn injected(&self, dice: f64) -> Option<Refusal> {
        let described = self.error.is_some() || self.status.is_some();
        let share = self.error_rate.unwrap_or(if described { 1.0 } else { 0.0 });
        if dice >= share {
            return None;
        }
        let status = match (self.status, &self.error) {
            (Some(status), _) => StatusCode::from_u16(status).ok()?,
            (None, Some(_)) => StatusCode::OK,
            (None, None) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let error = match &self.error {
            Some(error) => Cow::Owned(error.clone()),
            None if status == StatusCode::TOO_MANY_REQUESTS => Cow::Borrowed("ratelimited"),
            None => Cow::Borrowed("internal_error"),
        };
        let may_wait = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
        Some(Refusal {
            status,
            error,
            retry_after: self.retry_after.filter(|_| may_wait),
        })
    }

    /// The limit of a channel, if it has one. Its burst is `rateBurst`, else a
    /// second's worth, and at least 1.
    pub(crate) fn rate_limit(&self) -> Option<RateLimit> {
        let per_second = self.rate_limit_per_second?;
        // The rate is checked to be between 0 and a million.
        let burst = self.rate_burst.unwrap_or(per_second as u32).max(1);
        Some(RateLimit { per_second, burst })
    }

    /// The refusal of a message that the rate limit stops; `wait` is how long it
    /// will go on doing so.
    pub(crate) fn rate_limited(&self, wait: Duration) -> Refusal {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Refusal::rate_limited(self.retry_after.unwrap_or(seconds.max(1)))
    }

    /// Whether an accepted message's answer is lost; `dice` is from 0 to just
    /// below 1.
    pub(crate) fn loses_answer(&self, dice: f64) -> bool {
        dice < self.lose_answer_rate.unwrap_or(0.0)
    }

    /// These faults, and the base's where these say nothing.
    fn over(self, base: &Self) -> Self {
        Self {
            latency_ms: self.latency_ms.or(base.latency_ms),
            jitter_ms: self.jitter_ms.or(base.jitter_ms),
            error_rate: self.error_rate.or(base.error_rate),
            rate_limit_per_second: self.rate_limit_per_second.or(base.rate_limit_per_second),
            rate_burst: self.rate_burst.or(base.rate_burst),
            down: self.down.or(base.down),
            lose_answer_rate: self.lose_answer_rate.or(base.lose_answer_rate),
            error: self.error.or_else(|| base.error.clone()),
            status: self.status.or(base.status),
            retry_after: self.retry_after.or(base.retry_after),
        }
    }

    fn read(keys: Map<String, Value>) -> Result<Self, String> {
        let faults: Self =
            serde_json::from_value(Value::Object(keys)).map_err(|error| error.to_string())?;
        faults.check()?;
        Ok(faults)
    }

    fn check(&self) -> Result<(), String> {
        for (key, share) in [
            ("errorRate", self.error_rate),
            ("loseAnswerRate", self.lose_answer_rate),
        ] {
            if share.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
                return Err(format!("`{key}` must be from 0 to 1"));
            }
        }
        for (key, millis) in [("latencyMs", self.latency_ms), ("jitterMs", self.jitter_ms)] {
            if millis.is_some_and(|millis| millis > MAX_LATENCY_MS) {
                return Err(format!("`{key}` must be at most {MAX_LATENCY_MS}"));
            }
        }
        let rate_is_odd = |rate| !(MIN_RATE..=MAX_RATE).contains(&rate);
        if self.rate_limit_per_second.is_some_and(rate_is_odd) {
            return Err(format!(
                "`rateLimitPerSecond` must be from {MIN_RATE} to {MAX_RATE}; \
                 use `status` 429 to let nothing through"
            ));
        }
        if self.rate_burst == Some(0) {
            return Err("`rateBurst` must be at least 1".to_owned());
        }
        match self.status {
            // These have no body, so they cannot carry Slack's error.
            Some(204 | 205 | 304) => Err("`status` may not be 204, 205 or 304".to_owned()),
            Some(status) if !(200..=599).contains(&status) => {
                Err("`status` must be from 200 to 599".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// All faults in force.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    base: FaultSet,
    /// As given, for showing.
    channels: BTreeMap<String, FaultSet>,
    /// With the base's keys filled in, for use.
    effective: BTreeMap<String, FaultSet>,
}

impl Faults {
    /// Reads the body of `PUT /_mock/faults`. The error says what is wrong with
    /// it, and where.
    pub(crate) fn read(body: &[u8]) -> Result<Self, String> {
        let mut keys: Map<String, Value> = serde_json::from_slice(body)
            .map_err(|error| format!("The faults are not a JSON object: {error}"))?;
        let channels = match keys.remove("channels") {
            None => Map::new(),
            Some(Value::Object(channels)) => channels,
            Some(_) => return Err("`channels` must be an object of channel ids".to_owned()),
        };
        let base = FaultSet::read(keys)?;
        let channels = channels
            .into_iter()
            .map(|(channel, keys)| match keys {
                Value::Object(keys) => FaultSet::read(keys)
                    .map_err(|error| format!("channel `{channel}`: {error}"))
                    .map(|faults| (channel, faults)),
                _ => Err(format!("channel `{channel}`: must be an object of faults")),
            })
            .collect::<Result<BTreeMap<_, _>, _>>()?;
        let effective = channels
            .iter()
            .map(|(channel, faults)| (channel.clone(), faults.clone().over(&base)))
            .collect();
        Ok(Self {
            base,
            channels,
            effective,
        })
    }

    /// The faults of a channel, or of a request that names none.
    pub(crate) fn of(&self, channel: Option<&str>) -> &FaultSet {
        channel
            .and_then(|channel| self.effective.get(channel))
            .unwrap_or(&self.base)
    }

    /// The faults as `GET /_mock/faults` shows them: as they were put.
    pub(crate) fn shown(&self) -> impl Serialize {
        #[derive(Serialize)]
        struct Shown<'a> {
            #[serde(flatten)]
            base: &'a FaultSet,
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            channels: &'a BTreeMap<String, FaultSet>,
        }
        Shown {
            base: &self.base,
            channels: &self.channels,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(json: &str) -> Faults {
        Faults::read(json.as_bytes()).unwrap()
    }

    fn refusal(json: &str) -> Refusal {
        faults(json).of(None).injected(0.0).unwrap()
    }

    #[test]
    fn an_error_rate_applies_to_its_share_of_messages() {
        let faults = faults(r#"{"errorRate":0.3}"#);
        assert!(faults.of(None).injected(0.299).is_some());
        assert_eq!(faults.of(None).injected(0.3), None);
    }

    #[test]
    fn an_error_rate_alone_is_a_500() {
        let refusal = refusal(r#"{"errorRate":1}"#);
        assert_eq!(
            (refusal.status.as_u16(), &*refusal.error),
            (500, "internal_error")
        );
    }

    #[test]
    fn an_error_rate_with_a_status_answers_that_status() {
        assert_eq!(refusal(r#"{"errorRate":1,"status":503}"#).status, 503);
    }

    #[test]
    fn an_error_without_a_rate_refuses_every_message_in_a_200() {
        let faults = faults(r#"{"error":"is_archived"}"#);
        let refusal = faults.of(None).injected(0.999_999).unwrap();
        assert_eq!(
            (refusal.status.as_u16(), &*refusal.error),
            (200, "is_archived")
        );
    }

    #[test]
    fn an_error_with_a_status_answers_both() {
        let refusal = refusal(r#"{"error":"fatal_error","status":502}"#);
        assert_eq!(
            (refusal.status.as_u16(), &*refusal.error),
            (502, "fatal_error")
        );
    }

    #[test]
    fn a_status_without_a_rate_answers_every_message() {
        let faults = faults(r#"{"status":503}"#);
        assert_eq!(faults.of(None).injected(0.999_999).unwrap().status, 503);
    }

    #[test]
    fn retry_after_goes_with_429_and_5xx_only() {
        assert_eq!(
            refusal(r#"{"status":429,"retryAfter":60}"#).retry_after,
            Some(60)
        );
        assert_eq!(
            refusal(r#"{"status":503,"retryAfter":60}"#).retry_after,
            Some(60)
        );
        assert_eq!(
            refusal(r#"{"status":400,"retryAfter":60}"#).retry_after,
            None
        );
    }

    #[test]
    fn the_wait_of_a_rate_limit_is_rounded_up_to_seconds() {
        let limited = |millis| {
            let faults = faults("{}");
            let refusal = faults.of(None).rate_limited(Duration::from_millis(millis));
            refusal.retry_after
        };
        assert_eq!(limited(1), Some(1));
        assert_eq!(limited(1000), Some(1));
        assert_eq!(limited(1001), Some(2));
    }

    #[test]
    fn retry_after_replaces_the_wait_of_a_rate_limit() {
        let faults = faults(r#"{"retryAfter":7}"#);
        let refusal = faults.of(None).rate_limited(Duration::from_secs(1));
        assert_eq!(refusal.retry_after, Some(7));
    }

    #[test]
    fn the_burst_is_a_seconds_worth_and_at_least_one() {
        let burst = |json| faults(json).of(None).rate_limit().unwrap().burst;
        assert_eq!(burst(r#"{"rateLimitPerSecond":0.5}"#), 1);
        assert_eq!(burst(r#"{"rateLimitPerSecond":20}"#), 20);
        assert_eq!(burst(r#"{"rateLimitPerSecond":20,"rateBurst":2}"#), 2);
    }

    #[test]
    fn jitter_moves_the_latency_both_ways_and_never_below_zero() {
        let late = faults(r#"{"latencyMs":100,"jitterMs":40}"#);
        assert_eq!(late.of(None).delay(0.0), Duration::from_millis(60));
        assert_eq!(late.of(None).delay(0.5), Duration::from_millis(100));
        assert_eq!(late.of(None).delay(1.0), Duration::from_millis(140));
        let jittery = faults(r#"{"latencyMs":10,"jitterMs":40}"#);
        assert_eq!(jittery.of(None).delay(0.0), Duration::ZERO);
    }

    #[test]
    fn an_answer_is_lost_for_its_share_of_messages() {
        let faults = faults(r#"{"loseAnswerRate":0.5}"#);
        assert!(faults.of(None).loses_answer(0.499));
        assert!(!faults.of(None).loses_answer(0.5));
    }

    #[test]
    fn a_channel_overrides_the_base_key_by_key() {
        let faults = faults(
            r#"{"latencyMs":5,"status":503,"channels":{"C1":{"status":429},"C2":{"errorRate":0}}}"#,
        );
        assert_eq!(faults.of(Some("C1")).injected(0.0).unwrap().status, 429);
        assert_eq!(faults.of(Some("C1")).delay(0.0), Duration::from_millis(5));
        assert_eq!(faults.of(Some("C2")).injected(0.0), None);
        assert_eq!(faults.of(Some("C3")).injected(0.0).unwrap().status, 503);
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        for (json, key) in [
            (r#"{"errorRate":1.1}"#, "errorRate"),
            (r#"{"loseAnswerRate":-1}"#, "loseAnswerRate"),
            (r#"{"latencyMs":600001}"#, "latencyMs"),
            (r#"{"latencyMs":-1}"#, "integer `-1`"),
            (r#"{"jitterMs":600001}"#, "jitterMs"),
            (r#"{"rateLimitPerSecond":0}"#, "rateLimitPerSecond"),
            (r#"{"rateBurst":0}"#, "rateBurst"),
            (r#"{"status":199}"#, "status"),
            (r#"{"status":600}"#, "status"),
            (r#"{"status":204}"#, "status"),
            (r#"{"latency":1}"#, "latency"),
            (r#"{"channels":[]}"#, "channels"),
            (
                r#"{"channels":{"C1":{"lag":1}}}"#,
                "channel `C1`: unknown field `lag`",
            ),
            (r#"{"channels":{"C1":1}}"#, "channel `C1`"),
            ("[]", "JSON object"),
            ("", "JSON object"),
        ] {
            let message = Faults::read(json.as_bytes()).unwrap_err();
            assert!(message.contains(key), "{json}: {message}");
        }
    }
}
