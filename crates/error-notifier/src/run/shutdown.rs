//! SIGTERM and SIGINT: the first ends the process in order, the second at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::cli::failure::Failure;

/// The exit code of a process that was ended at once: what a shell gives for SIGINT.
const ENDED_AT_ONCE: i32 = 130;

/// Tells whoever asks that the process is to end. Clones tell the same.
#[derive(Clone)]
pub(super) struct Shutdown {
    begun: watch::Receiver<bool>,
}

impl Shutdown {
    /// Listens for the signals from now on.
    pub(super) fn on_signals() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind)
                .map_err(|error| Failure::BadInput(format!("cannot await signals: {error}")))
        };
        let terminate = listen(SignalKind::terminate())?;
        let interrupt = listen(SignalKind::interrupt())?;
        let (begin, begun) = watch::channel(false);
        tokio::spawn(wait(terminate, interrupt, begin));
        Ok(Self { begun })
    }

    /// Completes once the first signal has come, for everyone who waits.
    pub(super) fn begun(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut begun = self.begun.clone();
        async move {
            // An error means that nobody can begin it any more: it has ended.
            let _ = begun.wait_for(|begun| *begun).await;
        }
    }
}

async fn wait(mut terminate: Signal, mut interrupt: Signal, begin: watch::Sender<bool>) {
    either(&mut terminate, &mut interrupt).await;
    tracing::info!("shutting down; a second signal ends at once");
    begin.send_replace(true);
    either(&mut terminate, &mut interrupt).await;
    // What was accepted is durable, and what was not recorded is found again.
    std::process::exit(ENDED_AT_ONCE);
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
