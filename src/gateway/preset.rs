//! The kinds of remote that a person can name without describing them: what each is able to do, and where it is.

use std::fmt;
use std::str::FromStr;

use super::Capabilities;

/// What can be said of a remote of which nothing is known.
const NONE: Capabilities = Capabilities { find: false, unique: false, list: false, many: None };

/// A kind of remote, by the name that a configuration uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Preset {
    /// nightreel's own simulator.
    Simulator,
    /// Kling itself.
    Kling,
    /// A gateway that speaks the Kling wire format, of which nothing more is known.
    KlingCompatible,
}

/// A text that names no preset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a kind of gateway: it is one of simulator, kling, kling-compatible")]
pub struct UnknownPreset {
    /// What was found.
    pub found: String,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Simulator, Self::Kling, Self::KlingCompatible];

    /// The name in a configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Simulator => "simulator",
            Self::Kling => "kling",
            Self::KlingCompatible => "kling-compatible",
        }
    }

    /// What such a remote can do unless the configuration says otherwise.
    ///
    /// Kling: the look-up and the list are documented; that an `external_task_id` is taken only once was observed on
    /// other products of the same API, not on effects. Gateways: nothing, because none documents it for effects.
    #[must_use]
    pub const fn capabilities(self) -> Capabilities {
        match self {
            Self::Simulator | Self::Kling => Capabilities { find: true, unique: true, list: true, ..NONE },
            Self::KlingCompatible => NONE,
        }
    }

    /// Where it is, where there is only one such place (Kling outside China, documented).
    #[must_use]
    pub const fn default_base_url(self) -> Option<&'static str> {
        match self {
            Self::Kling => Some("https://api-singapore.klingai.com"),
            Self::Simulator | Self::KlingCompatible => None,
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(text: &str) -> Result<Self, UnknownPreset> {
        Self::ALL
            .into_iter()
            .find(|preset| preset.word() == text)
            .ok_or_else(|| UnknownPreset { found: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_is_read_as_it_is_written() {
        for preset in Preset::ALL {
            assert_eq!(preset.to_string().parse(), Ok(preset));
        }
        assert!("Kling".parse::<Preset>().is_err());
    }

    #[test]
    fn only_a_remote_that_is_known_to_refuse_repeats_may_be_sent_to_again() {
        assert!(Preset::Kling.capabilities().resend_is_safe());
        assert!(!Preset::KlingCompatible.capabilities().resend_is_safe());
    }
}
