//! Delivery, put together: the channels and the engine's settings.

use std::sync::Arc;

use channels::guard::Guard;
use channels::slack::SlackSettings;
use channels::{ChannelSettings, webhook};
use consumer::application::EngineSettings;
use consumer::ports::{self, Channel};

use crate::cli::failure::Failure;
use crate::config::settings::{DeliverySettings, DigestSettings, WebhookSettings};
use crate::config::values::{BaseUrl, Pace};

/// All channels.
pub(super) fn channels(
    slack_url: &BaseUrl,
    delivery: &DeliverySettings,
    webhooks: &WebhookSettings,
) -> Result<Vec<Arc<dyn Channel>>, Failure> {
    let settings = ChannelSettings {
        slack: SlackSettings {
            base_url: slack_url.as_str().to_owned(),
            pace: pace(delivery.slack_pace, delivery.slack_burst),
            escape: delivery.slack_escape,
            ..SlackSettings::default()
        },
        webhook: webhook::WebhookSettings {
            pace: pace(webhooks.webhook_pace, webhooks.webhook_burst),
            ..webhook::WebhookSettings::default()
        },
        guard: Guard::new(webhooks.webhook_allow.clone().into_vec()),
        ..ChannelSettings::default()
    };
    channels::all(settings).map_err(|error| Failure::BadInput(error.to_string()))
}

/// What the engine is told.
pub(super) fn engine(delivery: &DeliverySettings, digests: &DigestSettings) -> EngineSettings {
    let max_in_flight = delivery.max_in_flight as usize;
    EngineSettings {
        max_in_flight,
        max_in_flight_per_host: share_of_a_host(max_in_flight),
        digest_after: Some(digests.digest_after),
        without_digests: digests.digests.others(),
        timezone: digests.timezone.0.clone(),
        ..EngineSettings::default()
    }
}

/// Three quarters of them, so that a host that is slow leaves some to the others.
fn share_of_a_host(max_in_flight: usize) -> usize {
    (max_in_flight / 4 * 3).max(1)
}

fn pace(pace: Pace, burst: u32) -> ports::Pace {
    let per_second = match pace {
        Pace::PerSecond(rate) => Some(rate),
        Pace::Unlimited => None,
    };
    ports::Pace { per_second, burst }
}
