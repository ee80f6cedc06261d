//! Pages of the history, one after another.

use hyper::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;

use super::error::ClientError;
use super::http::{Call, Client};

/// The most items that the server puts on a page.
const PAGE: usize = 1_000;

/// A path's query in the making.
pub(crate) struct Query(String);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    items: Vec<Value>,
    next_cursor: Option<String>,
}

impl Query {
    /// The path with no parameter yet.
    pub(crate) fn of(path: &str) -> Self {
        Self(path.to_owned())
    }

    /// With a parameter, where there is a value for it.
    pub(crate) fn with(mut self, name: &str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            let mark = if self.0.contains('?') { '&' } else { '?' };
            let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
            self.0.push_str(&format!("{mark}{name}={value}"));
        }
        self
    }

    /// Path and query.
    pub(crate) fn text(self) -> String {
        self.0
    }
}

impl Client {
    /// The first `limit` items of a list; a page may be short of what was asked
    /// for, so it is gone on with until there are enough or no more.
    pub(crate) async fn first(
        &self,
        query: impl Fn() -> Query,
        limit: usize,
    ) -> Result<Vec<Value>, ClientError> {
        let (items, _) = self.first_and_last(query, limit).await?;
        Ok(items)
    }

    /// The same, with all that the last page held.
    pub(crate) async fn first_and_last(
        &self,
        query: impl Fn() -> Query,
        limit: usize,
    ) -> Result<(Vec<Value>, Value), ClientError> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let room = (limit - items.len()).min(PAGE).to_string();
            let path = query()
                .with("limit", Some(&room))
                .with("cursor", cursor.as_deref())
                .text();
            let data = self.call(Call::bare(Method::GET, path)).await?;
            let part: Part = self.read(&data)?;
            items.extend(part.items);
            if part.next_cursor.is_none() || items.len() >= limit {
                return Ok((items, data));
            }
            // A cursor that leads to itself would go on for ever.
            if part.next_cursor == cursor {
                return Err(self.foreign(StatusCode::OK));
            }
            cursor = part.next_cursor;
        }
    }
}
