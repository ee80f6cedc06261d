//! How many requests a client may send: a token bucket for each.
//!
//! Whoever is over it gets 429 with `Retry-After`. Every answer to a client that is
//! counted says how it stands, in the fields `RateLimit-Policy` and `RateLimit` of
//! <https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/>: the policy's
//! quota `q` is the bucket's size and its window `w` the seconds in which an empty one
//! fills; `r` is what is left now, and `t` the seconds until the bucket is full.

mod buckets;

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::Request,
    http::{Extensions, HeaderName, HeaderValue},
    response::{IntoResponse, Response},
};

use crate::{access, client, errors::ApiError};
use buckets::{Buckets, Standing};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The clients of which a limit keeps account at a time, at most: beyond that the ones
/// that have been away longest are taken for new. About 5 MiB.
const MOST_CLIENTS: usize = 1 << 16;

/// So many requests at once, then so many a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Requests a second in the long run; above zero, at most a million.
    pub per_second: f64,
    /// Requests at once, at least 1.
    pub burst: u32,
}

/// Who is counted, in whatever a limit counts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Client(u128);

/// One limit and how each client stands to it. Clones share the account.
#[derive(Clone)]
pub(crate) struct RateLimit {
    name: &'static str,
    rate: Rate,
    client: fn(&Extensions) -> Option<Client>,
    start: Instant,
    buckets: Arc<Buckets>,
}

impl RateLimit {
    /// A limit by `client`, which finds in a request's extensions who sent it; whoever it
    /// does not find is not limited. `name` is what the answers call it.
    pub(crate) fn new(
        name: &'static str,
        rate: Rate,
        client: fn(&Extensions) -> Option<Client>,
    ) -> Self {
        Self {
            name,
            rate,
            client,
            start: Instant::now(),
            buckets: Arc::new(Buckets::new(rate, MOST_CLIENTS)),
        }
    }

    /// The limit by the address that a request comes from.
    pub(crate) fn by_address(rate: Rate) -> Self {
        Self::new("address", rate, |extensions| {
            by_network(client::address_of(extensions)?)
        })
    }

    /// The limit by the API token that a request was admitted with, from wherever it comes.
    pub(crate) fn by_token(rate: Rate) -> Self {
        Self::new("token", rate, |extensions| {
            let token = access::caller(extensions).token()?;
            Some(Client(token.0.as_u128()))
        })
    }

    /// Counts a request, and answers it where it is one too many.
    pub(crate) async fn limit<F: Future<Output = Response>>(
        &self,
        request: Request,
        run: impl FnOnce(Request) -> F,
    ) -> Response {
        let client = (self.client)(request.extensions());
        // Whether a process lives, and is ready, whoever runs it must always be told.
        let Some(client) = client.filter(|_| !request.uri().path().starts_with("/health/")) else {
            return run(request).await;
        };
        let (mut response, standing) = match self.buckets.take(client, self.start.elapsed()) {
            Ok(standing) => (run(request).await, standing),
            Err(standing) => {
                let refusal = ApiError::TooManyRequests {
                    seconds: seconds(standing.next_in),
                };
                (refusal.into_response(), standing)
            }
        };
        self.say(standing, &mut response);
        response
    }

    fn say(&self, standing: Standing, response: &mut Response) {
        let Self { name, rate, .. } = self;
        let window = (f64::from(rate.burst) / rate.per_second).ceil().max(1.0);
        let policy = format!("\"{name}\";q={};w={window}", rate.burst);
        let left = standing.left;
        let limit = format!("\"{name}\";r={left};t={}", seconds(standing.full_in));
        for (field, value) in [(POLICY, policy), (LIMIT, limit)] {
            if let Ok(value) = HeaderValue::try_from(value) {
                // Another limit may have said something as well.
                response.headers_mut().append(field, value);
            }
        }
    }
}

/// This machine's own requests are not limited. An IPv6 network of 64 bits is one client,
/// since whoever has one address in it has them all.
fn by_network(address: IpAddr) -> Option<Client> {
    if address.is_loopback() {
        return None;
    }
    Some(Client(match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().into(),
        IpAddr::V6(address) => u128::from(address) >> 64 << 64,
    }))
}

/// Rounded up.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: &str) -> Option<Client> {
        by_network(address.parse().unwrap())
    }

    #[test]
    fn this_machine_is_not_counted() {
        for address in ["127.0.0.1", "127.8.9.1", "::1"] {
            assert_eq!(client(address), None);
        }
    }

    #[test]
    fn each_ipv4_address_is_one_caller_and_each_ipv6_network_of_64_bits() {
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:0:1"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
    }
}
