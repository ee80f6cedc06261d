//! What is told of a panic.

use std::any::Any;
use std::panic::{self, Location};

/// What stands for a text that was put together while running: it may hold anything that
/// the process has in hand, a token too.
const WITHHELD: &str = "a text made while running, which is not shown";

/// From now on a panic is a line of the log, with its place in the source.
pub(super) fn tell_where() {
    panic::set_hook(Box::new(|panic| {
        tracing::error!(
            at = %place(panic.location()),
            "a panic: {}",
            shown(panic.payload())
        );
    }));
}

/// The text, where it stands so in the source.
fn shown(payload: &(dyn Any + Send)) -> &'static str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .unwrap_or(WITHHELD)
}

fn place(location: Option<&Location<'_>>) -> String {
    location.map_or_else(|| "an unknown place".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_the_source_is_shown() {
        let payload = panic::catch_unwind(|| panic!("it cannot be")).unwrap_err();
        assert_eq!(shown(&*payload), "it cannot be");
    }

    #[test]
    fn a_text_made_while_running_is_not() {
        let token = "xoxb-canary";
        let payload = panic::catch_unwind(|| panic!("what is {token}?")).unwrap_err();
        assert_eq!(shown(&*payload), WITHHELD);
        // As an `unwrap` of it would.
        let payload = panic::catch_unwind(|| token.parse::<u32>().unwrap()).unwrap_err();
        assert_eq!(shown(&*payload), WITHHELD);
    }

    #[test]
    fn the_place_is_told() {
        let told = place(Some(Location::caller()));
        assert!(told.contains("panics.rs"), "{told}");
    }
}
