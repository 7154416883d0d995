//! What is played: a remote of some kind, settings, and a list of things that happen.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::remote::{FileFault, QueryFault, SubmitFault};

/// What the remote can do, and how many accounts there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It finds references and makes none twice.
    Finds,
    /// It finds nothing and makes everything that it is asked for: doubt is held.
    FindsNothing,
    /// The same, and the user chose to send again what is in doubt, once.
    SendsAgain,
    /// Two accounts of the first kind.
    TwoAccounts,
}

/// All of it.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) kind: Kind,
    pub(super) in_flight: usize,
    /// Seconds between two requests.
    pub(super) interval: u64,
    pub(super) canary: u64,
    /// How many requests may be paid.
    pub(super) budget: Option<u32>,
    /// Slots are filled by probes; the remote allows as many as are set.
    pub(super) probe: bool,
    pub(super) seed: u64,
    pub(super) ops: Vec<Op>,
}

/// One thing that happens. What makes no sense at the moment does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    /// So many rows more.
    Admit(u8),
    /// A row asks for something else; only where certainly nothing was paid for it.
    Change(u8),
    /// The same where it may have been paid: the user said so.
    ChangePaid(u8),
    /// A row is taken out of the manifest.
    Remove(u8),
    /// A row's video goes elsewhere.
    Move(u8),
    /// A row is for one account only.
    Route(u8),
    /// Failed rows are tried again.
    Retry,
    /// A person settles what is held or stuck, truthfully.
    Resolve,
    /// Two persons settle the same row at the same moment.
    ResolveTwice,
    /// A finished video is deleted, and missed.
    LoseVideo(u8),
    /// A run begins, where none is on.
    Start,
    /// So many seconds pass.
    Wait(u16),
    /// The run is told to stop.
    Stop,
    /// The run is killed.
    Kill,
    /// The run is killed after so many commits more.
    KillAfter(u8),
    /// A second run is begun beside the first.
    Second,
    /// The run is to send nothing for now, to go on, to send nothing more.
    Hold,
    Resume,
    Drain,
    /// A callback for a row's task comes, again.
    Call(u8),
    /// A callback for a task that is not there.
    ForgeCall,
    /// A thousand of them.
    CallStorm,
    /// The clock is set by so many seconds.
    SetClock(i32),
    /// The machine stands still for so many seconds.
    Freeze(u16),
    /// So many tasks may run at the remote.
    Allow(u8),
    /// Tasks fail from now on, or not.
    Fail(bool),
    Submit(SubmitFault),
    Query(QueryFault),
    File(FileFault),
}

fn op(kind: Kind) -> impl Strategy<Value = Op> {
    use Op as O;
    let row = || 0..6_u8;
    let submit = prop_oneof![
        3 => Just(SubmitFault::LoseRequest),
        4 => Just(SubmitFault::LoseAnswer),
        2 => Just(SubmitFault::Error),
        1 => Just(SubmitFault::Garbage),
        2 => Just(SubmitFault::Hang),
        2 => select(vec![5, 25, 45]).prop_map(SubmitFault::Late),
        1 => Just(SubmitFault::Unreachable),
        2 => (0..20_u8).prop_map(SubmitFault::Throttle),
        1 => Just(SubmitFault::Busy),
        1 => Just(SubmitFault::Reject),
        1 => Just(SubmitFault::NoKey),
    ];
    let query = prop_oneof![
        2 => Just(QueryFault::Unclear),
        1 => (0..30_u8).prop_map(QueryFault::Throttle),
        3 => Just(QueryFault::Absent),
        1 => Just(QueryFault::Pending),
        1 => Just(QueryFault::NoKey),
        1 => Just(QueryFault::Hang),
    ];
    let file = prop_oneof![
        3 => Just(FileFault::Truncate),
        1 => Just(FileFault::Short),
        1 => Just(FileFault::Page),
        1 => Just(FileFault::Error),
        2 => Just(FileFault::Dead),
        1 => Just(FileFault::Hang),
        1 => (0..90_u8).prop_map(FileFault::Slow),
    ];
    // A person who settles while a request is still on its way is not asked to be right.
    let routes = u32::from(kind == Kind::TwoAccounts) * 2;
    prop_oneof![
        4 => (1..4_u8).prop_map(O::Admit),
        1 => row().prop_map(O::Change),
        1 => row().prop_map(O::ChangePaid),
        1 => row().prop_map(O::Remove),
        1 => row().prop_map(O::Move),
        1 + routes => row().prop_map(O::Route),
        1 => Just(O::Retry),
        1 => Just(O::Resolve),
        1 => Just(O::ResolveTwice),
        1 => row().prop_map(O::LoseVideo),
        10 => Just(O::Start),
        14 => select(vec![1, 2, 5, 11, 20, 40, 75, 200, 700]).prop_map(O::Wait),
        2 => Just(O::Stop),
        3 => Just(O::Kill),
        5 => (1..9_u8).prop_map(O::KillAfter),
        1 => Just(O::Second),
        1 => Just(O::Hold),
        1 => Just(O::Resume),
        1 => Just(O::Drain),
        1 => row().prop_map(O::Call),
        1 => Just(O::ForgeCall),
        1 => Just(O::CallStorm),
        2 => select(vec![-3600, 3600, -40, 40]).prop_map(O::SetClock),
        1 => select(vec![3, 60, 3600]).prop_map(O::Freeze),
        1 => (1..4_u8).prop_map(O::Allow),
        1 => any::<bool>().prop_map(O::Fail),
        10 => submit.prop_map(O::Submit),
        5 => query.prop_map(O::Query),
        5 => file.prop_map(O::File),
    ]
}

/// Cases of a kind.
pub(super) fn case(kind: Kind) -> impl Strategy<Value = Case> {
    let settings = (
        1..4_usize,
        select(vec![1, 1, 4]),
        select(vec![0, 0, 0, 1, 2]),
        prop_oneof![3 => Just(None), 1 => (1..6_u32).prop_map(Some)],
        prop_oneof![3 => Just(false), 1 => Just(true)],
        0..1000_u64,
    );
    // Most nights begin with rows and a run; what is made smaller need not.
    let beginning = prop_oneof![1 => Just(vec![]), 6 => (1..5_u8).prop_map(|rows| vec![Op::Admit(rows), Op::Start])];
    (settings, beginning, vec(op(kind), 2..28)).prop_map(move |(settings, mut ops, more)| {
        let (in_flight, interval, canary, budget, probe, seed) = settings;
        ops.extend(more);
        Case { kind, in_flight, interval, canary, budget, probe, seed, ops }
    })
}
