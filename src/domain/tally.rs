//! How many jobs are in which state.

use serde::Serialize;

use super::StateCode;

/// Counts of jobs by state, and of requests that may have been paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Tally {
    /// All of them.
    pub rows: u64,
    /// To be submitted.
    pub planned: u64,
    /// Being submitted, or in doubt and not yet given to a person.
    pub submitting: u64,
    /// At the remote.
    pub waiting: u64,
    /// Made, to be fetched.
    pub ready: u64,
    /// In the output tree.
    pub done: u64,
    /// Ended without a video.
    pub failed: u64,
    /// In doubt, for a person to settle.
    pub held: u64,
    /// Past their deadline.
    pub stuck: u64,
    /// Requests that may have been paid.
    pub submissions: u64,
}

impl Tally {
    /// Counts `jobs` more in a state, with the requests that may have been paid for them.
    pub const fn add(&mut self, code: StateCode, jobs: u64, submissions: u64) {
        self.rows += jobs;
        self.submissions += submissions;
        match code {
            StateCode::Planned => self.planned += jobs,
            StateCode::Submitting | StateCode::InDoubt => self.submitting += jobs,
            StateCode::Waiting => self.waiting += jobs,
            StateCode::Ready => self.ready += jobs,
            StateCode::Done => self.done += jobs,
            StateCode::Failed => self.failed += jobs,
            StateCode::Held => self.held += jobs,
            StateCode::Stuck => self.stuck += jobs,
        }
    }

    /// Jobs that nightreel itself will still work on.
    #[must_use]
    pub const fn open(&self) -> u64 {
        self.planned + self.submitting + self.waiting + self.ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_to_do_is_all_that_has_not_come_to_an_end_and_needs_no_person() {
        let mut tally = Tally::default();
        for number in 1..=9 {
            let code = StateCode::from_number(number).unwrap();
            tally.add(code, 1 << number, 2);
        }
        assert_eq!((tally.rows, tally.submissions), ((1 << 10) - 2, 18));
        let left =
            [StateCode::Planned, StateCode::Submitting, StateCode::InDoubt, StateCode::Waiting, StateCode::Ready];
        assert_eq!(tally.open(), left.iter().map(|code| 1_u64 << code.number()).sum::<u64>());
    }
}
