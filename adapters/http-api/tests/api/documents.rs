//! The OpenAPI document, Swagger UI, and the exact form of errors.

use serde_json::Value;

use crate::support::Api;

/// Fields in the order of their names, whatever order the build gives JSON objects.
fn sorted() -> insta::internals::SettingsBindDropGuard {
    let mut settings = insta::Settings::clone_current();
    settings.set_sort_maps(true);
    settings.bind_to_scope()
}

async fn document() -> Value {
    let answer = Api::new().get("/v3/api-docs").await;
    assert_eq!(answer.status, 200);
    serde_json::from_slice(&answer.body).unwrap()
}

fn operations(document: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            found.push((format!("{} {path}", method.to_uppercase()), operation));
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

#[tokio::test]
async fn the_document_names_every_endpoint_with_every_status_it_can_answer() {
    let document = document().await;
    let lines: Vec<String> = operations(&document)
        .into_iter()
        .map(|(name, operation)| {
            let mut statuses: Vec<_> = operation["responses"].as_object().unwrap().keys().collect();
            statuses.sort();
            let statuses: Vec<_> = statuses.iter().map(|status| status.as_str()).collect();
            format!("{name}: {}", statuses.join(" "))
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    DELETE /v1/dead-letters/{id}: 204 400 401 403 404 429 500 503
    DELETE /v1/noti-groups/unsubscribe: 204 400 401 403 408 413 415 429 500 503
    DELETE /v1/noti-groups/{id}: 204 400 401 403 404 429 500 503
    DELETE /v1/tokens/{id}: 204 400 401 403 404 429 500 503
    DELETE /v1/users/{id}: 204 400 401 403 404 429 500 503
    DELETE /v1/users/{id}/destinations/{destinationId}: 204 400 401 403 404 409 429 500 503
    GET /health/live: 200 500
    GET /health/ready: 200 500 503
    GET /metrics: 200 401 429 500
    GET /v1/alerts: 200 400 401 403 429 500 503
    GET /v1/alerts/{id}: 200 400 401 403 404 429 500 503
    GET /v1/audit: 200 400 401 403 429 500 503
    GET /v1/dead-letters: 200 400 401 403 429 500 503
    GET /v1/deliveries/{id}: 200 400 401 403 404 429 500 503
    GET /v1/destinations: 200 400 401 403 429 500 503
    GET /v1/directory: 200 401 403 429 500
    GET /v1/events: 200 400 401 403 429 500 503
    GET /v1/noti-groups: 200 400 401 403 429 500
    GET /v1/noti-groups/{id}: 200 400 401 403 404 429 500
    GET /v1/tokens: 200 400 401 403 429 500
    GET /v1/tokens/{id}: 200 400 401 403 404 429 500
    GET /v1/users: 200 400 401 403 429 500
    GET /v1/users/{id}: 200 400 401 403 404 429 500
    GET /v1/users/{id}/destinations: 200 400 401 403 404 429 500
    GET /v1/users/{id}/destinations/{destinationId}: 200 400 401 403 404 429 500
    POST /v1/alerts: 200 400 401 403 408 413 415 422 429 500 503
    POST /v1/alerts/replay: 200 202 400 401 403 408 413 415 429 500 503
    POST /v1/alerts/{id}/cancel: 200 202 400 401 403 404 429 500 503
    POST /v1/dead-letters/replay: 200 202 400 401 403 408 413 415 429 500 503
    POST /v1/deliveries/{id}/replay: 200 202 400 401 403 404 409 429 500 503
    POST /v1/directory: 200 400 401 403 408 413 415 429 500 503
    POST /v1/noti-groups: 201 400 401 403 404 408 409 413 415 429 500 503
    POST /v1/noti-groups/subscribe: 204 400 401 403 404 408 409 413 415 429 500 503
    POST /v1/noti-groups/unsubscribe: 204 400 401 403 408 413 415 429 500 503
    POST /v1/secrets/rotate: 200 400 401 403 409 429 500 503
    POST /v1/tokens: 201 400 401 403 404 408 409 413 415 429 500 503
    POST /v1/users: 201 400 401 403 408 409 413 415 429 500 503
    POST /v1/users/{id}/destinations: 201 400 401 403 404 408 409 413 415 429 500 503
    PUT /v1/noti-groups/{id}: 200 201 400 401 403 404 408 409 413 415 429 500 503
    PUT /v1/users/{id}: 200 201 400 401 403 408 409 413 415 429 500 503
    PUT /v1/users/{id}/destinations/{destinationId}: 200 201 400 401 403 404 408 409 413 415 429 500 503
    "#);
}

#[tokio::test]
async fn the_document_is_openapi_3_1_and_stays_as_it_is() {
    let mut document = document().await;
    assert_eq!(document["openapi"], "3.1.0");
    document["info"]["version"] = "[version]".into();
    let _sorted = sorted();
    insta::assert_json_snapshot!(document);
}

#[tokio::test]
async fn every_reference_in_the_document_leads_somewhere() {
    let document = document().await;
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(!references.is_empty());
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

fn collect_references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    Some(reference) if name == "$ref" => found.push(reference.to_owned()),
                    _ => collect_references(value, found),
                }
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| collect_references(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn every_operation_has_an_id_of_its_own_and_every_error_an_example() {
    let document = document().await;
    let mut ids = Vec::new();
    for (name, operation) in operations(&document) {
        ids.push(operation["operationId"].as_str().unwrap());
        for (status, response) in operation["responses"].as_object().unwrap() {
            if status.starts_with(['4', '5']) {
                let content = &response["content"]["application/json"];
                assert!(content["examples"].is_object(), "{name} {status}");
                assert_eq!(
                    content["schema"]["$ref"], "#/components/schemas/ErrorEnvelope",
                    "{name} {status}"
                );
            }
        }
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[tokio::test]
async fn swagger_ui_comes_whole_from_this_server_and_shows_this_document() {
    let api = Api::new();
    let page = api.get("/swagger-ui/index.html").await;
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    assert!(!page.text().contains("http://") && !page.text().contains("https://"));
    for asset in [
        "swagger-ui.css",
        "swagger-ui-bundle.js",
        "swagger-ui-standalone-preset.js",
    ] {
        assert!(page.text().contains(asset), "{asset}");
        let answer = api.get(&format!("/swagger-ui/{asset}")).await;
        assert_eq!(answer.status, 200, "{asset}");
        assert!(answer.body.len() > 10_000, "{asset}");
    }
    let start = api.get("/swagger-ui/swagger-initializer.js").await;
    assert!(start.text().contains("/v3/api-docs"), "{}", start.text());
}

#[tokio::test]
async fn errors_have_this_exact_form() {
    let api = Api::new();
    let _sorted = sorted();
    let field = api
        .json(
            "POST",
            "/v1/noti-groups",
            r#"{"name":"four","desc":"test_desc"}"#,
        )
        .await;
    insta::assert_json_snapshot!(field.envelope(), @r#"
    {
      "errorCode": "INVALID_FIELD",
      "errors": [
        {
          "field": "name",
          "message": "name must be 5 to 30 characters long, and has 4."
        }
      ],
      "httpCode": 400,
      "httpMessage": "Bad Request",
      "moreInformation": "name must be 5 to 30 characters long, and has 4."
    }
    "#);
    let unreadable = api.json("POST", "/v1/noti-groups", r#"{"name":"#).await;
    insta::assert_json_snapshot!(unreadable.envelope(), @r#"
    {
      "errorCode": "INVALID_REQUEST",
      "errors": [
        {
          "field": "body",
          "message": "is not JSON (line 1, column 8)."
        }
      ],
      "httpCode": 400,
      "httpMessage": "Bad Request",
      "moreInformation": "The request is invalid or cannot be processed."
    }
    "#);
    let missing = api
        .get("/v1/users/99999999-9999-9999-9999-999999999999")
        .await;
    insta::assert_json_snapshot!(missing.envelope(), @r#"
    {
      "errorCode": "USER_NOT_FOUND",
      "httpCode": 404,
      "httpMessage": "Not Found",
      "moreInformation": "The requested user does not exist."
    }
    "#);
    let lines = api.import("/v1/directory", "{}\n").await;
    insta::assert_json_snapshot!(lines.envelope(), @r#"
    {
      "errorCode": "INVALID_LINES",
      "errors": [
        {
          "line": 1,
          "message": "is not a user or group of the documented form (column 2)."
        }
      ],
      "httpCode": 400,
      "httpMessage": "Bad Request",
      "moreInformation": "1 line cannot be imported; nothing was."
    }
    "#);
    let path = api.get("/nowhere").await;
    insta::assert_json_snapshot!(path.envelope(), @r#"
    {
      "errorCode": "NOT_FOUND",
      "httpCode": 404,
      "httpMessage": "Not Found",
      "moreInformation": "There is nothing at this path; /swagger-ui/index.html shows what there is."
    }
    "#);
}
