//! What a job is and may become: the words of nightreel, as types. No input or output, no async, no clock.
//!
//! The only function that changes a job's state is [`Job::apply`], in `transition`.

mod artifact;
mod cause;
mod digest;
mod effect;
mod event;
mod ids;
mod job;
mod money;
mod observation;
mod output;
mod state;
mod tally;
mod transition;

pub use artifact::Artifact;
pub use cause::{Doubt, FailureCause};
pub use digest::{Digest, NotADigest};
pub use effect::{Effect, ImageSource, Images, Picture, PictureFile};
pub use event::{JobEvent, Verdict};
pub use ids::{AccountName, BatchId, BatchName, ClientRef, Handle, Invalid, JobId, RowKey, TaskId};
pub use job::{Attempt, Job};
pub use money::{Currency, Money, NotAnAmount, Price, Units};
pub use observation::{Observation, Progress};
pub use output::{OutputKey, UnsafeOutput};
pub use state::{State, StateCode};
pub use tally::Tally;
pub use transition::IllegalTransition;
