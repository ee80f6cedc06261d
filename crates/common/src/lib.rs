//! What the modules share: the alert and its deliveries, where they go and with
//! which credential, severity, ids, secrets and time; how the side that delivers
//! stands, and what goes wrong in telling. No I/O.

pub mod alert;
pub mod clock;
pub mod destination;
pub mod gtid;
pub mod ids;
pub mod mishap;
pub mod packed;
pub mod secret;
pub mod severity;
pub mod status;
pub mod wire;

pub use alert::{AcceptedAlert, Alert, Delivery, Recipient, Recipients, count_users};
pub use clock::{Clock, Now, SystemClock, UtcMillis};
pub use destination::{ChannelKind, Credential, Destination};
pub use gtid::Gtid;
pub use ids::{
    AlertId, ApiTokenId, CredentialId, DeliveryId, DestinationId, GroupId, UserDestinationId,
    UserId,
};
pub use mishap::{Mishap, Mishaps};
pub use secret::Secret;
pub use severity::Severity;
