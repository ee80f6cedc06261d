//! The form of every JSON answer of the API.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

/// `{"httpCode", "httpMessage", "moreInformation", "data", …}`; the status is
/// read from the answer's first line, and what is unknown is passed over.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Envelope {
    /// Stands in every envelope, which tells it from other JSON.
    pub(crate) http_message: String,
    pub(crate) more_information: Option<String>,
    #[serde(default)]
    pub(crate) data: Value,
    #[serde(default)]
    pub(crate) errors: Vec<Problem>,
}

/// One thing that is wrong with what was sent.
#[derive(Debug, Deserialize)]
pub(crate) struct Problem {
    /// Line of the imported file, from 1.
    pub(crate) line: Option<u64>,
    /// Field of the request.
    pub(crate) field: Option<String>,
    #[serde(default)]
    pub(crate) message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.message)
    }
}
