//! The real binary against the simulator, which runs as a process of its own and outlives every kill.

mod killed;
mod limits;
mod lost;
mod manifests;
mod signals;
mod support;
mod verbs;
