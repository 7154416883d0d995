//! Looking a setting up in several layers: the last one that has it wins, and what is wrong with it is told with its place.

use std::time::Duration;

use super::layer::Layer;
use super::setting::Key;
use super::{ConfigError, parse_size, parse_span};

/// Layers over one another, in rising order.
#[derive(Debug)]
pub(super) struct Find<'a> {
    layers: Vec<&'a Layer>,
}

impl<'a> Find<'a> {
    pub(super) const fn over(layers: Vec<&'a Layer>) -> Self {
        Self { layers }
    }

    /// A value with where it stands.
    pub(super) fn told(&self, key: Key) -> Option<(&'a str, &'a str)> {
        self.layers.iter().rev().find_map(|layer| layer.get(key))
    }

    /// A value.
    pub(super) fn text(&self, key: Key) -> Option<&'a str> {
        self.told(key).map(|(_, value)| value)
    }

    /// A value as `read` understands it.
    pub(super) fn parse<T>(
        &self,
        key: Key,
        read: impl FnOnce(&str) -> Option<T>,
        expected: &str,
    ) -> Result<Option<T>, ConfigError> {
        self.told(key).map(|(origin, value)| read(value).ok_or_else(|| wrong(origin, key, value, expected))).transpose()
    }

    /// A span of time.
    pub(super) fn span(&self, key: Key) -> Result<Option<Duration>, ConfigError> {
        self.parse(key, parse_span, "a span such as 500ms, 60s, 2m or 24h")
    }

    /// A size in bytes.
    pub(super) fn size(&self, key: Key) -> Result<Option<u64>, ConfigError> {
        self.parse(key, parse_size, "a size such as 500MB or 1GiB")
    }

    /// A whole number from 1 to `most`.
    pub(super) fn count(&self, key: Key, most: usize) -> Result<Option<usize>, ConfigError> {
        let read = |text: &str| text.parse().ok().filter(|count| (1..=most).contains(count));
        self.parse(key, read, &format!("a whole number from 1 to {most}"))
    }

    /// `true` or `false`.
    pub(super) fn truth(&self, key: Key) -> Result<Option<bool>, ConfigError> {
        self.parse(key, |text| text.parse().ok(), "true or false")
    }

    /// Prices of scenes; one of a later layer wins.
    pub(super) fn prices(&self) -> impl Iterator<Item = (&'a str, &'a (String, String))> + use<'a, '_> {
        self.layers.iter().flat_map(|layer| layer.prices())
    }
}

/// A value that is not valid.
pub(super) fn wrong(origin: &str, key: Key, value: &str, expected: &str) -> ConfigError {
    ConfigError::Value {
        origin: origin.to_owned(),
        key: key.word(),
        value: value.to_owned(),
        expected: expected.to_owned(),
    }
}
