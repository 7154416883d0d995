//! What a night costs, beside what people do today: `cargo bench --bench night -- NAME…`, or all of it without a name.
//!
//! The binary is the real one, the remote is `nightreel simulate` in a process of its own, and the figures come from what the
//! remote and the kernel counted. `long-slots` alone plays on virtual time, within this process. BENCHMARKS.md has the results.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark that cannot measure fails, prints what it found, and reads the clock"
)]

mod downloads;
mod host;
mod long_slots;
mod overhead;
mod pace;
mod pictures;
mod rig;
mod slots;

const BENCHES: [(&str, fn()); 6] = [
    ("slots", slots::run),
    ("long-slots", long_slots::run),
    ("pace", pace::run),
    ("overhead", overhead::run),
    ("downloads", downloads::run),
    ("pictures", pictures::run),
];

fn main() {
    // Cargo itself says `--bench`.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if let Some(unknown) = wanted.iter().find(|name| BENCHES.iter().all(|(known, _)| known != name)) {
        println!("there is no {unknown:?}; there are: {}", BENCHES.map(|(name, _)| name).join(", "));
        return;
    }
    for (name, run) in BENCHES {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            println!("\n{name}");
            run();
        }
    }
}
