//! Error answers as the document shows them.

use axum::http::StatusCode;
use serde_json::{Value, json};
use utoipa::openapi::{
    ContentBuilder, Ref, RefOr, Response, ResponseBuilder, example::ExampleBuilder,
};

use super::Responses;
use crate::{
    envelope::reason,
    errors::{TOO_MANY_ATTEMPTS, UNREADABLE},
};

/// An error's code and the rest of its envelope.
pub(super) type Example = (&'static str, Value);

pub(super) fn faults<const N: usize>(faults: [(StatusCode, Response); N]) -> Responses {
    let named = |(status, response): (StatusCode, Response)| {
        (status.as_str().to_owned(), RefOr::T(response))
    };
    faults.into_iter().map(named).collect()
}

pub(super) fn fault<const N: usize>(
    status: StatusCode,
    description: &str,
    examples: [Example; N],
) -> (StatusCode, Response) {
    let examples = examples.into_iter().map(|(code, mut envelope)| {
        envelope["httpCode"] = status.as_u16().into();
        envelope["httpMessage"] = reason(status).into();
        let example = ExampleBuilder::new().value(Some(envelope)).build();
        (code, RefOr::T(example))
    });
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("ErrorEnvelope")))
        .examples_from_iter(examples)
        .build();
    let response = ResponseBuilder::new()
        .description(description)
        .content("application/json", content)
        .build();
    (status, response)
}

pub(super) fn example(code: &'static str, sentence: &str, errors: Value) -> Example {
    let mut envelope = json!({ "moreInformation": sentence, "errorCode": code });
    if !errors.is_null() {
        envelope["errors"] = errors;
    }
    (code, envelope)
}

pub(super) fn unreadable(field: &str) -> Example {
    let message = match field {
        "body" => "is not JSON (line 1, column 9).",
        _ => "must be a UUID such as 11111111-1111-1111-1111-111111111111.",
    };
    let problems = json!([{"field": field, "message": message}]);
    example("INVALID_REQUEST", UNREADABLE, problems)
}

pub(super) fn invalid_field() -> Example {
    let sentence = "name must be 5 to 30 characters long, and has 4.";
    let problems = json!([{"field": "name", "message": sentence}]);
    example("INVALID_FIELD", sentence, problems)
}

pub(super) fn too_slow() -> (StatusCode, Response) {
    fault(
        StatusCode::REQUEST_TIMEOUT,
        "The body did not arrive in time",
        [example(
            "REQUEST_TIMEOUT",
            "The request did not arrive in time.",
            Value::Null,
        )],
    )
}

pub(super) fn too_large(limit: usize) -> (StatusCode, Response) {
    fault(
        StatusCode::PAYLOAD_TOO_LARGE,
        "The body is too long",
        [example(
            "BODY_TOO_LARGE",
            &format!("The body must have at most {limit} bytes."),
            Value::Null,
        )],
    )
}

pub(super) fn wrong_type(expected: &str) -> (StatusCode, Response) {
    fault(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "The Content-Type is missing or another one",
        [example(
            "UNSUPPORTED_MEDIA_TYPE",
            &format!("The Content-Type must be {expected}."),
            Value::Null,
        )],
    )
}

pub(super) fn too_many_requests() -> (StatusCode, Response) {
    fault(
        StatusCode::TOO_MANY_REQUESTS,
        "More requests than one client may send, or too many tokens that are none; \
         `Retry-After` says when to try again",
        [
            example(
                "TOO_MANY_REQUESTS",
                "More requests came than are allowed; try again in 1 s.",
                Value::Null,
            ),
            example("TOO_MANY_ATTEMPTS", TOO_MANY_ATTEMPTS, Value::Null),
        ],
    )
}

pub(super) fn malformed_id() -> (StatusCode, Response) {
    fault(StatusCode::BAD_REQUEST, "Not a UUID", [unreadable("id")])
}

pub(super) fn missing<const N: usize>(examples: [Example; N]) -> (StatusCode, Response) {
    fault(StatusCode::NOT_FOUND, "There is none of this id", examples)
}

pub(super) fn no_user() -> Example {
    let sentence = "The requested user does not exist.";
    example("USER_NOT_FOUND", sentence, Value::Null)
}

pub(super) fn no_group() -> Example {
    let sentence = "The requested noti group does not exist.";
    example("GROUP_NOT_FOUND", sentence, Value::Null)
}

pub(super) fn destination_taken() -> Example {
    let sentence = "The user has this destination already.";
    example("DESTINATION_TAKEN", sentence, Value::Null)
}

pub(super) fn first_destination() -> Example {
    example(
        "FIRST_DESTINATION",
        "The first destination is the user's token and channelId: change it with PUT /v1/users/{id}.",
        Value::Null,
    )
}

pub(super) fn directory_unwritable() -> Example {
    example(
        "DIRECTORY_UNWRITABLE",
        "Users and groups cannot be changed now, and were not; try again later.",
        Value::Null,
    )
}

pub(super) fn conflict(code: &'static str, sentence: &str) -> Responses {
    faults([fault(
        StatusCode::CONFLICT,
        "Another one has it already",
        [example(code, sentence, Value::Null)],
    )])
}

pub(super) fn none_of(code: &'static str, word: &str) -> Example {
    let sentence = format!("The requested {word} does not exist.");
    example(code, &sentence, Value::Null)
}

pub(super) fn store_unwritable() -> Example {
    example(
        "STORE_UNWRITABLE",
        "Nothing can be written now, and nothing was; try again later.",
        Value::Null,
    )
}

pub(super) fn maybe_done() -> Example {
    example(
        "MAYBE_DONE",
        "It may have been done; look before you try again.",
        Value::Null,
    )
}
