//! The kinds of remote that a person can name without describing them: what each is able to do, and where it is.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::Capabilities;

/// What can be said of a remote of which nothing is known.
const NONE: Capabilities = Capabilities { find: false, unique: false, list: false, many: None, refuses: false };

/// How many tasks Kling tells of at once (documented without a limit; 21 were refused, observed).
pub(super) const MANY: usize = 20;

/// A kind of remote, by the name that a configuration uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Preset {
    /// nightreel's own simulator.
    Simulator,
    /// Kling itself.
    Kling,
    /// A gateway that speaks the Kling wire format, of which nothing more is known.
    KlingCompatible,
    /// `CometAPI`, which speaks the Kling wire format.
    CometApi,
    /// `KKIAI`, which speaks the Kling wire format.
    Kkiai,
    /// fal, with a protocol of its own.
    Fal,
    /// `WaveSpeed`, with a protocol of its own.
    WaveSpeed,
}

/// Where Kling is: accounts and keys of one region are unknown in the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Region {
    /// Outside China.
    #[default]
    Singapore,
    /// China.
    Beijing,
}

/// A text that names no preset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a kind of gateway: it is one of {}", Preset::ALL.map(Preset::word).join(", "))]
pub struct UnknownPreset {
    /// What was found.
    pub found: String,
}

/// A text that names no region.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a region: it is singapore or beijing")]
pub struct UnknownRegion {
    /// What was found.
    pub found: String,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Simulator, Self::Kling, Self::KlingCompatible, Self::CometApi, Self::Kkiai, Self::Fal, Self::WaveSpeed];

    /// The name in a configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Simulator => "simulator",
            Self::Kling => "kling",
            Self::KlingCompatible => "kling-compatible",
            Self::CometApi => "cometapi",
            Self::Kkiai => "kkiai",
            Self::Fal => "fal",
            Self::WaveSpeed => "wavespeed",
        }
    }

    /// What such a remote can do unless the configuration says otherwise.
    ///
    /// Kling: the look-up, the list and the question for several tasks are documented (the last one for plain API keys
    /// only, and not tried on effects); that an `external_task_id` is taken only once was observed on other products of
    /// the same API, not on effects. That 1303 makes nothing and costs nothing is documented, and was observed on other
    /// products. Gateways: nothing, because none documents it for effects.
    #[must_use]
    pub const fn capabilities(self) -> Capabilities {
        match self {
            Self::Simulator | Self::Kling => {
                Capabilities { find: true, unique: true, list: true, many: Some(MANY), refuses: true }
            }
            Self::KlingCompatible | Self::CometApi | Self::Kkiai | Self::Fal | Self::WaveSpeed => NONE,
        }
    }

    /// Where it is, where there is only one such place (all documented). `region` matters to Kling alone.
    #[must_use]
    pub const fn default_base_url(self, region: Region) -> Option<&'static str> {
        match (self, region) {
            (Self::Kling, Region::Singapore) => Some("https://api-singapore.klingai.com"),
            (Self::Kling, Region::Beijing) => Some("https://api-beijing.klingai.com"),
            (Self::CometApi, _) => Some("https://api.cometapi.com/kling"),
            (Self::Kkiai, _) => Some("https://www.kkiai.com/kling"),
            (Self::Fal, _) => Some("https://queue.fal.run"),
            (Self::WaveSpeed, _) => Some("https://api.wavespeed.ai"),
            (Self::Simulator | Self::KlingCompatible, _) => None,
        }
    }

    /// How often it is worth asking about one task, at the most. Gateways of new-api's family ask Kling every 15 seconds
    /// and answer from their memory (read in its source); `CometAPI` itself suggests 10 to 20 seconds.
    #[must_use]
    pub const fn min_poll(self) -> Duration {
        match self {
            Self::CometApi | Self::Kkiai => Duration::from_secs(10),
            Self::Simulator | Self::Kling | Self::KlingCompatible | Self::Fal | Self::WaveSpeed => {
                Duration::from_secs(2)
            }
        }
    }

    /// Whether every request must name a duration (`CometAPI`, documented).
    #[must_use]
    pub const fn requires_duration(self) -> bool {
        matches!(self, Self::CometApi)
    }

    /// Whether `duration`, `model_name` and `mode` of a row are sent unless the configuration says otherwise. Kling's
    /// present page no longer knows them (documented; whether it refuses them is not known), its gateways do.
    #[must_use]
    pub const fn sends_parameters(self) -> bool {
        !matches!(self, Self::Kling)
    }

    /// How long a finished video can be fetched; `None` where nobody says. Kling: 30 days (documented).
    #[must_use]
    pub const fn retention(self) -> Option<Duration> {
        match self {
            Self::Kling => Some(Duration::from_hours(30 * 24)),
            Self::Simulator | Self::KlingCompatible | Self::CometApi | Self::Kkiai | Self::Fal | Self::WaveSpeed => {
                None
            }
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

impl Region {
    /// The name in a configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Singapore => "singapore",
            Self::Beijing => "beijing",
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Region {
    type Err = UnknownRegion;

    fn from_str(text: &str) -> Result<Self, UnknownRegion> {
        [Self::Singapore, Self::Beijing]
            .into_iter()
            .find(|region| region.word() == text)
            .ok_or_else(|| UnknownRegion { found: text.to_owned() })
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
        let unknown = "Kling".parse::<Preset>().unwrap_err();
        assert!(unknown.to_string().ends_with("cometapi, kkiai, fal, wavespeed"), "{unknown}");
        for region in [Region::Singapore, Region::Beijing] {
            assert_eq!(region.to_string().parse(), Ok(region));
        }
        assert!("Peking".parse::<Region>().is_err());
    }

    #[test]
    fn only_a_remote_that_is_known_to_refuse_repeats_may_be_sent_to_again() {
        for preset in Preset::ALL {
            let known = matches!(preset, Preset::Simulator | Preset::Kling);
            assert_eq!(preset.capabilities().resend_is_safe(), known, "{preset}");
        }
    }
}
