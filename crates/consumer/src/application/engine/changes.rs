//! Breakers that change: told once, for metrics, the log and whoever is to be warned.

use common::{CredentialId, DestinationId, status::BreakerOf, status::BreakerState};

use super::{Action, BreakerChange, Engine, hosts::HostId};

impl Engine {
    /// The oldest change that was not told.
    pub(super) fn next_report(&mut self) -> Option<Action> {
        self.changes.pop_front().map(Action::Report)
    }

    /// The state of a host's breaker.
    pub(super) fn host_state(&self, id: HostId) -> BreakerState {
        let host = self.schedule.hosts.get(id);
        host.map_or(BreakerState::Closed, |host| host.state())
    }

    /// Takes note of it where the breaker of a host is no longer what it was.
    pub(super) fn note_host(
        &mut self,
        id: HostId,
        from: BreakerState,
        because_of: Option<DestinationId>,
    ) {
        let to = self.host_state(id);
        if from == to {
            return;
        }
        if to == BreakerState::Closed {
            self.troubled.remove(&id);
        } else {
            self.troubled.insert(id);
        }
        if let Some(host) = self.schedule.hosts.get(id) {
            let error = host.breaker().map(|breaker| breaker.error());
            self.changes.push_back(BreakerChange {
                of: BreakerOf::Host(host.name().into()),
                from,
                to,
                error: error.unwrap_or_default().into(),
                because_of,
            });
        }
    }

    /// Takes note of it where the breaker of a credential is no longer what it was.
    pub(super) fn note_credential(
        &mut self,
        id: CredentialId,
        from: BreakerState,
        because_of: Option<DestinationId>,
    ) {
        let to = self.credentials.state(id);
        if from != to {
            self.changes.push_back(BreakerChange {
                of: BreakerOf::Credential(id),
                from,
                to,
                error: self.credentials.error(id).unwrap_or_default().into(),
                because_of,
            });
        }
    }
}
