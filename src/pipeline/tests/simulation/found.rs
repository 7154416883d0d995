//! Cases that failed once, as small as they went. Each is of a fault that was in nightreel.

use super::*;

/// Where nothing can be looked up, a row in doubt waits until its task would surely have ended: half as long again as the
/// slowest one took, which need not be a whole number of milliseconds, as the ledger keeps them. The row was given out up to
/// a millisecond too early, and put off to the same instant without end.
#[test]
fn a_look_that_is_put_off_within_a_millisecond_comes_to_an_end() {
    for seed in 0..40 {
        let ops = vec![Op::Admit(1), Op::Start, Op::Wait(75), Op::Admit(1), Op::Start];
        let ops = [ops, vec![Op::Submit(SubmitFault::LoseAnswer), Op::Wait(200)]].concat();
        let (kind, interval) = (Kind::FindsNothing, 1);
        let case = Case { kind, in_flight: 1, interval, canary: 0, budget: None, probe: false, seed, ops };
        play(case).unwrap();
    }
}
