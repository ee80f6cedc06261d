//! Idempotency keys beside the queue: [`IdempotencyKeys`].

mod behaviours;
mod rig;

use std::sync::Arc;

use async_trait::async_trait;
use producer::ports::IdempotencyKeys;

use super::ManualClock;

pub use self::behaviours::*;

/// A store of keys that can be opened and restarted.
#[async_trait]
pub trait KeysUnderTest: Send + Sync + Sized {
    /// A new, empty one.
    async fn open(clock: Arc<ManualClock>) -> Self;

    /// The same after its process has ended and begun again.
    async fn restart(self) -> Self;

    /// The port of this run.
    fn port(&self) -> Arc<dyn IdempotencyKeys>;

    /// Ends every lease, as time does.
    async fn end_leases(&self);
}

/// Makes a test of each behaviour that the port of keys promises.
#[macro_export]
macro_rules! keys_contract {
    ($adapter:ty) => {
        $crate::each_behaviour! { $adapter, keys:
            a_key_that_nobody_has_is_claimed
            a_complete_key_gives_its_answer_to_every_twin
            another_request_under_the_key_is_a_conflict_at_any_time
            the_same_key_of_another_scope_is_another_key
            of_many_twins_at_once_one_publishes_and_the_others_get_its_answer
            of_many_rivals_at_once_one_publishes
            a_released_key_goes_on_at_once_under_the_first_id
            of_many_who_find_a_dead_publisher_one_goes_on_under_the_first_id
            a_publisher_that_was_given_up_may_still_complete_the_key
            a_twin_of_a_publisher_that_hangs_is_told_to_come_again
            a_key_is_remembered_for_a_day_and_no_longer
            an_end_that_is_noted_again_changes_nothing
            keys_and_answers_may_be_any_text
        }
    };
}
