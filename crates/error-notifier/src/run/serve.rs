//! `serve`: everything in one process, for real.

use super::{embedded::Service, run, scaled, shutdown::Shutdown};
use crate::cli::failure::Failure;
use crate::config::settings::ServeSettings;

/// Serves until a signal ends it.
pub(crate) fn serve(settings: ServeSettings) -> Result<(), Failure> {
    run(&settings.embedded.log.clone(), |logging| {
        let dropped = logging.dropped.clone();
        async move {
            if settings.database.database_url.is_some() {
                return scaled::serve(settings, dropped).await;
            }
            let settings = settings.embedded;
            let shutdown = Shutdown::on_signals()?;
            let listen = settings.listen;
            let service = Service::open(settings, dropped).await?;
            tracing::info!(address = %listen, "listening");
            service.run(shutdown).await
        }
    })
}
