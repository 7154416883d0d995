//! What this process keeps to itself: it holds keys, so that neither a core file nor another process of the same user gets to
//! see its memory or its environment. Commands that it starts are as they were, but write no core files either.

use rustix::process::{Resource, Rlimit, setrlimit};

/// From now on no core file is written, and nobody but the machine's administrator can look into the process.
pub(super) fn keep_to_itself() {
    // Where the system refuses either, keys are as safe as any program's: no reason not to work.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    // A limit alone does not hold back core files that are piped to a program.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, dumpable_behavior, getrlimit};

    use super::*;

    #[test]
    fn no_core_file_is_written_and_nobody_looks_in() {
        keep_to_itself();
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
