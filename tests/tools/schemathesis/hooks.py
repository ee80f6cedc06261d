"""What schemathesis has to be told of this API beyond its document, and which of its
findings are none: each with its reason."""

import os
import re
import uuid

import schemathesis
from hypothesis import strategies as st

IS_OPEN = "OWN_TOKEN_ID" not in os.environ

# A cursor is what an earlier page said; the only one that can be made up is the empty one.
schemathesis.openapi.format("cursor", st.just(""))
# Else schemathesis keeps headers to letters and digits, and these have a hyphen.
NUMBER = st.integers(0, 999_999_999)
schemathesis.openapi.format("event-id", st.builds("{}-{}".format, NUMBER, NUMBER))

# Imports that are nearly right are worth more than texts.
LINE = st.sampled_from([
    '{"type":"user","id":"11111111-1111-1111-1111-111111111111","name":"user_name1","token":"test_token1","channelId":"test_channel_id1"}',
    '{"type":"user","id":"33333333-3333-3333-3333-333333333333","name":"user_name1","channelId":"test_channel_id1"}',
    '{"type":"group","id":"11111111-1111-1111-1111-111111111111","name":"group_name1","desc":"test_desc1","users":["11111111-1111-1111-1111-111111111111"]}',
    '{"type":"group","id":"22222222-2222-2222-2222-222222222222","name":"group_name1","desc":"test_desc1","users":[]}',
    '{"type":"user"}', "{}", "[]", "null", "",
])
LINES = st.lists(LINE | st.text(max_size=40), max_size=8).map("\n".join)


@schemathesis.serializer("application/x-ndjson")
def ndjson(context, value):
    return {"data": value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")}


@schemathesis.hook
def before_generate_body(context, strategy):
    return strategy | LINES if context.operation.label == "POST /v1/directory" else strategy


@schemathesis.hook
def before_load_schema(context, raw_schema):
    # While there is no token and the API is on loopback, nothing needs one; the document is
    # of an API that has them.
    if IS_OPEN:
        for item in raw_schema["paths"].values():
            for operation in item.values():
                operation["security"] = []


@schemathesis.hook
def before_call(context, case, kwargs):
    # The token that all the others need is not to be revoked half way.
    if case.operation.label == "DELETE /v1/tokens/{id}" and case.path_parameters.get(
        "id"
    ) == os.environ.get("OWN_TOKEN_ID"):
        case.path_parameters["id"] = str(uuid.uuid4())


DESTINATION = r"(POST|PUT) /v1/users/\{id\}/destinations.*"
# Findings that are none, by check, operation and what was answered; whatever else is
# answered still is one. No JSON schema can say these rules, so a body that fits its schema
# may break them, and the contract says how that is answered.
BEYOND_SCHEMAS = [
    # One field beside another.
    ("positive_data_acceptance", r"GET /v1/(alerts|audit)|POST /v1/alerts/replay", 400, r"until must not be before since\."),
    ("positive_data_acceptance", DESTINATION, 400, r"credential of a webhook must be .*"),
    ("positive_data_acceptance", DESTINATION + "|POST /v1/alerts/replay", 400, r"address must .*"),
    ("positive_data_acceptance", r"POST /v1/tokens", 400, r"scopes of a token that is restricted to groups must be .*"),
    # What is there and what is not.
    ("positive_data_acceptance", r"GET /v1/alerts", 400, r"(user|group) must be a (user|group)'s name or id.*"),
    ("positive_data_acceptance", r"(POST|PUT) /v1/users.*", 400, r"(token|credential) must be given when .*"),
    ("positive_data_acceptance", r"POST /v1/alerts", 422, r"This Idempotency-Key was used for a different request\."),
    # It is a member that there is none of, not the group.
    ("ensure_resource_availability", r"PUT /v1/noti-groups/\{id\}", 404, r"The requested user does not exist\."),
    # The time of day.
    ("positive_data_acceptance", r"POST /v1/tokens", 400, r"expiresAt must be a time that is yet to come\."),
    # Lines of JSON within a text.
    ("positive_data_acceptance", r"POST /v1/directory", 400, r".*"),
]


@schemathesis.hook
def filter_failure(context, failure, case, response):
    def is_told(check, operation, status, sentence):
        return (
            check in failure.checks
            and re.fullmatch(operation, case.operation.label)
            and response.status_code == status
            and re.fullmatch(sentence, response.json()["moreInformation"])
        )

    return not any(is_told(*row) for row in BEYOND_SCHEMAS)
