//! The directory: [`DirectoryStore`], and the [`AuditLog`] that it writes.

mod api_tokens;
mod audit;
mod credentials;
mod destinations;
mod keeping;
mod rig;
mod rules;

use std::sync::Arc;

use async_trait::async_trait;
use producer::ports::{AuditLog, DirectoryStore};

use super::ManualClock;

pub use self::{api_tokens::*, audit::*, credentials::*, destinations::*, keeping::*, rules::*};

/// A directory that can be opened and restarted.
#[async_trait]
pub trait DirectoryUnderTest: Send + Sync + Sized {
    /// A new, empty one.
    async fn open(clock: Arc<ManualClock>) -> Self;

    /// The same after its process has ended and begun again.
    async fn restart(self) -> Self;

    /// The port of this run.
    fn port(&self) -> Arc<dyn DirectoryStore>;

    /// Where what it does is written down.
    fn audit(&self) -> Arc<dyn AuditLog>;
}

/// Makes a test of each behaviour that the directory's port promises.
#[macro_export]
macro_rules! directory_contract {
    ($adapter:ty) => {
        $crate::each_behaviour! { $adapter, directory:
            a_new_directory_is_empty
            every_rule_refuses_what_it_forbids
            what_is_refused_changes_nothing
            one_refusal_refuses_all_and_names_every_place
            each_command_is_judged_by_what_those_before_it_left
            a_name_that_is_given_up_can_be_taken_by_a_later_command
            each_command_says_what_it_did
            a_repeated_put_finds_everything_unchanged
            a_repeated_creation_finds_its_id_taken
            of_many_creations_of_one_name_at_once_one_is_made

            what_is_executed_is_in_the_answer_and_the_snapshot
            a_snapshot_taken_before_does_not_change
            a_restart_finds_the_same_directory
            a_dry_run_judges_and_changes_nothing
            a_dry_run_refuses_as_the_real_one_would
            no_commands_are_carried_out_too
            many_changes_at_once_are_all_kept
            memberships_go_with_the_user
            memberships_go_with_the_group
            a_group_given_other_users_has_exactly_those
            a_user_who_comes_back_is_in_no_group
            created_at_stays_and_updated_at_moves
            what_is_unchanged_keeps_its_times
            ten_thousand_users_are_imported_at_once

            a_changed_token_is_another_credential
            a_kept_token_is_the_same_credential
            a_changed_channel_is_another_destination_with_the_same_credential
            two_users_with_one_token_share_a_credential
            a_token_that_comes_back_while_another_has_it_is_that_credential
            a_credential_id_is_never_given_to_another_token
            a_dry_run_gives_no_user_a_credential

            destinations_are_kept_in_their_order
            a_destination_that_moves_or_changes_keeps_its_name_and_secret
            a_removed_destination_is_gone_and_the_others_close_up
            a_user_who_is_put_keeps_their_destinations_unless_others_are_given
            destinations_go_with_the_user
            a_destination_with_a_changed_secret_has_another_credential
            what_happens_to_a_destination_moves_its_users_time

            a_token_is_known_by_its_secret_until_it_is_revoked
            tokens_are_kept_as_they_were_made
            a_revoked_token_stays_and_its_name_is_free
            a_token_that_is_revoked_again_keeps_its_time
            a_restriction_outlives_its_groups
            the_rules_of_tokens_refuse_what_they_forbid
            a_dry_run_makes_no_token

            what_is_changed_is_on_record_with_who_and_from_where
            what_changes_nothing_is_not_on_record
            an_import_is_one_line
            what_else_is_appended_stands_among_the_changes
            the_log_is_read_from_its_end_in_pages
            the_log_is_read_by_time_and_by_whom
            the_log_outlives_the_process
        }
    };
}
