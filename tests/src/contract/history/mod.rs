//! The history and what a person can do about alerts: [`History`] and [`Control`].

mod cancelling;
mod dead_letters;
mod digests;
mod feed;
mod listing;
mod records;
mod replaying;
mod rig;

use std::sync::Arc;

use async_trait::async_trait;
use producer::ports::{Control, History};

use super::{ManualClock, queue::QueuePorts};

pub use self::{
    cancelling::*, dead_letters::*, digests::*, feed::*, listing::*, records::*, replaying::*,
};

/// A store that can be opened and restarted.
#[async_trait]
pub trait HistoryUnderTest: Send + Sync + Sized {
    /// A new, empty one.
    async fn open(clock: Arc<ManualClock>) -> Self;

    /// The same after its process has ended and begun again.
    async fn restart(self) -> Self;

    /// The ports of this run.
    fn ports(&self) -> HistoryPorts;

    /// Waits until all that was accepted, settled and asked for is on record: where
    /// that is so at once, for nothing.
    async fn caught_up(&self) {}

    /// Whether a request is told of while it is under way. Where the consumers are
    /// other processes nobody knows of it, and what is told is what was before.
    const TELLS_OF_REQUESTS: bool = true;
}

/// A store's ports.
#[derive(Clone)]
pub struct HistoryPorts {
    pub queue: QueuePorts,
    pub history: Arc<dyn History>,
    pub control: Arc<dyn Control>,
}

/// Makes a test of each behaviour that the history's and the control's ports promise.
#[macro_export]
macro_rules! history_contract {
    ($adapter:ty) => {
        $crate::each_behaviour! { $adapter, history:
            alerts_are_listed_the_last_accepted_first
            pages_follow_each_other_without_gap_or_overlap
            an_exact_last_page_says_that_it_is_the_last
            alerts_are_found_by_severity_time_user_target_and_text
            filters_hold_all_together
            alerts_are_found_by_the_state_of_a_delivery
            a_time_filter_holds_although_the_clock_was_set_back
            a_page_of_rare_alerts_ends_early_and_is_gone_on_with
            an_alert_to_nobody_is_listed

            an_alert_is_found_by_its_id_with_all_it_was_accepted_with
            an_unknown_id_is_not_found
            a_delivery_is_found_by_its_id
            each_state_is_told
            every_attempt_is_told_with_how_it_ended
            the_deliveries_of_an_alert_come_in_pages
            a_request_under_way_is_told_until_its_end

            dead_letters_are_listed_the_last_accepted_first_in_pages
            dead_letters_are_found_by_channel_reason_and_time
            a_discarded_dead_letter_is_gone_from_the_list_and_stays_in_the_record

            what_is_cancelled_is_never_received
            what_is_cancelled_is_never_received_after_a_restart_either
            what_was_received_and_is_cancelled_is_told_of
            what_has_ended_is_not_cancelled
            cancelling_again_cancels_nothing_and_an_unknown_alert_is_unknown
            what_waits_or_is_parked_is_cancelled
            a_request_under_way_is_delivered_where_the_service_takes_it
            a_request_under_way_stays_cancelled_where_the_service_does_not_take_it
            an_alert_to_many_is_cancelled_whole

            a_replayed_dead_letter_comes_again_with_its_attempts
            a_replayed_delivery_comes_again_after_a_restart
            a_delivered_one_is_replayed_whole_and_marked_as_repeated
            a_cancelled_one_can_be_replayed
            what_is_on_its_way_is_not_replayed
            an_unknown_delivery_is_not_replayed
            dead_letters_are_replayed_by_their_filters
            a_dry_run_counts_and_replays_nothing
            a_replay_goes_on_where_it_stopped
            all_that_went_to_a_place_within_a_time_is_replayed
            a_replay_is_possible_after_the_token_has_changed_or_the_user_is_gone

            a_digested_delivery_tells_of_its_digest_and_of_its_attempts
            a_digest_under_way_is_told_as_sending
            a_dead_digest_leaves_its_members_dead_and_each_is_replayed_alone
            a_digested_delivery_is_replayed_alone_and_the_others_keep_their_record
            what_a_digest_carries_is_neither_cancelled_nor_replayed
            a_fold_is_not_made_of_what_was_cancelled_meanwhile_and_the_rest_is_parked
            folding_and_the_digests_end_are_told_of_each_that_it_carries

            what_happens_is_told_in_order
            what_happens_later_wakes_who_waits
            events_go_on_after_any_of_them_after_a_restart_too
            an_event_from_elsewhere_is_a_gap
            alerts_and_outcomes_are_told_in_one_order_wherever_reading_begins
        }
    };
}
