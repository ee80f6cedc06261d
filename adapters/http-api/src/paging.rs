//! Lists in pages.

use std::ops::Deref;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use producer::domain::text::normalise;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::errors::ApiError;

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;
/// The first byte of a cursor. Another form of cursor gets another number.
const VERSION: u8 = 1;
/// A page ends early where its items name this many members or groups, so that
/// its size is bounded whatever they hold.
const MAX_WEIGHT: usize = 20_000;

/// Which list a cursor belongs to: its second byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Users = b'u' as isize,
    Groups = b'g' as isize,
    Tokens = b't' as isize,
}

/// Where a list goes on, as an earlier page of it said; an empty one is none. Nothing else
/// is taken, so nobody can make one up.
#[derive(Deserialize, ToSchema)]
#[schema(value_type = String, format = "cursor")]
pub(crate) struct Cursor(String);

impl Deref for Cursor {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// The parameters of a list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// The most items of the page, 1 to 1000. A page may have fewer and yet not
    /// be the last, where its items are large.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<String>,
    /// The `nextCursor` of the page before.
    cursor: Option<Cursor>,
    /// Only items whose name begins so.
    name: Option<String>,
}

/// Which part of a list is asked for.
#[derive(Debug)]
pub(crate) struct PageRequest {
    pub(crate) limit: usize,
    pub(crate) prefix: String,
    pub(crate) after: Option<String>,
    list: List,
}

/// A part of a list.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page<T> {
    /// In the order of their names.
    pub(crate) items: Vec<T>,
    /// Where the next page begins; null on the last.
    pub(crate) next_cursor: Option<String>,
}

impl PageRequest {
    /// Reads the parameters of `list`.
    pub(crate) fn parse(params: ListParams, list: List) -> Result<Self, ApiError> {
        let cursor = params.cursor.filter(|text| !text.is_empty());
        let after = match cursor {
            None => None,
            Some(text) => Some(decode(list, &text).ok_or_else(|| ApiError::Field {
                field: "cursor",
                sentence: "cursor must be the nextCursor of this list's page before.".into(),
            })?),
        };
        Ok(Self {
            limit: limit(params.limit.as_deref())?,
            prefix: normalise(&params.name.unwrap_or_default()),
            after,
            list,
        })
    }

    /// The page of `found`, all items from where it begins; `view` shows one,
    /// `name` is its name, `weight` how many others it names.
    pub(crate) fn fill<I, T>(
        &self,
        found: impl Iterator<Item = I>,
        view: impl Fn(&I) -> T,
        name: impl Fn(&I) -> &str,
        weight: impl Fn(&T) -> usize,
    ) -> Page<T> {
        let mut found = found.peekable();
        let mut items = Vec::with_capacity(self.limit.min(DEFAULT_LIMIT));
        let mut total = 0;
        while let Some(item) = found.next() {
            let shown = view(&item);
            total += weight(&shown);
            items.push(shown);
            if items.len() == self.limit || total >= MAX_WEIGHT {
                return Page {
                    items,
                    next_cursor: found.peek().map(|_| encode(self.list, name(&item))),
                };
            }
        }
        Page {
            items,
            next_cursor: None,
        }
    }
}

fn limit(text: Option<&str>) -> Result<usize, ApiError> {
    let Some(text) = text else {
        return Ok(DEFAULT_LIMIT);
    };
    let limit = text.parse().ok();
    limit
        .filter(|limit| (1..=MAX_LIMIT).contains(limit))
        .ok_or_else(|| ApiError::Field {
            field: "limit",
            sentence: format!("limit must be a number from 1 to {MAX_LIMIT}."),
        })
}

fn encode(list: List, last_name: &str) -> String {
    let mut bytes = vec![VERSION, list as u8];
    bytes.extend_from_slice(last_name.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(list: List, cursor: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let name = bytes.strip_prefix(&[VERSION, list as u8])?;
    String::from_utf8(name.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_reads_back_as_the_name_it_was_made_of(name in ".*") {
            let cursor = encode(List::Users, &name);
            prop_assert_eq!(decode(List::Users, &cursor), Some(name));
            prop_assert_eq!(decode(List::Groups, &cursor), None);
        }

        #[test]
        fn a_cursor_is_safe_in_a_query(name in ".*") {
            let cursor = encode(List::Groups, &name);
            prop_assert!(cursor.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
        }

        #[test]
        fn no_bytes_make_reading_a_cursor_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), text in ".*") {
            decode(List::Users, &text);
            decode(List::Users, &URL_SAFE_NO_PAD.encode(bytes));
        }
    }

    #[test]
    fn a_cursor_of_another_version_is_refused() {
        let cursor = URL_SAFE_NO_PAD.encode([2, b'u', b'a']);
        assert_eq!(decode(List::Users, &cursor), None);
    }

    #[test]
    fn a_page_of_large_items_ends_early_and_goes_on_where_it_ended() {
        let request = PageRequest {
            limit: 1000,
            prefix: String::new(),
            after: None,
            list: List::Groups,
        };
        let names = ["a", "b", "c"];
        let page = request.fill(names.iter(), |name| **name, |name| name, |_| 15_000);
        assert_eq!(page.items, ["a", "b"]);
        let next = page.next_cursor.unwrap();
        assert_eq!(decode(List::Groups, &next).as_deref(), Some("b"));
    }
}
