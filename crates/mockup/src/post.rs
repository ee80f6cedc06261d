//! The arguments of a call to Slack: a JSON or a form body, and the token from
//! the header or the body. Errors have Slack's names.

use std::borrow::Cow;

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::answer::Refusal;
use crate::hooks::Hook;
use crate::refusals::Named;

/// What a `chat.postMessage` said, before any of it is checked.
#[derive(Default, Deserialize)]
pub(crate) struct Post {
    pub(crate) channel: Option<String>,
    text: Option<String>,
    token: Option<String>,
    blocks: Option<IgnoredAny>,
    attachments: Option<IgnoredAny>,
    /// Where it is a webhook, which needs no token.
    #[serde(skip)]
    hook: Option<Box<Hook>>,
}

/// A `chat.postMessage` with all that it needs.
pub(crate) struct Message {
    pub(crate) channel: String,
    pub(crate) text: String,
    pub(crate) token: String,
    pub(crate) hook: Option<Box<Hook>>,
}

impl Post {
    /// Reads the arguments; a token in the header wins over one in the body.
    pub(crate) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, Refusal> {
        let mut post = match Encoding::of(headers, body)? {
            Encoding::Nothing => Self::default(),
            Encoding::Json => Self::from_json(body)?,
            Encoding::Form => Self::from_form(body),
        };
        if let Some(token) = bearer_token(headers) {
            post.token = Some(token);
        }
        Ok(post)
    }

    /// A webhook that was sent to `channel`.
    pub(crate) fn of_hook(channel: String, text: String, hook: Hook) -> Self {
        Self {
            channel: Some(channel),
            text: Some(text),
            hook: Some(Box::new(hook)),
            ..Self::default()
        }
    }

    /// What is wrong with it, checked as Slack does: the token first, then the
    /// channel, then the text, which blocks or attachments make dispensable.
    pub(crate) fn fault(&self) -> Option<Refusal> {
        let given = |value: &Option<String>| value.as_ref().is_some_and(|text| !text.is_empty());
        let is_hook = self.hook.is_some();
        let dispenses = is_hook || self.blocks.is_some() || self.attachments.is_some();
        if !given(&self.token) && !is_hook {
            Some(Refusal::slack("not_authed"))
        } else if !given(&self.channel) {
            Some(Refusal::slack("channel_not_found"))
        } else if !given(&self.text) && !dispenses {
            Some(Refusal::slack("no_text"))
        } else {
            None
        }
    }

    /// The message that it is, where it has no [`fault`](Self::fault).
    pub(crate) fn into_message(self) -> Message {
        Message {
            channel: self.channel.unwrap_or_default(),
            text: self.text.unwrap_or_default(),
            token: self.token.unwrap_or_default(),
            hook: self.hook,
        }
    }

    /// What is shown of it where it is refused.
    pub(crate) fn into_named(self) -> Named {
        Named {
            channel: self.channel.unwrap_or_default(),
            text: self.text.unwrap_or_default(),
        }
    }

    /// Whether it is a webhook.
    pub(crate) fn is_hook(&self) -> bool {
        self.hook.is_some()
    }

    fn from_json(body: &[u8]) -> Result<Self, Refusal> {
        let is_object = body.trim_ascii_start().first() == Some(&b'{');
        if is_object {
            serde_json::from_slice(body).map_err(|error| match error.classify() {
                serde_json::error::Category::Data => Refusal::slack("invalid_arguments"),
                _ => Refusal::slack("invalid_json"),
            })
        } else if serde_json::from_slice::<IgnoredAny>(body).is_ok() {
            Err(Refusal::slack("json_not_object"))
        } else {
            Err(Refusal::slack("invalid_json"))
        }
    }

    fn from_form(body: &[u8]) -> Self {
        let mut post = Self::default();
        for (name, value) in form_urlencoded::parse(body) {
            match &*name {
                "channel" => post.channel = Some(value.into_owned()),
                "text" => post.text = Some(value.into_owned()),
                "token" => post.token = Some(value.into_owned()),
                "blocks" if !value.is_empty() => post.blocks = Some(IgnoredAny),
                "attachments" if !value.is_empty() => post.attachments = Some(IgnoredAny),
                _ => {}
            }
        }
        post
    }
}

/// How a body is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Nothing,
    Json,
    Form,
}

impl Encoding {
    /// What `Content-Type` says; parameters such as a charset do not matter.
    pub(crate) fn of(headers: &HeaderMap, body: &[u8]) -> Result<Self, Refusal> {
        if body.is_empty() {
            return Ok(Self::Nothing);
        }
        let Some(value) = headers.get(CONTENT_TYPE) else {
            return Err(Refusal::slack("missing_post_type"));
        };
        let essence = value.as_bytes().split(|byte| *byte == b';').next();
        let essence = essence.unwrap_or_default().trim_ascii();
        if essence.eq_ignore_ascii_case(b"application/json") {
            Ok(Self::Json)
        } else if essence.eq_ignore_ascii_case(b"application/x-www-form-urlencoded") {
            Ok(Self::Form)
        } else {
            Err(Refusal::slack("invalid_post_type"))
        }
    }
}

/// The token of `Authorization: Bearer ...`
/// ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
pub(crate) fn bearer_token(headers: &HeaderMap) -> Option<String> {
    let value = String::from_utf8_lossy(headers.get(AUTHORIZATION)?.as_bytes());
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.to_owned())
}

/// The arguments of any call, in order: those of the query, then of the body.
pub(crate) fn arguments(
    query: Option<&str>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<serde_json::Map<String, serde_json::Value>, Refusal> {
    let from_pairs = |pairs: &[u8]| {
        form_urlencoded::parse(pairs)
            .map(|(name, value): (Cow<'_, str>, Cow<'_, str>)| (name.into(), (*value).into()))
            .collect::<serde_json::Map<String, serde_json::Value>>()
    };
    let mut arguments = from_pairs(query.unwrap_or_default().as_bytes());
    arguments.extend(match Encoding::of(headers, body)? {
        Encoding::Nothing => serde_json::Map::new(),
        Encoding::Form => from_pairs(body),
        Encoding::Json => {
            serde_json::from_slice(body).map_err(|_| Refusal::slack("invalid_json"))?
        }
    });
    Ok(arguments)
}
