//! The scaled-out form as processes: producers and consumers of the real binary over a real
//! Kafka and a real PostgreSQL, a mockup, and what the topics hold.

mod chaos;
mod load;
mod member;
mod site;
mod topics;

pub use chaos::{Chaos, Kind, Plan, Report};
pub use load::{Clients, Sent};
pub use member::Member;
pub use site::{KEYS, Site, SiteOptions};
pub use topics::{Recorded, TopicReader};
