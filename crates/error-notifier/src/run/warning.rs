//! Who is told that telling failed: the operators, where `--ops-target` names them.

use std::sync::Arc;

use common::mishap::Unheard;
use common::{Clock, Mishap, Mishaps};
use producer::application::Warnings;
use producer::domain::resolve;
use producer::metrics::WarningMetrics;
use producer::ports::{AlertQueue, DirectoryStore};
use prometheus_client::registry::Registry;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::config::settings::WarningSettings;

/// The ports that warnings work with.
pub(super) struct Ports {
    pub(super) directory: Arc<dyn DirectoryStore>,
    pub(super) queue: Arc<dyn AlertQueue>,
    pub(super) clock: Arc<dyn Clock>,
}

/// What warns the operators, where the settings name any.
pub(super) fn warnings(
    settings: &WarningSettings,
    ports: Ports,
    registry: &mut Registry,
) -> Option<Warnings> {
    let target = settings.ops_target.clone()?;
    let metrics = WarningMetrics::default();
    metrics.register(registry);
    let targets = [target.as_str().into()];
    if resolve(&ports.directory.snapshot(), &targets).user_count == 0 {
        tracing::warn!(
            target = target.as_str(),
            "nobody has the name that --ops-target gives, so nobody would be warned"
        );
    }
    Some(Warnings::new(
        target,
        ports.directory,
        ports.queue,
        ports.clock,
        metrics,
    ))
}

/// The task that warns, if anybody is to be warned.
pub(super) struct Warning {
    warnings: Option<Arc<Warnings>>,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Warning {
    /// Begins to warn through `warnings`; of the disk too, where there is a reserve, once
    /// that is in use.
    pub(super) fn begin(
        warnings: Option<Warnings>,
        reserve_in_use: Option<watch::Receiver<bool>>,
    ) -> Self {
        let warnings = warnings.map(Arc::new);
        let running = warnings.clone().map(|warnings| {
            if let Some(in_use) = reserve_in_use {
                tokio::spawn(watch_reserve(warnings.clone(), in_use));
            }
            let (end, ended) = oneshot::channel();
            let ended = async {
                // An error means that nobody can end it any more: it has ended.
                let _ = ended.await;
            };
            let running = tokio::spawn(async move { warnings.run(ended).await });
            (end, running)
        });
        Self { warnings, running }
    }

    /// Where mishaps are told.
    pub(super) fn mishaps(&self) -> Arc<dyn Mishaps> {
        match &self.warnings {
            Some(warnings) => warnings.clone(),
            None => Arc::new(Unheard),
        }
    }

    /// Ends it: what nobody was told yet is accepted as a last warning.
    pub(super) async fn end(self) {
        if let Some((end, running)) = self.running {
            // Whether it runs or has ended by a panic: there is nothing to be done.
            let _ = end.send(());
            let _ = running.await;
        }
    }
}

/// Tells each time that the reserve begins to be in use, until the store is gone.
async fn watch_reserve(mishaps: Arc<Warnings>, mut in_use: watch::Receiver<bool>) {
    while in_use.wait_for(|in_use| *in_use).await.is_ok() {
        mishaps.happened(Mishap::ReserveInUse);
        if in_use.wait_for(|in_use| !in_use).await.is_err() {
            return;
        }
    }
}
