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

/// What was lost runs on where nobody can see it, and its slot is counted until a task would surely have ended. One quick task that
/// had ended made that a few seconds, and more ran than may.
#[test]
fn a_slot_in_doubt_is_not_given_away_by_what_one_quick_task_took() {
    let ops = vec![Op::Admit(3), Op::Start, Op::Submit(SubmitFault::LoseAnswer), Op::Wait(1)];
    let kind = Kind::SendsAgain;
    play(Case { kind, in_flight: 2, interval: 1, canary: 0, budget: None, probe: false, seed: 417, ops }).unwrap();
}

/// What is lost where nothing can be looked up is a person's once it was quiet; the slot alone is kept until its task would surely
/// have ended: for what is still to be sent, by the run, and by the next one. No run waits for that at its end.
#[test]
fn a_slot_is_kept_for_a_held_row_as_long_as_anything_is_to_be_sent() {
    let case = |seed, ops: &[Op]| {
        let (kind, ops) = (Kind::FindsNothing, ops.to_vec());
        play(Case { kind, in_flight: 1, interval: 1, canary: 0, budget: None, probe: false, seed, ops }).unwrap()
    };
    let late = Op::Submit(SubmitFault::Late(45));
    for seed in 0..20 {
        let alone = case(seed, &[late, Op::Admit(1), Op::Start, Op::Wait(700)]);
        assert!(alone.seconds < 120, "{alone:?}");
        // Its request came after 45 s, and was held after 70: the next row is not sent into its slot.
        let two = case(seed, &[late, Op::Admit(2), Op::Start, Op::Wait(700)]);
        assert!((360..460).contains(&two.seconds), "{two:?}");
        let in_two_runs = [late, Op::Admit(1), Op::Start, Op::Wait(75), Op::Admit(1), Op::Start, Op::Wait(700)];
        let later = case(seed, &in_two_runs);
        assert!((360..460).contains(&later.seconds), "{later:?}");
        // A person who says which task it is, or that there is none, speaks of the slot, too.
        let settled = [&in_two_runs[..6], &[Op::Wait(75), Op::Resolve, Op::Wait(700)]].concat();
        let settled = case(seed, &settled);
        assert!(settled.seconds < 300, "{settled:?}");
    }
}
