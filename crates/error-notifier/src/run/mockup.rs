//! `mockup`: the stand-in for Slack alone.

use mockup::{Mockup, Settings};

use super::{bind, run, shutdown::Shutdown};
use crate::cli::failure::Failure;
use crate::config::settings::MockupSettings;

/// Serves the mockup until a signal ends it.
pub(crate) fn mockup(settings: MockupSettings) -> Result<(), Failure> {
    run(&settings.log, |_| async {
        let listener = bind(settings.listen, "--listen").await?;
        let shutdown = Shutdown::on_signals()?;
        let mockup = Mockup::new(Settings {
            keep_messages: settings.keep,
            keep_bytes: usize::try_from(settings.keep_bytes).unwrap_or(usize::MAX),
        });
        tracing::info!(address = %settings.listen, "the mockup is listening");
        mockup.serve(listener, shutdown.begun()).await;
        Ok(())
    })
}
