//! Who could send the rows of a manifest, as far as a survey asks: by which prices, and what of a row is sent.

use crate::catalogue::PriceTable;
use crate::domain::AccountName;
use crate::gateway::{Parameters, Preset};

/// An account that could send rows.
#[derive(Debug, Clone)]
pub struct Sender {
    /// Its name; without one it stands for any account.
    pub name: Option<AccountName>,
    /// The kind of its gateway, where that is known.
    pub preset: Option<Preset>,
    /// Which of a row's parameters it is set to send.
    pub parameters: Parameters,
    /// What it asks for effects.
    pub prices: PriceTable,
}

/// Who could send the rows of a manifest.
#[derive(Debug, Clone)]
pub struct Senders {
    /// The accounts at work, at least one.
    pub at_work: Vec<Sender>,
    /// All accounts that a row may name, at work or not; empty where that is not known.
    pub named: Vec<AccountName>,
}

impl Sender {
    /// Whether it may send a row that names `account`, or none.
    pub(super) fn may_send(&self, account: Option<&AccountName>) -> bool {
        account.is_none_or(|account| self.name.as_ref().is_none_or(|name| name == account))
    }

    /// The gateway, where a row's duration, model and mode are not sent to it.
    pub(super) fn leaves_parameters_out(&self) -> Option<Preset> {
        let preset = self.preset.filter(|preset| speaks_kling(*preset))?;
        let sent = match self.parameters {
            Parameters::Preset => preset.sends_parameters(),
            Parameters::All => true,
            Parameters::None => false,
        };
        (!sent).then_some(preset)
    }

    /// The gateway, where it is sent the usual duration for a row that has none.
    pub(super) fn adds_duration(&self) -> Option<Preset> {
        let preset = self.preset.filter(|preset| preset.requires_duration())?;
        self.leaves_parameters_out().is_none().then_some(preset)
    }
}

/// Whether the setting of what is sent concerns it: protocols of their own say themselves what they can carry.
const fn speaks_kling(preset: Preset) -> bool {
    match preset {
        Preset::Simulator | Preset::Kling | Preset::KlingCompatible | Preset::CometApi | Preset::Kkiai => true,
        Preset::Fal | Preset::WaveSpeed => false,
    }
}
