//! What is answered of API tokens, and for want of one.

use axum::http::StatusCode;
use producer::domain::{Scope, TokenRefusal};
use serde_json::Value;
use utoipa::IntoResponses;

use super::{
    Responses,
    faults::{conflict, example, fault, faults, malformed_id, missing, no_group, none_of},
};
use crate::{
    access::Needs,
    errors::{TOKEN_RESTRICTED, scope_missing, token_code},
};

/// What an API token's id in the path can be refused for.
pub(crate) struct ApiTokenIdFaults;

impl IntoResponses for ApiTokenIdFaults {
    fn responses() -> Responses {
        faults([
            malformed_id(),
            missing([none_of("TOKEN_NOT_FOUND", "API token")]),
        ])
    }
}

/// A group that a token's body names does not exist.
pub(crate) struct GroupMissing;

impl IntoResponses for GroupMissing {
    fn responses() -> Responses {
        faults([missing([no_group()])])
    }
}

/// 409 of an API token.
pub(crate) struct ApiTokenConflict;

impl IntoResponses for ApiTokenConflict {
    fn responses() -> Responses {
        conflict("TOKEN_NAME_TAKEN", "API token name already exists.")
    }
}

/// 401: what is answered for the token that came, or that did not.
pub(crate) fn token_answers() -> Responses {
    let refused = |refusal: TokenRefusal| {
        let sentence = refusal.to_string();
        example(token_code(refusal), &sentence, Value::Null)
    };
    faults([fault(
        StatusCode::UNAUTHORIZED,
        "No API token, or one that is not taken",
        [
            refused(TokenRefusal::Missing),
            refused(TokenRefusal::Malformed),
            refused(TokenRefusal::Unknown),
            refused(TokenRefusal::Expired),
            refused(TokenRefusal::Revoked),
        ],
    )])
}

/// 403 of an operation with these needs.
pub(crate) fn forbidden_answers(needs: Needs) -> Responses {
    let (description, examples) = match needs {
        Needs::Nothing | Needs::MetricsOpen => return Responses::default(),
        Needs::Scope(scope) | Needs::Unrestricted(scope) => {
            let sentence = scope_missing(scope);
            let missing = example("SCOPE_MISSING", &sentence, Value::Null);
            (
                format!("The API token does not have the scope `{scope}`, or may not do this"),
                missing,
            )
        }
    };
    let restricted = match needs {
        Needs::Unrestricted(_) => example("TOKEN_RESTRICTED", TOKEN_RESTRICTED, Value::Null),
        Needs::Scope(Scope::AlertsWrite) => example(
            "TARGET_NOT_ALLOWED",
            "This API token may only target @@group_name1, and not @all.",
            Value::Null,
        ),
        _ => return faults([fault(StatusCode::FORBIDDEN, &description, [examples])]),
    };
    faults([fault(
        StatusCode::FORBIDDEN,
        &description,
        [examples, restricted],
    )])
}
