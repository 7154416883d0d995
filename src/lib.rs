//! nightreel: a manifest goes in, paid-once videos come out.
//!
//! ```text
//!  manifest.csv                                                            output tree
//!       │                                                                       ▲
//!  manifest ──rows──► plan ──steps──► store ◄──────── ledger.record(event) ──┐  │
//!   (parse)          (survey)        (admit)                                 │  │
//!                                      │ take_due   ┌──────── pipeline ──────┴──┼───┐
//!                                      ├───────────►│ submit ───► gateway.submit   │
//!                                      ├───────────►│ reconcile ► gateway.find     │
//!                                      ├───────────►│ watch ────► gateway.observe  │
//!                                      └───────────►│ collect ──► download ► sink  │
//!                                                   └──────────────┬───────────────┘
//!                                                                  │ notices (may lag, may be lost)
//!                                                                  ▼
//!                                                          progress · log
//! ```
//!
//! Stages meet only in the ledger: a fresh start, a resume after `kill -9` and a retry next morning are the same code.
//! The intent to submit is durable before a request leaves; an intent without an outcome is *in doubt*, and is never
//! simply sent again.
//!
//! Who may use whom (lower levels only; modules of one level do not know each other; `tests/architecture.rs` keeps it):
//!
//! | level | modules |
//! |---|---|
//! | 0 | `domain` |
//! | 1 | `pace` |
//! | 2 | `manifest` `catalogue` `image` `store` `gateway` `sink` `notify` `simulator` (which uses only `pace`: it is an independent witness) |
//! | 3 | `plan` `ledger` `scan` |
//! | 4 | `pipeline` `report` |
//! | 5 | `config` `serve` |
//! | 6 | `cli` |
//! | 7 | `fuzzing`, for fuzzers and tests only |
//!
//! # Glossary
//!
//! One word per idea, in code, SQL, command line, logs and documents.
//!
//! - **batch**: one manifest under one name.
//! - **row**: a line of a manifest.
//! - **job**: what we want; a row as the ledger knows it.
//! - **attempt**: what we may have paid for; a job has one at a time, counted from 1.
//! - **task**: what the remote calls an attempt.
//! - **reference**: our own name for an attempt, sent as `external_task_id`.
//! - **observation**: what the remote says of a task.
//! - **scene**: an effect, as the remote names it.
//! - **standing**: what the vendor's newest pages say of a scene: current, gone, or only announced.
//! - **units**: what the vendor bills in.
//! - **quote**: what an effect will probably cost, and how sure that is.
//! - **artifact**: a finished video in the output tree.
//! - **gallery**: the page that shows every video beside its picture.
//! - **rejected**: of a finished row: its video is not what was wanted, and is to be made again.
//! - **event**: one thing that happened to a job; appended, never changed.
//! - **taken**: a job that a stage works on; nobody else is given it.
//! - **in doubt**: nobody knows whether an attempt made a task.
//! - **held**: in doubt, for a person to settle.
//! - **stuck**: the remote has the task, and it was waited for in vain; asked for again by the next run.
//! - **account**: a gateway with a key and its limits.
//! - **lane**: an account at work in a run.
//! - **pool**: accounts that share their slots.
//! - **slot**: one of an account's parallel generations.
//! - **probe**: of slots: a request beyond those that are counted, which the remote refuses while all run; of a gateway: a
//!   question for a task that does not exist.
//! - **canary**: the rows of a scene that go ahead of the rest.
//! - **budget**: what may be paid in all runs of a batch.
//! - **handle**: where a remote said that a task is to be asked for.
//! - **run**: one process working on a ledger.
//! - **fleet**: the processes that work on one ledger together.
//! - **lease**: what says that a process of a fleet still has what it has taken.
//! - **room**: the slots of an account as a fleet counts them.
//! - **fit**: an image that the remote will take, as far as can be told from here; else it is **unfit**.
//! - **fit copy**: what `scan` makes of an unfit image, or of one that is stored turned.
//! - **lent**: of a picture: put into an object store, and named to the remote by a signed link that ends.
//! - **shift**: the hours of one run: from when on it may send, and when it ends.
//! - **notice**: something worth telling while a run is on.

pub mod catalogue;
pub mod cli;
pub mod config;
pub mod domain;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod gateway;
pub mod image;
pub mod ledger;
pub mod manifest;
pub mod notify;
pub mod pace;
pub mod pipeline;
pub mod plan;
pub mod report;
pub mod scan;
pub mod serve;
pub mod simulator;
pub mod sink;
pub mod store;
