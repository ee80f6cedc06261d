//! How urgent an alert is.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// How urgent an alert is. A higher one overtakes a lower one on its way to the
/// same destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Can wait.
    Low,
    /// The usual.
    Normal,
    /// Somebody has to look now.
    High,
}

/// The word was none of the three severities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Severity should be one of the following values: high, normal, low.")]
pub struct UnknownSeverity;

impl Severity {
    /// All severities, the most urgent first: the order in which they are served.
    pub const BY_URGENCY: [Severity; 3] = [Severity::High, Severity::Normal, Severity::Low];

    /// The lower-case word that the contract and the delivered text use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Severity::High => "high",
            Severity::Normal => "normal",
            Severity::Low => "low",
        }
    }

    /// The number stored and sent for this severity: 0 low, 1 normal, 2 high.
    /// Durable; never renumber.
    pub const fn code(self) -> u8 {
        match self {
            Severity::Low => 0,
            Severity::Normal => 1,
            Severity::High => 2,
        }
    }

    /// The severity of a stored [`code`](Self::code); `None` for any other number.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Severity::Low),
            1 => Some(Severity::Normal),
            2 => Some(Severity::High),
            _ => None,
        }
    }
}

impl FromStr for Severity {
    type Err = UnknownSeverity;

    /// Accepts the three words in any letter case.
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Severity::BY_URGENCY
            .into_iter()
            .find(|severity| severity.as_str().eq_ignore_ascii_case(word))
            .ok_or(UnknownSeverity)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Severity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Severity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        word.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_severity_is_read_in_any_letter_case() {
        assert_eq!("HIGH".parse(), Ok(Severity::High));
        assert_eq!("Normal".parse(), Ok(Severity::Normal));
        assert_eq!("low".parse(), Ok(Severity::Low));
    }

    #[test]
    fn any_other_word_is_refused_and_the_message_names_the_three() {
        let error = "urgent".parse::<Severity>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "Severity should be one of the following values: high, normal, low."
        );
    }

    #[test]
    fn a_stored_code_reads_back_as_the_severity_it_was_written_for() {
        for severity in Severity::BY_URGENCY {
            assert_eq!(Severity::from_code(severity.code()), Some(severity));
        }
        assert_eq!(Severity::from_code(3), None);
    }
}
