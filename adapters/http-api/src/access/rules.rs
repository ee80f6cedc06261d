//! What each operation needs.

use axum::http::Method;
use producer::domain::Scope;

/// An operation and what it needs.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its method.
    pub method: Method,
    /// Its path, as the router has it.
    pub path: &'static str,
    /// What it needs.
    pub needs: Needs,
}

/// What an operation needs of who calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// Nothing where metrics are open; else any token.
    MetricsOpen,
    /// A token with this scope; which targets it may name, the use case looks at.
    Scope(Scope),
    /// A token with this scope that is not restricted to groups, since what it does may
    /// concern anybody.
    Unrestricted(Scope),
}

const fn rule(method: Method, path: &'static str, needs: Needs) -> Rule {
    Rule {
        method,
        path,
        needs,
    }
}

const POST_ALERTS: Needs = Needs::Scope(Scope::AlertsWrite);
const CONTROL: Needs = Needs::Unrestricted(Scope::AlertsWrite);
const SEE: Needs = Needs::Scope(Scope::AlertsRead);
const READ: Needs = Needs::Scope(Scope::DirectoryRead);
const WRITE: Needs = Needs::Scope(Scope::DirectoryWrite);
const ADMIN: Needs = Needs::Scope(Scope::Admin);

/// All operations. What is not here is refused to everybody but `admin`, and a test fails.
///
/// The document and Swagger UI are open: they say what is published with the program, and
/// nothing of what is in it. Health is open to load balancers.
pub const RULES: &[Rule] = &[
    rule(Method::POST, "/v1/alerts", POST_ALERTS),
    rule(Method::GET, "/v1/alerts", SEE),
    rule(Method::GET, "/v1/alerts/{id}", SEE),
    rule(Method::POST, "/v1/alerts/{id}/cancel", CONTROL),
    rule(Method::POST, "/v1/alerts/replay", CONTROL),
    rule(Method::GET, "/v1/deliveries/{id}", SEE),
    rule(Method::POST, "/v1/deliveries/{id}/replay", CONTROL),
    rule(Method::GET, "/v1/dead-letters", SEE),
    rule(Method::DELETE, "/v1/dead-letters/{id}", CONTROL),
    rule(Method::POST, "/v1/dead-letters/replay", CONTROL),
    rule(Method::GET, "/v1/events", SEE),
    rule(Method::GET, "/v1/destinations", SEE),
    rule(Method::GET, "/v1/noti-groups", READ),
    rule(Method::POST, "/v1/noti-groups", WRITE),
    rule(Method::GET, "/v1/noti-groups/{id}", READ),
    rule(Method::PUT, "/v1/noti-groups/{id}", WRITE),
    rule(Method::DELETE, "/v1/noti-groups/{id}", WRITE),
    rule(Method::POST, "/v1/noti-groups/subscribe", WRITE),
    rule(Method::DELETE, "/v1/noti-groups/unsubscribe", WRITE),
    rule(Method::POST, "/v1/noti-groups/unsubscribe", WRITE),
    rule(Method::GET, "/v1/users", READ),
    rule(Method::POST, "/v1/users", WRITE),
    rule(Method::GET, "/v1/users/{id}", READ),
    rule(Method::PUT, "/v1/users/{id}", WRITE),
    rule(Method::DELETE, "/v1/users/{id}", WRITE),
    rule(Method::GET, "/v1/users/{id}/destinations", READ),
    rule(Method::POST, "/v1/users/{id}/destinations", WRITE),
    rule(
        Method::GET,
        "/v1/users/{id}/destinations/{destinationId}",
        READ,
    ),
    rule(
        Method::PUT,
        "/v1/users/{id}/destinations/{destinationId}",
        WRITE,
    ),
    rule(
        Method::DELETE,
        "/v1/users/{id}/destinations/{destinationId}",
        WRITE,
    ),
    rule(Method::GET, "/v1/directory", READ),
    rule(Method::POST, "/v1/directory", WRITE),
    rule(Method::GET, "/v1/tokens", ADMIN),
    rule(Method::POST, "/v1/tokens", ADMIN),
    rule(Method::GET, "/v1/tokens/{id}", ADMIN),
    rule(Method::DELETE, "/v1/tokens/{id}", ADMIN),
    rule(Method::GET, "/v1/audit", ADMIN),
    rule(Method::POST, "/v1/secrets/rotate", ADMIN),
    rule(Method::GET, "/metrics", Needs::MetricsOpen),
    rule(Method::GET, "/health/live", Needs::Nothing),
    rule(Method::GET, "/health/ready", Needs::Nothing),
    rule(Method::GET, "/v3/api-docs", Needs::Nothing),
    rule(Method::GET, "/swagger-ui", Needs::Nothing),
    rule(Method::GET, "/swagger-ui/", Needs::Nothing),
    rule(Method::GET, "/swagger-ui/{*rest}", Needs::Nothing),
];

/// What is needed by `method` at that path of the router.
pub(super) fn needs(method: &Method, path: &str) -> Needs {
    let method = match *method {
        // Answered by what answers GET.
        Method::HEAD => &Method::GET,
        _ => method,
    };
    let rule = RULES
        .iter()
        .find(|rule| rule.path == path && rule.method == *method);
    rule.map_or(ADMIN, |rule| rule.needs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_operation_has_two_rules() {
        for (place, one) in RULES.iter().enumerate() {
            let again = RULES[..place]
                .iter()
                .any(|other| other.path == one.path && other.method == one.method);
            assert!(!again, "{} {}", one.method, one.path);
        }
    }

    #[test]
    fn what_has_no_rule_needs_admin() {
        assert_eq!(needs(&Method::PATCH, "/v1/users"), ADMIN);
        assert_eq!(needs(&Method::GET, "/v1/forgotten"), ADMIN);
        assert_eq!(needs(&Method::HEAD, "/v1/users"), READ);
    }
}
