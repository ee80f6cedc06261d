//! The API token that calls are made with.

use common::Secret;
use hyper::header::HeaderValue;
use producer::domain::ApiTokenSecret;

use super::error::ClientError;
use crate::config::settings::ApiTokenSettings;

/// The header that shows the token; `None` where none is given.
///
/// # Errors
/// [`ClientError::Token`] where it cannot be read, or is not whole: then there is no need to
/// ask the server.
pub(super) fn header(settings: &ApiTokenSettings) -> Result<Option<HeaderValue>, ClientError> {
    let token = match (&settings.api_token, &settings.api_token_file) {
        (Some(token), _) => Secret::new(token.expose()),
        (None, Some(path)) => {
            let read = std::fs::read_to_string(path).map_err(|error| {
                ClientError::Token(format!("cannot be read from {}: {error}", path.display()))
            })?;
            Secret::new(read)
        }
        (None, None) => return Ok(None),
    };
    let token = token.expose().trim();
    let header = ApiTokenSecret::parse(token)
        .and_then(|_| HeaderValue::try_from(format!("Bearer {token}")).ok());
    let mut header = header.ok_or_else(|| {
        ClientError::Token(
            "is none, or not a whole one: it begins with en_ and has 51 characters".into(),
        )
    })?;
    header.set_sensitive(true);
    Ok(Some(header))
}
