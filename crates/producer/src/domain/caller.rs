//! Who asks for something, and from where.

use std::{fmt, net::IpAddr, sync::Arc};

use common::GroupId;

use super::api_token::ApiToken;

/// Who asks, and from where.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who.
    pub who: Who,
    /// From which address; `None` for what is done on the machine itself.
    pub address: Option<IpAddr>,
}

/// Who asks.
#[derive(Clone, Debug)]
pub enum Who {
    /// Whoever may read the data itself: a command on the data folder or the database, or
    /// this process.
    Local,
    /// Anybody, through an API that asks for no token.
    Anybody,
    /// The holder of this token.
    Token(Arc<ApiToken>),
}

impl Caller {
    /// A command on the data itself, or this process.
    pub const LOCAL: Self = Self {
        who: Who::Local,
        address: None,
    };

    /// The groups that the caller's alerts may be for; `None` where they may be for
    /// anybody.
    pub fn groups(&self) -> Option<&Arc<[GroupId]>> {
        match &self.who {
            Who::Token(token) => token.record.grant.groups(),
            Who::Local | Who::Anybody => None,
        }
    }

    /// The id of the token that was used.
    pub fn token(&self) -> Option<common::ApiTokenId> {
        match &self.who {
            Who::Token(token) => Some(token.record.id),
            Who::Local | Who::Anybody => None,
        }
    }
}

/// A token's id, `local` or `anybody`: as the audit log keeps it.
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Anybody => f.write_str("anybody"),
            Self::Token(token) => token.record.id.fmt(f),
        }
    }
}
