//! `serve`: everything in one process, for real.

use super::{embedded::Service, run, shutdown::Shutdown};
use crate::cli::failure::Failure;
use crate::config::settings::ServeSettings;

/// Serves until a signal ends it.
pub(crate) fn serve(settings: ServeSettings) -> Result<(), Failure> {
    let settings = settings.embedded;
    run(&settings.log.clone(), |logging| {
        let dropped = logging.dropped.clone();
        async move {
            let shutdown = Shutdown::on_signals()?;
            let listen = settings.listen;
            let service = Service::open(settings, dropped).await?;
            tracing::info!(address = %listen, "listening");
            service.run(shutdown).await
        }
    })
}
