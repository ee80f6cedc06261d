//! The queue, both ends of it: [`AlertQueue`] and [`DeliveryQueue`].

mod accepting;
mod folding;
mod keys;
mod parking;
mod receiving;
mod rig;
mod settling;
mod size;

use std::sync::Arc;

use async_trait::async_trait;
use consumer::ports::DeliveryQueue;
use producer::ports::{AlertQueue, DirectoryStore};

use super::ManualClock;

pub use self::{accepting::*, folding::*, keys::*, parking::*, receiving::*, settling::*, size::*};

/// A queue that can be opened and restarted.
#[async_trait]
pub trait QueueUnderTest: Send + Sync + Sized {
    /// A new, empty one.
    async fn open(clock: Arc<ManualClock>) -> Self;

    /// The same after its process has ended and begun again, with what was settled
    /// and accepted and nothing else.
    async fn restart(self) -> Self;

    /// The ports of this run.
    fn ports(&self) -> QueuePorts;

    /// Whether what is received tells an alert's targets. Nothing that is sent does, so a
    /// queue may leave them to the history.
    const HANDS_OVER_TARGETS: bool = true;
}

/// A queue's ports.
#[derive(Clone)]
pub struct QueuePorts {
    pub alerts: Arc<dyn AlertQueue>,
    pub deliveries: Arc<dyn DeliveryQueue>,
    /// The directory whose users the deliveries are for.
    pub directory: Arc<dyn DirectoryStore>,
}

/// Makes a test of each behaviour that the queue's ports promise, but for those of
/// [idempotency keys](crate::keyed_queue_contract).
#[macro_export]
macro_rules! queue_contract {
    ($adapter:ty) => {
        $crate::each_behaviour! { $adapter, queue:
            an_accepted_alert_is_received_with_all_it_was_accepted_with
            an_accepted_alert_is_found_after_a_restart_with_all_it_was_accepted_with
            an_alert_that_reaches_nobody_is_accepted_and_never_received
            many_alerts_accepted_at_once_are_each_received_once
            a_queue_in_order_says_that_it_can_accept

            within_a_severity_deliveries_come_in_the_order_of_acceptance
            the_most_urgent_at_hand_comes_first
            the_most_urgent_comes_first_after_a_restart_too
            no_more_come_than_there_is_room_for
            a_receive_that_waits_is_woken_by_an_alert
            a_receive_that_is_dropped_has_taken_nothing
            a_receive_that_is_dropped_while_it_reads_the_backlog_has_taken_nothing
            two_receivers_at_once_never_get_the_same_delivery
            with_nothing_from_before_the_consumer_has_caught_up_at_once
            caught_up_is_said_once_and_after_everything_from_before
            caught_up_waits_for_what_waits_as_well
            what_was_received_and_not_settled_comes_again_after_a_restart
            a_warning_comes_with_the_place_that_it_goes_to_before_and_after_a_restart

            what_has_ended_never_comes_again
            a_repeated_settlement_of_what_has_ended_changes_nothing
            what_waits_is_not_received_again_in_this_process
            what_waits_comes_first_after_a_restart
            a_wait_survives_a_restart_as_it_was
            a_later_wait_replaces_an_earlier_one
            parts_that_were_sent_survive_a_restart
            a_repeated_settlement_of_a_wait_counts_its_attempt_once
            settlements_of_one_call_may_be_of_any_kind_and_alert
            settling_nothing_is_fine

            what_is_parked_is_not_received
            what_is_parked_is_not_received_after_a_restart_either
            parked_deliveries_are_counted_by_lane_and_severity
            a_lane_is_unparked_in_the_order_of_acceptance
            unparking_goes_on_after_a_position_and_up_to_the_room
            unparking_again_answers_the_same
            what_has_progressed_before_it_is_parked_comes_back_with_its_progress
            an_unparked_delivery_that_is_settled_is_parked_no_longer
            what_waits_after_it_was_parked_comes_first_after_a_restart
            an_empty_lane_has_nothing_to_unpark
            the_places_of_parked_deliveries_are_known_by_their_ids

            a_digest_comes_again_after_a_restart_word_for_word_and_its_members_do_not
            a_folded_delivery_is_not_received_again_in_this_process
            when_a_digest_ends_all_that_it_carries_has_ended
            a_digest_waits_as_any_delivery_and_its_members_with_it
            what_a_digest_carried_is_parked_when_it_is_taken_apart
            what_is_parked_can_be_folded_and_is_parked_no_longer
            a_repeated_fold_changes_nothing

            without_a_key_a_repeated_request_is_another_alert

            an_alert_with_100_000_deliveries_passes_in_chunks
            what_does_not_fit_into_memory_passes_in_order
        }
    };
}

/// Makes a test of each behaviour that accepting with an idempotency key promises, for a
/// queue that knows keys itself or has a store of them beside it.
#[macro_export]
macro_rules! keyed_queue_contract {
    ($adapter:ty) => {
        $crate::each_behaviour! { $adapter, queue:
            a_repeated_request_is_answered_as_the_first_and_told_once
            another_request_under_the_same_key_is_a_conflict_and_tells_nobody
            the_same_key_of_another_caller_is_another_key
            of_many_twins_at_once_one_is_accepted
            of_many_rivals_at_once_one_is_accepted
            a_key_survives_a_restart
            a_request_that_reached_nobody_is_replayed_too
        }
    };
}
