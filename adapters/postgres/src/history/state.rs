//! The stored numbers of states and results. Durable; never renumber.

use producer::ports::{AttemptResult, DeliveryState};

use crate::error::Failure;

/// Where a delivery stands, as `delivery.state` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It waits for its turn or for another attempt, or some parts of it are there.
    OnItsWay = 1,
    /// Its lane fetches it when there is room.
    Parked = 2,
    Delivered = 3,
    Dead = 4,
    Cancelled = 5,
    /// A digest carries it that has not ended.
    Digested = 6,
    /// Dead, and no longer among the dead letters.
    Discarded = 7,
}

impl State {
    pub(super) const fn code(self) -> i16 {
        self as i16
    }

    pub(super) fn of_code(code: i16) -> Result<Self, Failure> {
        Ok(match code {
            1 => State::OnItsWay,
            2 => State::Parked,
            3 => State::Delivered,
            4 => State::Dead,
            5 => State::Cancelled,
            6 => State::Digested,
            7 => State::Discarded,
            _ => return Err(Failure::Failed(format!("{code} is no state of a delivery"))),
        })
    }

    pub(super) const fn has_ended(self) -> bool {
        matches!(
            self,
            State::Delivered | State::Dead | State::Cancelled | State::Discarded
        )
    }
}

/// What a delivery's row says of where it stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    /// `None` where there is no row: it was never tried.
    pub(super) state: Option<State>,
    pub(super) waits: bool,
    /// Some parts of the text are there and others not.
    pub(super) has_parts: bool,
}

impl Standing {
    /// What is shown; a digest's members have the state of being in one, unless it is
    /// dead.
    pub(super) fn shown(self, is_in_digest: bool) -> DeliveryState {
        match self.state {
            Some(State::OnItsWay | State::Delivered) if is_in_digest => DeliveryState::Digested,
            _ => self.alone(),
        }
    }

    /// What is shown as if no digest carried it: that of the digest itself, for its lead.
    pub(super) fn alone(self) -> DeliveryState {
        match self.state {
            Some(State::OnItsWay) if self.waits => DeliveryState::Waiting,
            Some(State::OnItsWay) if self.has_parts => DeliveryState::Sending,
            None | Some(State::OnItsWay | State::Parked) => DeliveryState::Queued,
            Some(State::Delivered) => DeliveryState::Delivered,
            Some(State::Dead | State::Discarded) => DeliveryState::Dead,
            Some(State::Cancelled) => DeliveryState::Cancelled,
            Some(State::Digested) => DeliveryState::Digested,
        }
    }
}

/// The number of a result, of its word on the wire.
pub(super) fn result_code(word: &str) -> i16 {
    match word {
        "accepted" => 1,
        "refused" => 2,
        // What a later version calls otherwise may well have arrived.
        _ => 3,
    }
}

pub(super) fn result_of_code(code: i16) -> AttemptResult {
    match code {
        1 => AttemptResult::Accepted,
        2 => AttemptResult::Refused,
        _ => AttemptResult::MaybeAccepted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_a_number_that_leads_back_to_it() {
        for code in 1..=7 {
            assert_eq!(State::of_code(code).unwrap().code(), code);
        }
        assert!(State::of_code(0).is_err() && State::of_code(8).is_err());
    }

    #[test]
    fn every_result_is_told_by_its_own_word() {
        for result in [
            AttemptResult::Accepted,
            AttemptResult::Refused,
            AttemptResult::MaybeAccepted,
        ] {
            assert_eq!(result_of_code(result_code(result.as_str())), result);
        }
    }
}
