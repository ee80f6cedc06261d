//! Slack's error codes, and what follows from each.

use consumer::domain::Fault;

/// What one of Slack's error codes means for a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCode {
    /// The code, as `error` in Slack's answer.
    pub code: &'static str,
    /// Whose fault it is.
    pub fault: Fault,
    /// True where somebody has to act before the same message can succeed.
    pub lasting: bool,
}

/// The meaning of `code`, where it is a known one.
pub(super) fn find(code: &str) -> Option<&'static ErrorCode> {
    ERROR_CODES.iter().find(|known| known.code == code)
}

const fn lasting(code: &'static str, fault: Fault) -> ErrorCode {
    ErrorCode {
        code,
        fault,
        lasting: true,
    }
}

const fn passing(code: &'static str, fault: Fault) -> ErrorCode {
    ErrorCode {
        code,
        fault,
        lasting: false,
    }
}

/// Every error code that `chat.postMessage` documents and that a request of a
/// channel and a text can meet; codes about drafts, threads, files and metadata
/// are left out. The source of all of them is the table of errors on
/// <https://docs.slack.dev/reference/methods/chat.postMessage#errors>; what each
/// group is put down to is said above it.
pub const ERROR_CODES: &[ErrorCode] = &[
    // The place does not take messages from us until somebody changes it there:
    // the id is wrong, the channel is archived or closed to the app, or the app is
    // no member.
    lasting("channel_not_found", Fault::Destination),
    lasting("not_in_channel", Fault::Destination),
    lasting("is_archived", Fault::Destination),
    lasting("messages_tab_disabled", Fault::Destination),
    lasting("restricted_action", Fault::Destination),
    lasting("restricted_action_read_only_channel", Fault::Destination),
    lasting("restricted_action_thread_only_channel", Fault::Destination),
    lasting(
        "restricted_action_non_threadable_channel",
        Fault::Destination,
    ),
    lasting("restricted_action_thread_locked", Fault::Destination),
    // Administrators have suspended posting.
    lasting("ekm_access_denied", Fault::Destination),
    // Too many messages; `Retry-After` says how long. Slack writes it both ways
    // (https://docs.slack.dev/apis/web-api/rate-limits); the third is the limit of
    // the whole workspace.
    passing("rate_limited", Fault::Destination),
    passing("ratelimited", Fault::Destination),
    passing("message_limit_exceeded", Fault::Destination),
    // The text, or the way it was written down.
    lasting("msg_too_long", Fault::Payload),
    lasting("no_text", Fault::Payload),
    lasting("msg_blocks_too_long", Fault::Payload),
    lasting("too_many_attachments", Fault::Payload),
    lasting("attachment_payload_limit_exceeded", Fault::Payload),
    lasting("invalid_blocks", Fault::Payload),
    lasting("invalid_blocks_format", Fault::Payload),
    lasting("markdown_text_conflict", Fault::Payload),
    lasting("as_user_not_supported", Fault::Payload),
    lasting("invalid_arguments", Fault::Payload),
    lasting("invalid_arg_name", Fault::Payload),
    lasting("invalid_array_arg", Fault::Payload),
    lasting("invalid_charset", Fault::Payload),
    lasting("invalid_form_data", Fault::Payload),
    lasting("invalid_post_type", Fault::Payload),
    lasting("missing_post_type", Fault::Payload),
    lasting("invalid_json", Fault::Payload),
    lasting("json_not_object", Fault::Payload),
    // A link in the text that the other organisation does not let in.
    lasting("slack_connect_canvas_sharing_blocked", Fault::Payload),
    lasting("slack_connect_file_link_sharing_blocked", Fault::Payload),
    lasting("slack_connect_lists_sharing_blocked", Fault::Payload),
    // The token is none, is spent, or may not do this.
    lasting("not_authed", Fault::Credential),
    lasting("invalid_auth", Fault::Credential),
    lasting("account_inactive", Fault::Credential),
    lasting("token_revoked", Fault::Credential),
    lasting("token_expired", Fault::Credential),
    lasting("not_allowed_token_type", Fault::Credential),
    lasting("no_permission", Fault::Credential),
    lasting("missing_scope", Fault::Credential),
    lasting("access_denied", Fault::Credential),
    lasting("app_access_restricted", Fault::Credential),
    lasting("send_on_behalf_not_allowed", Fault::Credential),
    lasting("team_access_not_granted", Fault::Credential),
    lasting("team_not_found", Fault::Credential),
    lasting("enterprise_is_restricted", Fault::Credential),
    lasting("two_factor_setup_required", Fault::Credential),
    // The token's workspace is being moved into an organisation, and is away until
    // that is done.
    passing("org_login_required", Fault::Credential),
    passing("team_added_to_org", Fault::Credential),
    // Slack itself is out of order. Of the first two it says that a part of the
    // operation may have succeeded; no answer is surer, so the message goes again.
    passing("internal_error", Fault::Host),
    passing("fatal_error", Fault::Host),
    passing("service_unavailable", Fault::Host),
    // The body did not arrive whole.
    passing("request_timeout", Fault::Host),
    // The method cannot be called from this network: heals where the network does.
    passing("accesslimited", Fault::Host),
    // Everybody is concerned, nobody's message is at fault, and a new version of
    // this program can still deliver what waits.
    passing("method_deprecated", Fault::Host),
    passing("deprecated_endpoint", Fault::Host),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_code_stands_in_the_table_twice() {
        let distinct: HashSet<&str> = ERROR_CODES.iter().map(|known| known.code).collect();
        assert_eq!(distinct.len(), ERROR_CODES.len());
    }

    #[test]
    fn a_code_is_found_by_its_exact_name() {
        assert_eq!(find("is_archived").unwrap().fault, Fault::Destination);
        assert_eq!(find("is_archive"), None);
        assert_eq!(find(""), None);
    }
}
