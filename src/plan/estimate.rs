//! How long it will take until the last row is made: by the accounts' rates, their parallel generations, and how long a
//! task usually takes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::domain::AccountName;

use super::load::Load;

/// What an effect's task is taken to need where none has ended yet: what a public client waits for effects by (a constant
/// in its source; no document says how long effects take).
pub const USUAL_TASK: Duration = Duration::from_secs(320);

/// An account, as far as time goes.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Its name; without one it stands for any account.
    pub account: Option<AccountName>,
    /// The span between two requests that may be paid.
    pub interval: Duration,
    /// Parallel generations, at least 1.
    pub in_flight: usize,
    /// Accounts of one pool share their parallel generations: the fewest that one of them is set to.
    pub pool: Option<String>,
    /// How long one task takes.
    pub task: Duration,
}

/// How long tasks usually took: the median; `None` where none has ended.
#[must_use]
pub fn usual(mut recent: Vec<Duration>) -> Option<Duration> {
    recent.sort_unstable();
    recent.get(recent.len() / 2).copied()
}

/// How long it will take until the last row of `load` is made, when nothing is refused and nothing else runs.
///
/// That is the earliest instant by which the accounts can have sent every row, each in its rate and in its parallel
/// generations, and one task from there on. One task more where the rest of a scene waits for its first `canary` rows; the
/// scenes in `proven` need none.
#[must_use]
pub fn expected(load: &Load, paces: &[Pace], canary: u64, proven: &BTreeSet<String>) -> Duration {
    let pinned = |pace: &Pace| pace.account.as_ref().and_then(|name| load.pinned.get(name)).copied().unwrap_or(0);
    let at_work: Vec<&Pace> = paces.iter().filter(|pace| load.shared > 0 || pinned(pace) > 0).collect();
    let Some(slowest) = at_work.iter().map(|pace| pace.task).max() else { return Duration::ZERO };
    let mut pools: BTreeMap<Place<'_>, Pool> = BTreeMap::new();
    for (place, pace) in at_work.iter().enumerate() {
        let place = pace.pool.as_deref().map_or(Place::Own(place), Place::Pool);
        let pool = pools.entry(place).or_insert(Pool { slots: pace.in_flight, task: pace.task, members: Vec::new() });
        pool.slots = pool.slots.min(pace.in_flight);
        pool.task = pool.task.max(pace.task);
        pool.members.push((pace.interval, pinned(pace)));
    }
    let total = u128::from(load.requests);
    let all_sent = |at: Duration| {
        let by_pool = pools.values().map(|pool| pool.sent_by(at));
        by_pool.collect::<Option<Vec<u128>>>().is_some_and(|sent| sent.into_iter().sum::<u128>() >= total)
    };
    // By then even one account alone has sent everything, one after another.
    let longest = at_work.iter().map(|pace| pace.interval.max(pace.task)).max().unwrap_or_default();
    let (mut early, mut late) = (0, longest.as_millis().saturating_add(1).saturating_mul(total));
    while early < late {
        let middle = early + (late - early) / 2;
        if all_sent(millis(middle)) {
            late = middle;
        } else {
            early = middle + 1;
        }
    }
    let waits = |(scene, rows): (&String, &u64)| canary > 0 && *rows > canary && !proven.contains(scene);
    let first_rows = if load.scenes.iter().any(waits) { slowest } else { Duration::ZERO };
    millis(early).saturating_add(slowest).saturating_add(first_rows)
}

fn millis(millis: u128) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Place<'a> {
    Own(usize),
    Pool(&'a str),
}

/// Accounts that share their parallel generations, perhaps only one.
struct Pool {
    slots: usize,
    task: Duration,
    /// Each one's interval, and the rows that only it may send.
    members: Vec<(Duration, u64)>,
}

impl Pool {
    /// How many rows it can have sent by then; `None` while it cannot have sent those that only it may.
    fn sent_by(&self, at: Duration) -> Option<u128> {
        let slots = self.slots as u128 * times(at, self.task);
        let (mut by_rate, mut pinned) = (0_u128, 0_u128);
        for (interval, rows) in &self.members {
            let sent = times(at, *interval);
            if sent < u128::from(*rows) {
                return None;
            }
            by_rate = by_rate.saturating_add(sent);
            pinned += u128::from(*rows);
        }
        (slots >= pinned).then_some(by_rate.min(slots))
    }
}

/// How often something happens by then that happens at once and after each `span`.
fn times(at: Duration, span: Duration) -> u128 {
    at.as_nanos().checked_div(span.as_nanos()).map_or(u128::from(u64::MAX), |times| times + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(name: &str, interval: u64, in_flight: usize, task: u64) -> Pace {
        let seconds = Duration::from_secs;
        let account = Some(AccountName::new(name).unwrap());
        Pace { account, interval: seconds(interval), in_flight, pool: None, task: seconds(task) }
    }

    fn load(shared: u64, pinned: &[(&str, u64)]) -> Load {
        let pinned: BTreeMap<_, _> =
            pinned.iter().map(|(name, rows)| (AccountName::new(*name).unwrap(), *rows)).collect();
        let requests = shared + pinned.values().sum::<u64>();
        Load { requests, shared, pinned, ..Load::default() }
    }

    fn seconds(load: &Load, paces: &[Pace]) -> u64 {
        expected(load, paces, 2, &BTreeSet::new()).as_secs()
    }

    #[test]
    fn one_account_is_bound_by_its_rate_or_by_its_slots() {
        // Thirty rounds of five, the last of which begins after 29 tasks.
        assert_eq!(seconds(&load(148, &[]), &[pace("a", 3, 5, 320)]), 29 * 320 + 320);
        assert_eq!(seconds(&load(150, &[]), &[pace("a", 3, 5, 320)]), 29 * 320 + 320);
        assert_eq!(seconds(&load(151, &[]), &[pace("a", 3, 5, 320)]), 30 * 320 + 320);
        // Slots enough: the last of 148 leaves 147 intervals after the first.
        assert_eq!(seconds(&load(148, &[]), &[pace("a", 3, 1000, 320)]), 147 * 3 + 320);
        assert_eq!(seconds(&load(1, &[]), &[pace("a", 3, 5, 320)]), 320);
        assert_eq!(seconds(&load(0, &[]), &[pace("a", 3, 5, 320)]), 0);
        let large = load(1_000_000, &[]);
        assert_eq!(seconds(&large, &[pace("a", 1, 5, 320)]), 200_000 * 320);
    }

    #[test]
    fn accounts_share_what_any_may_send_and_keep_what_only_they_may() {
        let two = [pace("a", 1, 5, 100), pace("b", 1, 5, 100)];
        // Ten at a time instead of five.
        assert_eq!(seconds(&load(100, &[]), &two), 9 * 100 + 100);
        // All hundred are b's: ten fives, of which a can take none.
        assert_eq!(seconds(&load(0, &[("b", 50)]), &two), 9 * 100 + 100);
        // b is busy with its own for as long as a is with the rest.
        assert_eq!(seconds(&load(50, &[("b", 50)]), &two), 9 * 100 + 100);
        // An account that is slow and has nothing to send delays nobody.
        let slow = [pace("a", 1, 5, 100), pace("b", 1, 5, 9000)];
        assert_eq!(seconds(&load(0, &[("a", 10)]), &slow), 100 + 100);
    }

    #[test]
    fn a_pool_is_counted_once_by_its_fewest_slots() {
        let pooled = |pace: Pace| Pace { pool: Some("p".into()), ..pace };
        let two = [pooled(pace("a", 1, 5, 100)), pooled(pace("b", 1, 8, 100))];
        assert_eq!(seconds(&load(100, &[]), &two), 19 * 100 + 100);
        assert_eq!(seconds(&load(0, &[("a", 10), ("b", 10)]), &two), 3 * 100 + 100);
        // Their rates add up: 99 of 100 intervals of half a second.
        let fast = [pooled(pace("a", 10, 1000, 100)), pooled(pace("b", 10, 1000, 100))];
        assert_eq!(seconds(&load(100, &[]), &fast), 49 * 10 + 100);
    }

    #[test]
    fn the_rest_of_a_scene_waits_for_its_first_rows_unless_it_is_proven() {
        let mut load = load(10, &[]);
        load.scenes = [("squish".to_owned(), 8), ("hug".to_owned(), 2)].into();
        let paces = [pace("a", 1, 100, 50)];
        let none = BTreeSet::new();
        assert_eq!(expected(&load, &paces, 2, &none).as_secs(), 9 + 50 + 50);
        assert_eq!(expected(&load, &paces, 8, &none).as_secs(), 9 + 50);
        assert_eq!(expected(&load, &paces, 0, &none).as_secs(), 9 + 50);
        assert_eq!(expected(&load, &paces, 2, &BTreeSet::from(["squish".to_owned()])).as_secs(), 9 + 50);
    }

    #[test]
    fn the_usual_time_is_the_middle_one() {
        let seconds = |some: &[u64]| usual(some.iter().map(|s| Duration::from_secs(*s)).collect());
        assert_eq!(seconds(&[]), None);
        assert_eq!(seconds(&[900, 10, 300]), Some(Duration::from_secs(300)));
    }
}
