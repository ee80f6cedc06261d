//! The OpenAPI document: what stands over all routes, and the answers that many
//! of them share. Each route's own part stands at its handler.

mod access;
mod faults;
mod finish;

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};
use utoipa::{
    IntoResponses, OpenApi,
    openapi::{ContentBuilder, OpenApi as Document, RefOr, Response, ResponseBuilder},
};

use self::faults::{
    Example, conflict, destination_taken, directory_unwritable, example, fault, faults,
    first_destination, invalid_field, malformed_id, maybe_done, missing, no_group, no_user,
    none_of, store_unwritable, too_large, too_slow, unreadable, wrong_type,
};
use crate::{
    envelope::{ErrorEnvelope, Problem},
    errors::{AUDIT_AWAY, HISTORY_AWAY, INTERNAL},
};

pub(crate) use self::{
    access::{ApiTokenConflict, ApiTokenIdFaults, GroupMissing, forbidden_answers, token_answers},
    finish::{mended, with_limits},
};

/// The document before the routes have added theirs.
pub(crate) fn base() -> Document {
    ApiDescription::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "error-notifier",
        description = "Manages who is told about incidents, and tells them in real time.\n\n\
            Every JSON answer stands in one envelope: `httpCode`, `httpMessage`, \
            `moreInformation`, `data`, and in errors `errorCode` and `errors`. \
            Unknown paths are 404 and other methods 405, in the same envelope. \
            Every request may carry `X-Global-Transaction-Id`; every answer does.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "alerts", description = "Telling people"),
        (name = "history", description = "What became of alerts, and what to do about it"),
        (name = "noti-groups", description = "Notification groups and who is in them"),
        (name = "users", description = "Who can be told, and where"),
        (name = "directory", description = "All users and groups at once"),
        (name = "tokens", description = "Who may call this API"),
        (name = "operation", description = "For those who run it"),
    ),
    components(schemas(ErrorEnvelope, Problem)),
)]
struct ApiDescription;

type Responses = BTreeMap<String, RefOr<Response>>;

/// A 200 with nothing to say but that.
pub(crate) struct PlainOk;

impl IntoResponses for PlainOk {
    fn responses() -> Responses {
        let example = json!({"httpCode": 200, "httpMessage": "OK"});
        let content = ContentBuilder::new().example(Some(example)).build();
        let response = ResponseBuilder::new()
            .description("Yes")
            .content("application/json", content)
            .build();
        [("200".to_owned(), response.into())].into()
    }
}

/// 500.
pub(crate) struct ServerFault;

impl IntoResponses for ServerFault {
    fn responses() -> Responses {
        faults([fault(
            StatusCode::INTERNAL_SERVER_ERROR,
            "A failure of the server's own",
            [example("INTERNAL_ERROR", INTERNAL, Value::Null)],
        )])
    }
}

/// 503 of a process that should not be sent requests.
pub(crate) struct NotReadyAnswers;

impl IntoResponses for NotReadyAnswers {
    fn responses() -> Responses {
        faults([fault(
            StatusCode::SERVICE_UNAVAILABLE,
            "No: it is shutting down, or alerts cannot be stored",
            [example("NOT_READY", "draining", Value::Null)],
        )])
    }
}

/// What a JSON body can be refused for.
pub(crate) struct BodyFaults;

impl IntoResponses for BodyFaults {
    fn responses() -> Responses {
        faults([
            fault(
                StatusCode::BAD_REQUEST,
                "Not JSON, a malformed id, or a field with a value that is not allowed",
                [unreadable("body"), invalid_field()],
            ),
            too_slow(),
            too_large(1 << 20),
            wrong_type("application/json"),
        ])
    }
}

/// What an alert can be refused for before it reaches the queue.
pub(crate) struct AlertBodyFaults;

impl IntoResponses for AlertBodyFaults {
    fn responses() -> Responses {
        let sentence = "Severity should be one of the following values: high, normal, low.";
        let problems = json!([{"field": "severity", "message": sentence}]);
        let mut responses = BodyFaults::responses();
        responses.extend(faults([fault(
            StatusCode::BAD_REQUEST,
            "Not JSON, or a field with a value that is not allowed",
            [
                unreadable("body"),
                example("INVALID_FIELD", sentence, problems),
            ],
        )]));
        responses
    }
}

/// What an import can be refused for.
pub(crate) struct ImportFaults;

impl IntoResponses for ImportFaults {
    fn responses() -> Responses {
        let lines = json!([{"line": 2, "message": "Noti group name already exists."}]);
        faults([
            fault(
                StatusCode::BAD_REQUEST,
                "Lines that cannot be imported; nothing was",
                [example(
                    "INVALID_LINES",
                    "1 line cannot be imported; nothing was.",
                    lines,
                )],
            ),
            too_slow(),
            too_large(64 << 20),
            wrong_type("application/x-ndjson"),
            fault(
                StatusCode::SERVICE_UNAVAILABLE,
                "Try again after `Retry-After` seconds",
                [
                    example(
                        "IMPORT_UNDER_WAY",
                        "Another import is under way; try again when it has ended.",
                        Value::Null,
                    ),
                    directory_unwritable(),
                    maybe_done(),
                ],
            ),
        ])
    }
}

/// What the parameters of a list can be refused for.
pub(crate) struct ParamFaults;

impl IntoResponses for ParamFaults {
    fn responses() -> Responses {
        let sentence = "limit must be a number from 1 to 1000.";
        let problems = json!([{"field": "limit", "message": sentence}]);
        faults([fault(
            StatusCode::BAD_REQUEST,
            "A parameter with a value that is not allowed",
            [example("INVALID_FIELD", sentence, problems)],
        )])
    }
}

/// What the filters of the history can be refused for.
pub(crate) struct FilterFaults;

impl IntoResponses for FilterFaults {
    fn responses() -> Responses {
        let sentence = "since must be a time such as 2026-11-23T08:00:00Z.";
        let problems = json!([{"field": "since", "message": sentence}]);
        faults([fault(
            StatusCode::BAD_REQUEST,
            "A parameter with a value that is not allowed",
            [example("INVALID_FIELD", sentence, problems)],
        )])
    }
}

/// 503 of a history whose database is away.
pub(crate) struct HistoryAway;

impl IntoResponses for HistoryAway {
    fn responses() -> Responses {
        away([example("HISTORY_UNAVAILABLE", HISTORY_AWAY, Value::Null)])
    }
}

/// 503 of an audit log whose database is away.
pub(crate) struct AuditAway;

impl IntoResponses for AuditAway {
    fn responses() -> Responses {
        away([example("AUDIT_UNAVAILABLE", AUDIT_AWAY, Value::Null)])
    }
}

fn away(examples: [Example; 1]) -> Responses {
    faults([fault(
        StatusCode::SERVICE_UNAVAILABLE,
        "The database is away; try again after `Retry-After` seconds",
        examples,
    )])
}

/// What an alert's id in the path can be refused for.
pub(crate) struct AlertIdFaults;

impl IntoResponses for AlertIdFaults {
    fn responses() -> Responses {
        faults([
            malformed_id(),
            missing([none_of("ALERT_NOT_FOUND", "alert")]),
        ])
    }
}

/// What a delivery's id in the path can be refused for.
pub(crate) struct DeliveryIdFaults;

impl IntoResponses for DeliveryIdFaults {
    fn responses() -> Responses {
        faults([
            malformed_id(),
            missing([none_of("DELIVERY_NOT_FOUND", "delivery")]),
        ])
    }
}

/// What a dead letter's id in the path can be refused for.
pub(crate) struct DeadLetterIdFaults;

impl IntoResponses for DeadLetterIdFaults {
    fn responses() -> Responses {
        let none = none_of("DEAD_LETTER_NOT_FOUND", "dead letter");
        faults([malformed_id(), missing([none])])
    }
}

/// 409 of a replay.
pub(crate) struct ReplayConflict;

impl IntoResponses for ReplayConflict {
    fn responses() -> Responses {
        faults([fault(
            StatusCode::CONFLICT,
            "It has not ended, or cannot be sent",
            [
                example(
                    "DELIVERY_ON_ITS_WAY",
                    "The delivery is still on its way; replay it when it has ended.",
                    Value::Null,
                ),
                example(
                    "CREDENTIAL_GONE",
                    "The delivery's users are deleted and so is the token: there is nothing to send it with.",
                    Value::Null,
                ),
            ],
        )])
    }
}

/// What a rotation of keys can meet with.
pub(crate) struct NoNewKey;

impl IntoResponses for NoNewKey {
    fn responses() -> Responses {
        faults([
            fault(
                StatusCode::CONFLICT,
                "Everything is sealed with the first key, and the process may not make another",
                [example(
                    "NO_NEW_KEY",
                    "There is no new key: put one first among the keys of every process, keep the old one after it, and rotate again.",
                    Value::Null,
                )],
            ),
            fault(
                StatusCode::SERVICE_UNAVAILABLE,
                "Not done, or not to its end; try again after `Retry-After` seconds",
                [
                    store_unwritable(),
                    example(
                        "KEYS_UNUSABLE",
                        "The file with the keys cannot be read or replaced; the log says why.",
                        Value::Null,
                    ),
                ],
            ),
        ])
    }
}

/// What a change can meet with in the store.
pub(crate) struct StoreFaults;

impl IntoResponses for StoreFaults {
    fn responses() -> Responses {
        faults([fault(
            StatusCode::SERVICE_UNAVAILABLE,
            "Not done, or (`MAYBE_DONE`) perhaps; try again after `Retry-After` seconds",
            [store_unwritable(), maybe_done()],
        )])
    }
}

/// What a replay can meet with in the store.
pub(crate) struct ReplayFaults;

impl IntoResponses for ReplayFaults {
    fn responses() -> Responses {
        faults([fault(
            StatusCode::SERVICE_UNAVAILABLE,
            "Not done, or (`MAYBE_DONE`) perhaps; try again after `Retry-After` seconds",
            [
                store_unwritable(),
                maybe_done(),
                example(
                    "TOO_MANY_REPLAYS",
                    "Too many replayed deliveries are on their way; try again when some have ended.",
                    Value::Null,
                ),
            ],
        )])
    }
}

/// What a stream of events can be refused for.
pub(crate) struct EventFaults;

impl IntoResponses for EventFaults {
    fn responses() -> Responses {
        let sentence = "Last-Event-ID must be the id of an event of this stream, such as 12-0.";
        let problems = json!([{"field": "Last-Event-ID", "message": sentence}]);
        faults([
            fault(
                StatusCode::BAD_REQUEST,
                "No event's id",
                [example("INVALID_FIELD", sentence, problems)],
            ),
            fault(
                StatusCode::SERVICE_UNAVAILABLE,
                "Try again after `Retry-After` seconds",
                [example(
                    "TOO_MANY_STREAMS",
                    "As many event streams as there may be are open; try again later.",
                    Value::Null,
                )],
            ),
        ])
    }
}

/// 503 of a process that delivers nothing.
pub(crate) struct NotDelivering;

impl IntoResponses for NotDelivering {
    fn responses() -> Responses {
        faults([fault(
            StatusCode::SERVICE_UNAVAILABLE,
            "Nobody here can say",
            [example(
                "NOT_DELIVERING",
                "Nothing is delivered in this process; ask one that delivers.",
                Value::Null,
            )],
        )])
    }
}

/// What a user's id in the path can be refused for.
pub(crate) struct UserIdFaults;

impl IntoResponses for UserIdFaults {
    fn responses() -> Responses {
        faults([malformed_id(), missing([no_user()])])
    }
}

/// What a group's id in the path can be refused for.
pub(crate) struct GroupIdFaults;

impl IntoResponses for GroupIdFaults {
    fn responses() -> Responses {
        faults([malformed_id(), missing([no_group()])])
    }
}

/// A user whom a group's body names does not exist.
pub(crate) struct MemberMissing;

impl IntoResponses for MemberMissing {
    fn responses() -> Responses {
        faults([missing([no_user()])])
    }
}

/// The user or group of a subscription does not exist.
pub(crate) struct SubscriptionMissing;

impl IntoResponses for SubscriptionMissing {
    fn responses() -> Responses {
        faults([missing([no_user(), no_group()])])
    }
}

/// What a change of the directory can meet with.
pub(crate) struct WriteFaults;

impl IntoResponses for WriteFaults {
    fn responses() -> Responses {
        faults([fault(
            StatusCode::SERVICE_UNAVAILABLE,
            "Not done, or (`MAYBE_DONE`) perhaps; try again after `Retry-After` seconds",
            [directory_unwritable(), maybe_done()],
        )])
    }
}

/// 409 of a user.
pub(crate) struct UserConflict;

impl IntoResponses for UserConflict {
    fn responses() -> Responses {
        faults([fault(
            StatusCode::CONFLICT,
            "Another one has it already",
            [
                example("USER_NAME_TAKEN", "User name already exists.", Value::Null),
                destination_taken(),
            ],
        )])
    }
}

/// What a user's and a destination's id in the path can be refused for.
pub(crate) struct DestinationIdFaults;

impl IntoResponses for DestinationIdFaults {
    fn responses() -> Responses {
        let none = none_of("DESTINATION_NOT_FOUND", "destination");
        faults([malformed_id(), missing([no_user(), none])])
    }
}

/// 409 of a destination that is written.
pub(crate) struct DestinationConflict;

impl IntoResponses for DestinationConflict {
    fn responses() -> Responses {
        faults([fault(
            StatusCode::CONFLICT,
            "The user cannot have it",
            [
                destination_taken(),
                first_destination(),
                example(
                    "TOO_MANY_DESTINATIONS",
                    "A user has at most 16 destinations.",
                    Value::Null,
                ),
            ],
        )])
    }
}

/// 409 of a destination that is deleted.
pub(crate) struct FirstConflict;

impl IntoResponses for FirstConflict {
    fn responses() -> Responses {
        faults([fault(
            StatusCode::CONFLICT,
            "It is the first, which stays",
            [first_destination()],
        )])
    }
}

/// 409 of a group.
pub(crate) struct GroupConflict;

impl IntoResponses for GroupConflict {
    fn responses() -> Responses {
        conflict("GROUP_NAME_TAKEN", "Noti group name already exists.")
    }
}

/// 409 of a subscription.
pub(crate) struct SubscriptionConflict;

impl IntoResponses for SubscriptionConflict {
    fn responses() -> Responses {
        conflict("ALREADY_SUBSCRIBED", "Subscription already exists.")
    }
}

/// 422 of an idempotency key.
pub(crate) struct KeyReuse;

impl IntoResponses for KeyReuse {
    fn responses() -> Responses {
        faults([fault(
            StatusCode::UNPROCESSABLE_ENTITY,
            "The key belongs to another request",
            [example(
                "IDEMPOTENCY_KEY_REUSED",
                "This Idempotency-Key was used for a different request.",
                Value::Null,
            )],
        )])
    }
}

/// 503 of an alert.
pub(crate) struct AlertFaults;

impl IntoResponses for AlertFaults {
    fn responses() -> Responses {
        faults([fault(
            StatusCode::SERVICE_UNAVAILABLE,
            "Not accepted, or (`MAYBE_ACCEPTED`) perhaps; try again after `Retry-After` seconds",
            [
                example(
                    "QUEUE_FULL",
                    "No more alerts can be stored now, and this one was not; send it again later.",
                    Value::Null,
                ),
                example(
                    "IDEMPOTENCY_KEY_UNKNOWN",
                    "Whether this Idempotency-Key was used before cannot be found out now, and the alert was not accepted; send it again later with the same key.",
                    Value::Null,
                ),
                example(
                    "MAYBE_ACCEPTED",
                    "The alert may have been accepted; send it again with the same Idempotency-Key.",
                    Value::Null,
                ),
            ],
        )])
    }
}
