//! Values of the settings of Kafka.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;

/// Form of the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KafkaFormat {
    /// Tokens, channels and texts readable with the key alone
    Sealed,
    /// The three fields of the contract, readable by everyone
    Plain,
}

/// Properties that librdkafka is given as they are.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct KafkaProperties(BTreeMap<String, String>);

impl KafkaProperties {
    pub(crate) fn into_map(self) -> BTreeMap<String, String> {
        self.0
    }
}

impl fmt::Debug for KafkaProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

impl FromStr for KafkaProperties {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let properties = lines.map(|line| match line.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                Ok((name.trim().to_owned(), value.to_owned()))
            }
            _ => Err("write one name=value a line, such as security.protocol=SASL_SSL".to_owned()),
        });
        properties.collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_read_line_by_line_and_shown_by_name_alone() {
        let read: KafkaProperties = "a.b=1\n\nsasl.password=x=,y ".parse().unwrap();
        assert_eq!(format!("{read:?}"), r#"["a.b", "sasl.password"]"#);
        let expected = [("a.b", "1"), ("sasl.password", "x=,y ")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(read.into_map(), expected.into());
        assert!("a.b".parse::<KafkaProperties>().is_err());
        assert!("=1".parse::<KafkaProperties>().is_err());
    }
}
