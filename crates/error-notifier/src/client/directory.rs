//! Users and groups of the server: looked up, listed, written.

use hyper::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;

use super::error::ClientError;
use super::http::{Call, Client};

/// One of the two kinds of things that the directory holds.
pub(crate) struct Kind {
    /// The word for one of them.
    pub(crate) word: &'static str,
    /// Where the API has them.
    pub(crate) path: &'static str,
    /// What stands before a name where it is a target.
    sigil: &'static str,
}

impl Kind {
    /// Things that no alert is targeted at.
    pub(crate) const fn new(word: &'static str, path: &'static str) -> Self {
        Self {
            word,
            path,
            sigil: "",
        }
    }
}

/// Users, at `/v1/users`.
pub(crate) const USER: Kind = Kind {
    word: "user",
    path: "/v1/users",
    sigil: "@",
};

/// Groups, at `/v1/noti-groups`.
pub(crate) const GROUP: Kind = Kind {
    word: "group",
    path: "/v1/noti-groups",
    sigil: "@@",
};

/// A user as the server shows it; its token never comes back.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) channel_id: String,
    /// The last characters of a token that is long enough to show them.
    pub(crate) token_hint: Option<String>,
}

/// A group as the server shows it.
#[derive(Debug, Deserialize)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) desc: String,
    /// Left out where a list does not tell the members.
    pub(crate) users: Option<Vec<Member>>,
}

/// A member of a group.
#[derive(Debug, Deserialize)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    items: Vec<Value>,
    next_cursor: Option<String>,
}

impl Client {
    /// All of `kind` whose names begin with `prefix`, page after page.
    pub(crate) async fn list(&self, kind: &Kind, prefix: &str) -> Result<Vec<Value>, ClientError> {
        let mut all = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let page = self.page(kind, prefix, cursor.as_deref()).await?;
            all.extend(page.items);
            if page.next_cursor.is_none() {
                return Ok(all);
            }
            // A cursor that leads to itself would go on for ever.
            if page.next_cursor == cursor {
                return Err(self.foreign(StatusCode::OK));
            }
            cursor = page.next_cursor;
        }
    }

    /// The one of `kind` with this id, or of exactly this name (as a target is
    /// written, or bare).
    pub(crate) async fn find(&self, kind: &Kind, id_or_name: &str) -> Result<Value, ClientError> {
        if let Ok(id) = Uuid::try_parse(id_or_name) {
            return self.call(Call::bare(Method::GET, item(kind, &id))).await;
        }
        let bare = id_or_name.strip_prefix(kind.sigil).unwrap_or(id_or_name);
        // The server stores names composed; a terminal may send them decomposed.
        let name: String = bare.nfc().collect();
        let found = self.list(kind, &name).await?.into_iter();
        found
            .into_iter()
            .find(|one| one["name"].as_str() == Some(&name))
            .ok_or(ClientError::NoSuch {
                kind: kind.word,
                name,
            })
    }

    /// Makes sure that nothing of `kind` has `id`, before a `PUT` creates it.
    pub(crate) async fn must_be_free(&self, kind: &Kind, id: &Uuid) -> Result<(), ClientError> {
        match self.call(Call::bare(Method::GET, item(kind, id))).await {
            Ok(_) => Err(ClientError::Exists {
                kind: kind.word,
                id: id.to_string(),
            }),
            Err(ClientError::Refused { status, .. }) if status == StatusCode::NOT_FOUND => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// `value` as a `User`, a `Group`, …
    pub(crate) fn read<T: for<'de> Deserialize<'de>>(
        &self,
        value: &Value,
    ) -> Result<T, ClientError> {
        T::deserialize(value).map_err(|_| self.foreign(StatusCode::OK))
    }

    async fn page(
        &self,
        kind: &Kind,
        prefix: &str,
        cursor: Option<&str>,
    ) -> Result<Page, ClientError> {
        let mut path = format!("{}?limit=1000", kind.path);
        for (key, value) in [("name", Some(prefix)), ("cursor", cursor)] {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
                path.push_str(&format!("&{key}={value}"));
            }
        }
        let data = self.call(Call::bare(Method::GET, path)).await?;
        self.read(&data)
    }
}

/// The path of one of `kind`.
pub(crate) fn item(kind: &Kind, id: &Uuid) -> String {
    format!("{}/{id}", kind.path)
}
