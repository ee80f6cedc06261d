//! Taking an alert.

use std::{collections::HashSet, sync::Arc};

use common::{AcceptedAlert, Alert, AlertId, Clock, Gtid, Mishap, Mishaps, Severity};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    domain::{
        Caller, Directory, ForbiddenTarget, Invalid, Resolution, check_targets, resolve,
        text::normalise,
    },
    metrics::AlertMetrics,
    ports::{AcceptError, Acceptance, AlertQueue, DirectoryStore, IdempotencyKey},
};

/// The longest message, in characters.
pub const MAX_MESSAGE: usize = 40_000;
/// The most targets one alert may name.
pub const MAX_TARGETS: usize = 10_000;

/// An alert request that is well formed.
#[derive(Clone, Debug)]
pub struct AlertRequest {
    targets: Box<[Box<str>]>,
    severity: Severity,
    message: Box<str>,
}

impl AlertRequest {
    /// Reads a request. The severity's own message is the contract's.
    pub fn parse(targets: &[String], severity: &str, message: &str) -> Result<Self, Invalid> {
        let refuse = |field, problem: String| Err(Invalid { field, problem });
        if targets.is_empty() {
            return refuse("target", "must name at least one target.".into());
        }
        if targets.len() > MAX_TARGETS {
            return refuse(
                "target",
                format!("must name at most {MAX_TARGETS} targets."),
            );
        }
        if let Some(place) = targets.iter().position(|target| !is_well_formed(target)) {
            let problem = "must not hold control characters, nor begin or end with white space";
            return refuse("target", format!("{problem} (number {}).", place + 1));
        }
        if severity.is_empty() {
            return refuse("severity", "must be given.".into());
        }
        let severity = match severity.parse::<Severity>() {
            Ok(severity) => severity,
            Err(unknown) => return refuse("severity", unknown.to_string()),
        };
        if message.trim().is_empty() {
            return refuse("message", "must not be empty.".into());
        }
        if message.chars().count() > MAX_MESSAGE {
            return refuse(
                "message",
                format!("must have at most {MAX_MESSAGE} characters."),
            );
        }
        Ok(Self {
            targets: targets
                .iter()
                .map(|target| normalise(target).into())
                .collect(),
            severity,
            message: message.into(),
        })
    }

    /// Tells this request from every other, for [`IdempotencyKey::fingerprint`].
    fn fingerprint(&self) -> [u8; 16] {
        let mut text = self.severity.as_str().to_owned();
        for part in self.targets.iter().chain([&self.message]) {
            // Lengths in between, so that no two lists run into the same text.
            text.push_str(&format!("\0{}\0{part}", part.len()));
        }
        Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()).into_bytes()
    }
}

/// No name has these, so a target that has them is a mistake of its caller, who
/// would rather hear of it than reach nobody.
fn is_well_formed(target: &str) -> bool {
    target.trim().len() == target.len() && !target.chars().any(char::is_control)
}

/// The answer to an accepted alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertReceipt {
    /// Users whom it concerns, each counted once.
    pub user_count: usize,
    /// The alert's id.
    pub alert_id: Uuid,
    /// The targets that matched nobody, as they were named.
    pub unknown_targets: Vec<String>,
    /// Whether an earlier request with the same idempotency key did the work.
    #[serde(skip)]
    pub replayed: bool,
}

/// Who would be told, and by which target.
#[derive(Clone, Debug)]
pub struct Preview {
    /// One for each user.
    pub recipients: Vec<PreviewedUser>,
    /// The targets that matched nobody.
    pub unknown_targets: Vec<String>,
}

/// A user who would be told.
#[derive(Clone, Debug)]
pub struct PreviewedUser {
    /// Who.
    pub user: Arc<crate::domain::User>,
    /// The first target that matched.
    pub target: String,
}

/// The use case: one alert in, everyone it concerns told.
pub struct Alerts {
    directory: Arc<dyn DirectoryStore>,
    queue: Arc<dyn AlertQueue>,
    clock: Arc<dyn Clock>,
    metrics: AlertMetrics,
    mishaps: Arc<dyn Mishaps>,
}

impl Alerts {
    /// The use case over these ports; `mishaps` hears of alerts that reach nobody.
    pub fn new(
        directory: Arc<dyn DirectoryStore>,
        queue: Arc<dyn AlertQueue>,
        clock: Arc<dyn Clock>,
        metrics: AlertMetrics,
        mishaps: Arc<dyn Mishaps>,
    ) -> Self {
        Self {
            directory,
            queue,
            clock,
            metrics,
            mishaps,
        }
    }

    /// Whether alerts can be accepted now; else why not.
    pub fn health(&self) -> Result<(), String> {
        self.queue.health()
    }

    /// Accepts an alert: on `Ok` it is durable.
    ///
    /// With `key` a repeated request of the same caller is answered as the first one was
    /// and tells nobody again. A key is the caller's own: another token's same key names
    /// another request.
    ///
    /// # Errors
    /// [`NotAccepted`]; the caller's token may forbid a target.
    pub async fn accept(
        &self,
        request: AlertRequest,
        gtid: Gtid,
        caller: &Caller,
        key: Option<String>,
    ) -> Result<AlertReceipt, NotAccepted> {
        let accepted_at = self.clock.now().utc;
        let id = AlertId::at(accepted_at);
        // The groups are looked at as they are when their members are.
        let directory = self.directory.snapshot();
        check(&directory, &request, caller)?;
        let Resolution {
            deliveries,
            user_count,
            unknown,
        } = resolve(&directory, &request.targets);
        let receipt = AlertReceipt {
            user_count,
            alert_id: id.0,
            unknown_targets: names(&request.targets, &unknown),
            replayed: false,
        };
        let token = caller.token();
        let key = key.map(|key| IdempotencyKey {
            scope: token.map(|id| id.to_string()).unwrap_or_default(),
            key,
            fingerprint: request.fingerprint(),
            answer: serde_json::to_string(&receipt).unwrap_or_default(),
        });
        let severity = request.severity;
        let alert = Arc::new(Alert {
            id,
            caller: token,
            gtid,
            severity,
            message: request.message,
            verbatim: false,
            targets: request.targets,
            accepted_at,
        });
        let in_vain = (user_count == 0).then(|| Mishap::ReachedNobody {
            alert: id,
            target: alert.targets.first().cloned().unwrap_or_default(),
        });
        match self
            .queue
            .accept(AcceptedAlert { alert, deliveries }, key)
            .await
        {
            Ok(Acceptance::Accepted) => {
                self.metrics.on_accepted(severity, user_count);
                if let Some(in_vain) = in_vain {
                    self.mishaps.happened(in_vain);
                }
                Ok(receipt)
            }
            Ok(Acceptance::Replayed { answer }) => {
                self.metrics.on_replayed();
                replayed(&answer).map_err(|reason| RefusedAlert { id, reason }.into())
            }
            Err(reason) => {
                self.metrics.on_not_accepted();
                Err(RefusedAlert { id, reason }.into())
            }
        }
    }

    /// Who would be told, without telling anybody.
    ///
    /// # Errors
    /// A target that the caller's token forbids.
    pub fn preview(
        &self,
        request: &AlertRequest,
        caller: &Caller,
    ) -> Result<Preview, ForbiddenTarget> {
        let directory = self.directory.snapshot();
        check(&directory, request, caller)?;
        let found = resolve(&directory, &request.targets);
        let mut recipients: Vec<PreviewedUser> = Vec::with_capacity(found.user_count);
        let mut seen = HashSet::with_capacity(found.user_count);
        for recipient in found
            .deliveries
            .iter()
            .flat_map(|delivery| &delivery.recipients)
        {
            // A user with several destinations is a recipient of several deliveries.
            if !seen.insert(recipient.user) {
                continue;
            }
            let Some(user) = directory.user(recipient.user) else {
                continue;
            };
            let target = request.targets.get(recipient.target as usize);
            recipients.push(PreviewedUser {
                user: user.clone(),
                target: target.map(|text| text.to_string()).unwrap_or_default(),
            });
        }
        Ok(Preview {
            recipients,
            unknown_targets: names(&request.targets, &found.unknown),
        })
    }
}

/// Whether the caller may name those targets.
fn check(
    directory: &Directory,
    request: &AlertRequest,
    caller: &Caller,
) -> Result<(), ForbiddenTarget> {
    match caller.groups() {
        Some(groups) => check_targets(directory, &request.targets, groups),
        None => Ok(()),
    }
}

/// Why an alert was not accepted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotAccepted {
    /// The caller's token forbids a target; nothing was stored.
    #[error(transparent)]
    Forbidden(#[from] ForbiddenTarget),
    /// The queue did not take it for certain.
    #[error(transparent)]
    Refused(#[from] RefusedAlert),
}

/// An alert that was not accepted for certain.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct RefusedAlert {
    /// The id it has, or would have had.
    pub id: AlertId,
    /// Why.
    pub reason: AcceptError,
}

fn names(targets: &[Box<str>], places: &[usize]) -> Vec<String> {
    places
        .iter()
        .filter_map(|place| targets.get(*place))
        .map(|text| text.to_string())
        .collect()
}

fn replayed(answer: &str) -> Result<AlertReceipt, AcceptError> {
    let receipt: AlertReceipt = serde_json::from_str(answer).map_err(|error| {
        AcceptError::Failed(format!("the stored answer cannot be read: {error}"))
    })?;
    Ok(AlertReceipt {
        replayed: true,
        ..receipt
    })
}

#[cfg(test)]
mod tests;
