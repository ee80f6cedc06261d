//! Alerts and sealers for tests.

use std::sync::Arc;

use common::{
    AcceptedAlert, Alert, AlertId, ChannelKind, Credential, CredentialId, Delivery, Destination,
    Gtid, Recipient, Secret, Severity, UserId, UtcMillis,
};
use uuid::Uuid;

use crate::sealer::Sealer;
use crate::settings::Format;
use sealing::Keyring;

/// A sealer with one key, or none in the plain format.
pub(crate) fn sealer(format: Format) -> Sealer {
    let keys = match format {
        Format::Sealed => "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
        Format::Plain => "",
    };
    Sealer::new(format, Keyring::from_environment(keys).unwrap()).unwrap()
}

/// An alert with that many deliveries, each to another channel.
pub(crate) fn alert(severity: Severity, message: &str, deliveries: u32) -> AcceptedAlert {
    let accepted_at = UtcMillis(1_795_392_000_123);
    let alert = Alert {
        id: AlertId::at(accepted_at),
        caller: None,
        gtid: Gtid::parse("request-1").unwrap(),
        severity,
        message: message.into(),
        verbatim: false,
        targets: ["@@ops".into()].into(),
        accepted_at,
    };
    AcceptedAlert {
        alert: Arc::new(alert),
        deliveries: (0..deliveries).map(delivery).collect(),
    }
}

fn delivery(n: u32) -> Delivery {
    let user = UserId(Uuid::from_u128(u128::from(n)));
    Delivery {
        destination: Arc::new(Destination::new(
            ChannelKind::SLACK,
            "",
            &format!("channel-{n}"),
        )),
        credential: Arc::new(Credential {
            id: CredentialId(i64::from(n) + 1),
            secret: Secret::new(format!("xoxb-\"{n}\"")),
        }),
        recipients: [Recipient { user, target: 0 }].into_iter().collect(),
    }
}
