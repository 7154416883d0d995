//! "Did you mean": what a name that does not exist is most like.

use crate::store::{Filter, Pages, Store, StoreError};

/// Rows that are read at a time, and at most: of more, the first are looked at.
const PAGE: usize = 1000;
const MOST: usize = 100_000;
/// From this likeness on, a name was probably meant.
const ALIKE: f64 = 0.8;

/// The one of `names` that `found` is most like, when it is like any.
pub(super) fn near<'a>(found: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names.into_iter().map(|name| (likeness(found, name), name)).fold(None, better).map(|(_, name)| name)
}

/// The row of those that `filter` leaves whose name is most like `found`.
pub(super) async fn row(store: &dyn Store, filter: Filter, found: &str) -> Result<Option<String>, StoreError> {
    let (mut best, mut seen) = (None, 0);
    let mut pages = Pages::of(store, Filter { named: None, ..filter }, PAGE);
    while seen < MOST {
        let Some(jobs) = pages.next().await? else { break };
        seen += jobs.len();
        best = jobs.into_iter().map(|job| (likeness(found, &job.label), job.label)).fold(best, better);
    }
    Ok(best.map(|(_, name)| name))
}

/// From 0 to 1; capitals do not matter.
fn likeness(found: &str, name: &str) -> f64 {
    strsim::jaro_winkler(&found.to_lowercase(), &name.to_lowercase())
}

fn better<T>(best: Option<(f64, T)>, other: (f64, T)) -> Option<(f64, T)> {
    match best {
        Some(best) if best.0 >= other.0 => Some(best),
        best => {
            if other.0 > ALIKE {
                Some(other)
            } else {
                best
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_meant_and_none_where_none_is_near() {
        let names = ["wedding", "weeding", "birthday"];
        assert_eq!(near("Weding", names), Some("wedding"));
        assert_eq!(near("birhtday", names), Some("birthday"));
        assert_eq!(near("xyz", names), None);
    }
}
