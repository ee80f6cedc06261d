//! The secret that a webhook's requests are signed with.

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_STANDARD};
use common::Secret;
use zeroize::Zeroizing;

/// A secret made ready for signing. It shows nothing of itself.
pub(super) struct SigningKey(hmac::Key);

impl SigningKey {
    /// The key in a secret as Standard Webhooks write it, `whsec_` and base64; `None`
    /// where it is not one.
    pub(super) fn of(secret: &Secret) -> Option<Self> {
        let base64 = secret.expose().strip_prefix("whsec_")?;
        let bytes = Zeroizing::new(BASE64_STANDARD.decode(base64).ok()?);
        (!bytes.is_empty()).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The value of `webhook-signature`
    /// (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#signature-scheme>).
    pub(super) fn signature(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mut content = format!("{id}.{timestamp}.").into_bytes();
        content.extend_from_slice(body);
        let tag = hmac::sign(&self.0, &content);
        format!("v1,{}", BASE64_STANDARD.encode(tag.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's libraries
    /// (<https://github.com/standard-webhooks/standard-webhooks/tree/main/libraries>).
    #[test]
    fn a_request_is_signed_as_other_implementations_sign_it() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let key = SigningKey::of(&secret).unwrap();
        assert_eq!(
            key.signature(
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                br#"{"test": 2432232314}"#
            ),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn what_is_no_secret_of_a_webhook_is_no_key() {
        for text in [
            "",
            "xoxb-1",
            "whsec_",
            "whsec_!",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ] {
            assert!(SigningKey::of(&Secret::new(text)).is_none(), "{text:?}");
        }
    }
}
