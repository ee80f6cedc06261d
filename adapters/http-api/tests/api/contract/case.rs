//! One row of the contract: a request, and what has to come back.

use serde_json::{Value, json};

use crate::support::Api;

pub(crate) const UNREADABLE: &str = "The request is invalid or cannot be processed.";
pub(crate) const NO_GROUP: &str = "The requested noti group does not exist.";
pub(crate) const NO_USER: &str = "The requested user does not exist.";

/// One request against the sample directory, and what has to come back.
pub(crate) struct Case {
    /// The row or sentence.
    says: &'static str,
    method: &'static str,
    path: String,
    body: String,
    status: u16,
    /// The exact `moreInformation`, where there is one.
    information: Option<String>,
    /// The exact `data`; for a created thing without its `id`.
    data: Option<Value>,
}

pub(crate) fn case(
    says: &'static str,
    method: &'static str,
    path: &str,
    body: Value,
    status: u16,
) -> Case {
    Case {
        says,
        method,
        path: path.to_owned(),
        body: body.to_string(),
        status,
        information: None,
        data: None,
    }
}

impl Case {
    pub(crate) fn informs(mut self, information: &str) -> Self {
        self.information = Some(information.to_owned());
        self
    }

    pub(crate) fn gives(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    pub(crate) fn raw(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) async fn hold(self) {
        let api = Api::new();
        let answer = api.json(self.method, &self.path, self.body).await;
        assert_eq!(
            answer.status,
            self.status,
            "{}: {}",
            self.says,
            answer.text()
        );
        assert!(
            answer.header("x-global-transaction-id").is_some(),
            "{}",
            self.says
        );
        if answer.status == 204 {
            assert_eq!(answer.text(), "", "{}", self.says);
            return;
        }
        let envelope = answer.envelope();
        if let Some(information) = self.information {
            assert_eq!(envelope["moreInformation"], information, "{}", self.says);
        }
        if let Some(expected) = self.data {
            let mut data = envelope["data"].clone();
            for made in ["id", "alertId"] {
                if expected.get(made).is_none() {
                    data.as_object_mut().unwrap().remove(made);
                }
            }
            assert_eq!(data, expected, "{}", self.says);
        }
        if self.status >= 400 {
            assert!(envelope["errorCode"].is_string(), "{}", self.says);
            assert!(
                api.queue.accepted().is_empty(),
                "{}: nothing is stored",
                self.says
            );
        }
    }
}

pub(crate) fn alert(target: Value, severity: Value, message: Value) -> Value {
    json!({"target": target, "severity": severity, "message": message})
}

pub(crate) fn alert_case(says: &'static str, body: Value, status: u16) -> Case {
    case(says, "POST", "/v1/alerts", body, status)
}
