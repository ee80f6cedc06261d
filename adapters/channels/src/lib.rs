//! The channels: one folder for each kind of external service, the HTTP client that
//! they share, and the guard of the addresses that users choose.
//!
//! To add a channel, write its folder and add its line to [`all`].

#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod guard;
pub mod http;
pub mod slack;
mod text;
pub mod webhook;

use std::sync::Arc;

use consumer::ports::Channel;

use crate::{
    guard::Guard,
    http::{HttpClient, HttpSettings},
    slack::{SlackChannel, SlackSettings},
    webhook::{WebhookChannel, WebhookSettings},
};

/// What the channels are set up with.
#[derive(Clone, Debug, Default)]
pub struct ChannelSettings {
    /// The connections that all of them share.
    pub http: HttpSettings,
    /// What may be connected to where users choose the host.
    pub guard: Guard,
    /// Slack's own.
    pub slack: SlackSettings,
    /// Webhooks' own.
    pub webhook: WebhookSettings,
}

/// Why the channels cannot be set up. Both are faults of the configuration or of
/// the build, found at the start.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The TLS library cannot work as it was built.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The configured Slack URL cannot be called.
    #[error("the Slack URL cannot be used: {0}")]
    SlackUrl(#[from] slack::UnusableUrl),
}

/// Every channel there is: one line each.
///
/// # Errors
/// A [`SetupError`] where the settings cannot work.
pub fn all(settings: ChannelSettings) -> Result<Vec<Arc<dyn Channel>>, SetupError> {
    let http = Arc::new(HttpClient::new(settings.http, settings.guard)?);
    Ok(vec![
        Arc::new(SlackChannel::new(settings.slack, Arc::clone(&http))?),
        Arc::new(WebhookChannel::new(settings.webhook, http)),
    ])
}

#[cfg(test)]
mod tests {
    use common::ChannelKind;

    use super::*;

    #[test]
    fn every_channel_is_registered_under_a_kind_of_its_own() {
        let channels = all(ChannelSettings::default()).unwrap();
        let kinds: Vec<ChannelKind> = channels.iter().map(|channel| channel.kind()).collect();
        assert_eq!(kinds, [ChannelKind::SLACK, ChannelKind::WEBHOOK]);
    }

    #[test]
    fn a_slack_url_that_cannot_be_called_is_named_at_the_start() {
        let mut settings = ChannelSettings::default();
        settings.slack.base_url = "slack.com".to_owned();
        let error = all(settings).err().unwrap().to_string();
        assert!(
            error.starts_with("the Slack URL cannot be used: "),
            "{error}"
        );
    }
}
