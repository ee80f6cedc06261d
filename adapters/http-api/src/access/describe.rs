//! The table of rules in the OpenAPI document.

use axum::http::Method;
use utoipa::openapi::{
    OpenApi as Document,
    path::{Operation, PathItem},
    security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
};

use super::rules::{Needs, RULES};
use crate::openapi::{forbidden_answers, token_answers};

/// The scheme's name in the document.
const SCHEME: &str = "apiToken";

/// Writes into the document what each operation needs, and what it answers without.
pub(crate) fn describe(document: &mut Document) {
    for rule in RULES {
        let item = document.paths.paths.get_mut(rule.path);
        let Some(operation) = item.and_then(|item| operation(item, &rule.method)) else {
            continue;
        };
        let scopes: Vec<&str> = match rule.needs {
            Needs::Nothing => {
                operation.security = Some(vec![]);
                continue;
            }
            Needs::MetricsOpen => vec![],
            Needs::Scope(scope) | Needs::Unrestricted(scope) => vec![scope.as_str()],
        };
        // Roles, since this is no OAuth
        // (<https://spec.openapis.org/oas/v3.1.0#security-requirement-object>).
        let mut security = vec![SecurityRequirement::new(SCHEME, scopes)];
        if rule.needs == Needs::MetricsOpen {
            // Perhaps nothing: that is a setting.
            security.push(SecurityRequirement::default());
        }
        operation.security = Some(security);
        let responses = &mut operation.responses.responses;
        responses.extend(token_answers());
        responses.extend(forbidden_answers(rule.needs));
    }
    let scheme = Http::builder()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("en_…")
        .description(Some(
            "An API token: `error-notifier token create` makes one. Needed from the first \
             token on; while there is none, an API on a loopback address is open. What an \
             operation needs stands at it; `admin` allows all.",
        ))
        .build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(SCHEME, SecurityScheme::Http(scheme));
}

fn operation<'a>(item: &'a mut PathItem, method: &Method) -> Option<&'a mut Operation> {
    match *method {
        Method::GET => item.get.as_mut(),
        Method::POST => item.post.as_mut(),
        Method::PUT => item.put.as_mut(),
        Method::DELETE => item.delete.as_mut(),
        _ => None,
    }
}
