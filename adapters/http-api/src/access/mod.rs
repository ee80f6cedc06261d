//! Who may call what.
//!
//! | file | what it does |
//! |---|---|
//! | `rules.rs` | what each operation needs: the one table that all else goes by |
//! | `guard.rs` | admits a request or refuses it, before anything of its body is read |
//! | `host.rs` | keeps web pages and proxies away from an API that asks for no token |
//! | `attempts.rs` | slows those who fail |
//! | `describe.rs` | writes the table into the OpenAPI document |

mod attempts;
mod describe;
mod guard;
mod host;
mod rules;

pub(crate) use describe::describe;
pub(crate) use guard::{By, Guard, caller};
pub use rules::{Needs, RULES, Rule};

/// How an API is open that has no tokens, and what needs none.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// Who may call it while there is no token.
    pub open_to: OpenTo,
    /// Whether `/metrics` needs no token: it names no user, no group and no text.
    pub open_metrics: bool,
}

/// Who may call an API while there is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenTo {
    /// Programs on this machine, which has to listen on a loopback address; web pages that
    /// are open in a browser there, and proxies, are none of them.
    ThisMachine,
    /// Whoever reaches it.
    Everybody,
    /// Nobody: what needs a token is refused.
    Nobody,
}
