//! The account: what tasks were charged, and what its resource pack has left.

use super::task::Ms;
use super::world::World;

/// A charge: which task, when, how much, and how much the account had been charged before.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Charge {
    pub(super) task: String,
    pub(super) at: Ms,
    pub(super) units: f64,
    pub(super) before: f64,
}

/// What a pack that never runs out says that it holds.
const ENDLESS: f64 = 1_000_000.0;

impl World {
    /// Every charge so far, oldest first. Charges land when a task ends.
    pub(super) fn charges(&self, now: Ms) -> Vec<Charge> {
        let mut charged: Vec<_> = self.tasks.iter().filter(|task| task.charged(now) > 0.0).collect();
        charged.sort_by_key(|task| task.ends_at);
        let mut before = 0.0;
        let charge = |task: &&super::task::Task| {
            let charge = Charge { task: task.id.clone(), at: task.ends_at, units: task.units, before };
            before += task.units;
            charge
        };
        charged.iter().map(charge).collect()
    }

    /// Units charged so far.
    pub(super) fn units_charged(&self, now: Ms) -> f64 {
        self.tasks.iter().map(|task| task.charged(now)).sum()
    }

    /// What the pack held to begin with.
    pub(super) fn pack(&self) -> f64 {
        self.settings.pack.unwrap_or(ENDLESS)
    }

    /// Whether the pack cannot pay for one more task, those that run counted in. Whether the real one counts them is not
    /// documented: a guess that never overdraws.
    pub(super) fn is_pack_empty(&self, now: Ms) -> bool {
        let Some(pack) = self.settings.pack else { return false };
        let running: f64 =
            self.tasks.iter().filter(|task| task.ends_at > now && task.fails.is_none()).map(|task| task.units).sum();
        self.units_charged(now) + running + self.settings.units > pack
    }
}
