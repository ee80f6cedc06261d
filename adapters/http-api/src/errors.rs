//! Which error is which HTTP answer: all of them, and only here. What the use cases and
//! ports report becomes one of these errors in `errors/reported.rs`.

mod reported;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use common::AlertId;
use producer::{
    application::transfer::{LineError, MAX_LINE_ERRORS},
    domain::{DirectoryError, ForbiddenTarget, Scope, TokenRefusal},
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    envelope::{ErrorEnvelope, Problem, json, reason},
    request_log::{Inside, LoggedAlert},
};

/// The contract's words for a body or id that cannot be read.
pub(crate) const UNREADABLE: &str = "The request is invalid or cannot be processed.";
/// The contract's words for a failure of ours.
pub(crate) const INTERNAL: &str = "An internal server error occurred.";

/// Why a request was not done.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// A body, path or query that cannot be read; where, and how it should be.
    Unreadable {
        field: Option<&'static str>,
        message: String,
    },
    /// A field, parameter or header with a value that is not allowed.
    Field {
        field: &'static str,
        sentence: String,
    },
    /// Lines of an import that cannot be imported.
    Lines(Vec<LineError>),
    /// The directory's rules forbid it.
    Directory(DirectoryError),
    /// There is nothing at this path.
    UnknownPath,
    /// There is something at this path, but not for this method.
    WrongMethod,
    /// The body did not come in time.
    BodyTooSlow,
    /// The body is longer than `limit` bytes.
    BodyTooLarge { limit: usize },
    /// The body is not said to be what it has to be.
    ContentType { expected: &'static str },
    /// The body is encoded, compressed perhaps.
    ContentEncoding,
    /// Its caller sends too much, and may send again after so many seconds.
    TooManyRequests { seconds: u64 },
    /// The idempotency key belongs to another request.
    KeyReused,
    /// The queue takes nothing now, and took nothing of this.
    QueueFull { id: AlertId, inside: String },
    /// The alert may be in the queue or not.
    MaybeAccepted { id: AlertId, inside: String },
    /// The directory cannot be written now.
    DirectoryUnwritable { inside: String },
    /// There is nothing of this id.
    Missing {
        code: &'static str,
        sentence: &'static str,
    },
    /// Not as things stand.
    Conflict {
        code: &'static str,
        sentence: &'static str,
    },
    /// Not now.
    NotNow {
        code: &'static str,
        sentence: &'static str,
        inside: Option<String>,
    },
    /// Another import is being read or carried out.
    ImportUnderWay,
    /// No new requests, please, and why.
    NotReady { reason: String },
    /// The API token is not taken, or there is none.
    Unauthenticated(TokenRefusal),
    /// Too many tokens that are none came from there.
    TooManyAttempts,
    /// The API token does not have this scope.
    ScopeMissing(Scope),
    /// The API token is restricted to groups, and this may concern anybody.
    TokenRestricted,
    /// The API token is restricted to other groups.
    TargetNotAllowed(ForbiddenTarget),
    /// A web page asks, and the API is open to this machine alone.
    ForeignPage,
    /// The process keeps no API tokens, and this needs one.
    KeepsNoTokens,
    /// A failure of ours; `inside` is for the log alone.
    Internal { inside: String },
}

/// An [`ApiError`] as it is answered.
struct Answer {
    status: StatusCode,
    code: &'static str,
    sentence: String,
    errors: Vec<Problem>,
}

impl Answer {
    fn new(status: StatusCode, code: &'static str, sentence: impl Into<String>) -> Self {
        Self {
            status,
            code,
            sentence: sentence.into(),
            errors: Vec::new(),
        }
    }

    fn with(mut self, errors: Vec<Problem>) -> Self {
        self.errors = errors;
        self
    }
}

impl ApiError {
    pub(crate) const NO_ALERT: Self = Self::Missing {
        code: "ALERT_NOT_FOUND",
        sentence: "The requested alert does not exist.",
    };
    pub(crate) const NO_DELIVERY: Self = Self::Missing {
        code: "DELIVERY_NOT_FOUND",
        sentence: "The requested delivery does not exist.",
    };
    pub(crate) const NO_DEAD_LETTER: Self = Self::Missing {
        code: "DEAD_LETTER_NOT_FOUND",
        sentence: "The requested dead letter does not exist.",
    };
    pub(crate) const TOO_MANY_STREAMS: Self = Self::NotNow {
        code: "TOO_MANY_STREAMS",
        sentence: "As many event streams as there may be are open; try again later.",
        inside: None,
    };

    fn maybe_done(inside: String) -> Self {
        Self::NotNow {
            code: "MAYBE_DONE",
            sentence: "It may have been done; look before you try again.",
            inside: Some(inside),
        }
    }

    fn answer(&mut self) -> Answer {
        use StatusCode as S;
        match self {
            Self::Unreadable { field, message } => {
                let problem = field_problem(*field, std::mem::take(message));
                Answer::new(S::BAD_REQUEST, "INVALID_REQUEST", UNREADABLE).with(vec![problem])
            }
            Self::Field { field, sentence } => {
                let problem = field_problem(Some(field), sentence.clone());
                let sentence = std::mem::take(sentence);
                Answer::new(S::BAD_REQUEST, "INVALID_FIELD", sentence).with(vec![problem])
            }
            Self::Lines(lines) => {
                let sentence = format!("{} cannot be imported; nothing was.", count(lines));
                let shown = lines.drain(..).take(MAX_LINE_ERRORS);
                Answer::new(S::BAD_REQUEST, "INVALID_LINES", sentence)
                    .with(shown.map(line_problem).collect())
            }
            Self::Directory(error) => directory_answer(error),
            Self::UnknownPath => Answer::new(
                S::NOT_FOUND,
                "NOT_FOUND",
                "There is nothing at this path; /swagger-ui/index.html shows what there is.",
            ),
            Self::WrongMethod => Answer::new(
                S::METHOD_NOT_ALLOWED,
                "METHOD_NOT_ALLOWED",
                "This path does not take that method; the Allow header names those it takes.",
            ),
            Self::BodyTooSlow => Answer::new(
                S::REQUEST_TIMEOUT,
                "REQUEST_TIMEOUT",
                "The request did not arrive in time.",
            ),
            Self::BodyTooLarge { limit } => Answer::new(
                S::PAYLOAD_TOO_LARGE,
                "BODY_TOO_LARGE",
                format!("The body must have at most {limit} bytes."),
            ),
            Self::ContentType { expected } => Answer::new(
                S::UNSUPPORTED_MEDIA_TYPE,
                "UNSUPPORTED_MEDIA_TYPE",
                format!("The Content-Type must be {expected}."),
            ),
            Self::ContentEncoding => Answer::new(
                S::UNSUPPORTED_MEDIA_TYPE,
                "UNSUPPORTED_CONTENT_ENCODING",
                "The body must be sent as it is, without a Content-Encoding.",
            ),
            Self::TooManyRequests { seconds } => Answer::new(
                S::TOO_MANY_REQUESTS,
                "TOO_MANY_REQUESTS",
                format!("More requests came than are allowed; try again in {seconds} s."),
            ),
            Self::KeyReused => Answer::new(
                S::UNPROCESSABLE_ENTITY,
                "IDEMPOTENCY_KEY_REUSED",
                "This Idempotency-Key was used for a different request.",
            ),
            Self::QueueFull { .. } => Answer::new(
                S::SERVICE_UNAVAILABLE,
                "QUEUE_FULL",
                "No more alerts can be stored now, and this one was not; send it again later.",
            ),
            Self::MaybeAccepted { .. } => Answer::new(
                S::SERVICE_UNAVAILABLE,
                "MAYBE_ACCEPTED",
                "The alert may have been accepted; send it again with the same Idempotency-Key.",
            ),
            Self::DirectoryUnwritable { .. } => Answer::new(
                S::SERVICE_UNAVAILABLE,
                "DIRECTORY_UNWRITABLE",
                "Users and groups cannot be changed now, and were not; try again later.",
            ),
            Self::Missing { code, sentence } => Answer::new(S::NOT_FOUND, code, *sentence),
            Self::Conflict { code, sentence } => Answer::new(S::CONFLICT, code, *sentence),
            Self::NotNow { code, sentence, .. } => {
                Answer::new(S::SERVICE_UNAVAILABLE, code, *sentence)
            }
            Self::ImportUnderWay => Answer::new(
                S::SERVICE_UNAVAILABLE,
                "IMPORT_UNDER_WAY",
                "Another import is under way; try again when it has ended.",
            ),
            Self::NotReady { reason } => {
                Answer::new(S::SERVICE_UNAVAILABLE, "NOT_READY", std::mem::take(reason))
            }
            Self::Unauthenticated(refusal) => {
                Answer::new(S::UNAUTHORIZED, token_code(*refusal), refusal.to_string())
            }
            Self::TooManyAttempts => {
                Answer::new(S::TOO_MANY_REQUESTS, "TOO_MANY_ATTEMPTS", TOO_MANY_ATTEMPTS)
            }
            Self::ScopeMissing(scope) => {
                Answer::new(S::FORBIDDEN, "SCOPE_MISSING", scope_missing(*scope))
            }
            Self::TokenRestricted => {
                Answer::new(S::FORBIDDEN, "TOKEN_RESTRICTED", TOKEN_RESTRICTED)
            }
            Self::TargetNotAllowed(forbidden) => {
                Answer::new(S::FORBIDDEN, "TARGET_NOT_ALLOWED", forbidden.to_string())
            }
            Self::ForeignPage => Answer::new(
                S::FORBIDDEN,
                "FOREIGN_PAGE",
                "Without API tokens this is for programs on its own machine, under a loopback name, through no proxy and not from a web page elsewhere; make a token with `error-notifier token create`.",
            ),
            Self::KeepsNoTokens => Answer::new(
                S::FORBIDDEN,
                "KEEPS_NO_TOKENS",
                "This process keeps no API tokens: it answers this where it listens on a loopback address, or with --insecure-open.",
            ),
            Self::Internal { .. } => {
                Answer::new(S::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", INTERNAL)
            }
        }
    }

    /// After how many seconds the request may be sent again as it is, where it may.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooManyRequests { seconds } => Some(*seconds),
            Self::QueueFull { .. }
            | Self::MaybeAccepted { .. }
            | Self::DirectoryUnwritable { .. }
            | Self::NotNow { .. }
            | Self::ImportUnderWay
            | Self::TooManyAttempts => Some(soon()),
            _ => None,
        }
    }

    /// Whether the rest of the request's body is not waited for.
    fn leaves_body_unread(&self) -> bool {
        matches!(
            self,
            Self::BodyTooSlow | Self::BodyTooLarge { .. } | Self::ContentEncoding
        )
    }

    /// What a client needs to get in,
    /// <https://www.rfc-editor.org/rfc/rfc6750#section-3>.
    fn challenge(&self) -> Option<String> {
        let realm = "Bearer realm=\"error-notifier\"";
        match self {
            Self::Unauthenticated(TokenRefusal::Missing) => Some(realm.to_owned()),
            Self::Unauthenticated(_) => Some(format!("{realm}, error=\"invalid_token\"")),
            Self::ScopeMissing(scope) => Some(format!(
                "{realm}, error=\"insufficient_scope\", scope=\"{scope}\""
            )),
            _ => None,
        }
    }

    fn alert(&self) -> Option<AlertId> {
        match self {
            Self::QueueFull { id, .. } | Self::MaybeAccepted { id, .. } => Some(*id),
            _ => None,
        }
    }

    /// What the log is told and the caller is not.
    fn inside(&mut self) -> Option<String> {
        match self {
            Self::QueueFull { inside, .. }
            | Self::MaybeAccepted { inside, .. }
            | Self::DirectoryUnwritable { inside }
            | Self::Internal { inside } => Some(std::mem::take(inside)),
            Self::NotNow { inside, .. } => inside.take(),
            _ => None,
        }
    }
}

fn directory_answer(error: &DirectoryError) -> Answer {
    use StatusCode as S;
    let (status, code) = match error {
        DirectoryError::NoSuchGroup => (S::NOT_FOUND, "GROUP_NOT_FOUND"),
        DirectoryError::NoSuchUser => (S::NOT_FOUND, "USER_NOT_FOUND"),
        DirectoryError::GroupNameTaken => (S::CONFLICT, "GROUP_NAME_TAKEN"),
        DirectoryError::UserNameTaken => (S::CONFLICT, "USER_NAME_TAKEN"),
        DirectoryError::IdTaken => (S::CONFLICT, "ID_TAKEN"),
        DirectoryError::AlreadySubscribed => (S::CONFLICT, "ALREADY_SUBSCRIBED"),
        DirectoryError::NoSuchDestination => (S::NOT_FOUND, "DESTINATION_NOT_FOUND"),
        DirectoryError::FirstDestination => (S::CONFLICT, "FIRST_DESTINATION"),
        DirectoryError::DestinationTaken => (S::CONFLICT, "DESTINATION_TAKEN"),
        DirectoryError::TooManyDestinations => (S::CONFLICT, "TOO_MANY_DESTINATIONS"),
        DirectoryError::NoSuchApiToken => (S::NOT_FOUND, "TOKEN_NOT_FOUND"),
        DirectoryError::ApiTokenNameTaken => (S::CONFLICT, "TOKEN_NAME_TAKEN"),
        DirectoryError::TooManyApiTokens => (S::CONFLICT, "TOO_MANY_TOKENS"),
        DirectoryError::TooManyUsers => (S::CONFLICT, "TOO_MANY_USERS"),
        DirectoryError::TooManyGroups => (S::CONFLICT, "TOO_MANY_GROUPS"),
        DirectoryError::TokenMissing => return missing_field("token", error),
        DirectoryError::CredentialMissing => return missing_field("credential", error),
    };
    Answer::new(status, code, error.to_string())
}

pub(crate) const HISTORY_AWAY: &str = "The history cannot be read now; try again later.";
pub(crate) const AUDIT_AWAY: &str = "The audit log cannot be read now; try again later.";
pub(crate) const TOO_MANY_ATTEMPTS: &str =
    "Too many API tokens that are none came from this address; try again later.";
pub(crate) const TOKEN_RESTRICTED: &str =
    "This API token is restricted to groups and may only post alerts.";

pub(crate) fn scope_missing(scope: Scope) -> String {
    format!("This needs an API token with the scope {scope}.")
}

pub(crate) fn token_code(refusal: TokenRefusal) -> &'static str {
    match refusal {
        TokenRefusal::Missing => "TOKEN_MISSING",
        TokenRefusal::Malformed => "TOKEN_MALFORMED",
        TokenRefusal::Unknown => "TOKEN_UNKNOWN",
        TokenRefusal::Expired => "TOKEN_EXPIRED",
        TokenRefusal::Revoked => "TOKEN_REVOKED",
    }
}

fn missing_field(field: &'static str, error: &DirectoryError) -> Answer {
    let sentence = error.to_string();
    let problem = field_problem(Some(field), sentence.clone());
    Answer::new(StatusCode::BAD_REQUEST, "INVALID_FIELD", sentence).with(vec![problem])
}

fn field_problem(field: Option<&'static str>, message: String) -> Problem {
    Problem {
        field,
        line: None,
        message,
    }
}

fn count(lines: &[LineError]) -> String {
    match lines.len() {
        1 => "1 line".to_owned(),
        few if few < MAX_LINE_ERRORS => format!("{few} lines"),
        _ => format!("{MAX_LINE_ERRORS} lines or more"),
    }
}

fn line_problem(error: LineError) -> Problem {
    Problem {
        field: None,
        line: Some(error.line),
        message: error.message,
    }
}

impl IntoResponse for ApiError {
    fn into_response(mut self) -> Response {
        let Answer {
            status,
            code,
            sentence,
            errors,
        } = self.answer();
        let maybe = matches!(self, Self::MaybeAccepted { .. });
        let alert = self.alert();
        let mut response = json(
            status,
            &ErrorEnvelope {
                http_code: status.as_u16(),
                http_message: reason(status),
                more_information: sentence,
                error_code: code,
                errors,
                data: alert.filter(|_| maybe).map(|id| json!({ "alertId": id })),
            },
        );
        let headers = response.headers_mut();
        let challenge = self.challenge();
        if let Some(challenge) = challenge.and_then(|text| HeaderValue::try_from(text).ok()) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if matches!(self, Self::ContentEncoding) {
            // Which encodings there are: <https://www.rfc-editor.org/rfc/rfc7694#section-3>.
            let none = HeaderValue::from_static("identity");
            headers.insert(header::ACCEPT_ENCODING, none);
        }
        if self.leaves_body_unread() {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(id) = alert {
            response.extensions_mut().insert(LoggedAlert(id.0));
        }
        if let Some(inside) = self.inside() {
            response.extensions_mut().insert(Inside(inside.into()));
        }
        response
    }
}

/// 1 to 5 seconds, at random, so that those who were refused together do not
/// come back together.
fn soon() -> u64 {
    let (random, _) = Uuid::new_v4().as_u64_pair();
    1 + random % 5
}

/// The answer where a handler panicked. What it panicked with may hold anything,
/// and stays inside; the panic hook has written where it happened.
pub(crate) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    ApiError::Internal {
        inside: "a request handler panicked".into(),
    }
    .into_response()
}

/// The answer at an unknown path.
pub(crate) async fn unknown_path() -> ApiError {
    ApiError::UnknownPath
}

/// The answer to whatever comes before the process is ready.
pub(crate) async fn too_early() -> ApiError {
    ApiError::NotNow {
        code: "STARTING",
        sentence: "This process waits for the servers that it needs; try again later.",
        inside: None,
    }
}

/// The answer to a method that the path does not take; axum adds `Allow`.
pub(crate) async fn wrong_method() -> ApiError {
    ApiError::WrongMethod
}

/// The whole answer, as bytes, to a request whose head did not arrive in time.
pub(crate) fn timed_out_in_head() -> Vec<u8> {
    last_word(ApiError::BodyTooSlow)
}

/// The whole answer, as bytes, to a head with a lone line feed in it.
pub(crate) fn malformed_head() -> Vec<u8> {
    last_word(ApiError::Unreadable {
        field: None,
        message: "each line of a request's head must end with CR LF.".into(),
    })
}

/// An answer where no request came of what arrived, so that no route and no layer can
/// give it.
fn last_word(mut error: ApiError) -> Vec<u8> {
    let Answer {
        status,
        code,
        sentence,
        errors,
    } = error.answer();
    let envelope = ErrorEnvelope {
        http_code: status.as_u16(),
        http_message: reason(status),
        more_information: sentence,
        error_code: code,
        errors,
        data: None,
    };
    let body = serde_json::to_string(&envelope).unwrap_or_default();
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}
