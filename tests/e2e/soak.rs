//! A run that goes on for long, with everything going wrong now and then: what it holds does not grow with what it has done.
//! `NIGHTREEL_SOAK_SECONDS` makes it longer.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::World;

/// How long it goes on by default.
const SECONDS: u64 = 8;
/// Requests a second.
const RATE: u64 = 10;
const FAULTS: [&str; 14] = [
    "lose-answer=0.03",
    "error-500-after=0.03",
    "drop-before=0.03",
    "html-502-before=0.02",
    "late-visible=0.1:200ms",
    "query-garbage=0.03",
    "query-404=0.03",
    "query-500=0.03",
    "query-drop=0.02",
    "truncate=0.05",
    "file-drop=0.03",
    "file-html=0.03",
    "short-file=0.02",
    "link-expired=0.05",
];
/// Memory that may come to be used once everything has happened, in KiB.
const ALLOWANCE: u64 = 4 * 1024;
/// What SQLite keeps of the ledger in memory, in KiB: all of it, up to this.
const CACHE: u64 = 16_000;
/// Files that a run may have open.
const MOST_FILES: usize = 64;
/// What the write-ahead log may grow to: SQLite folds it in at two thousand pages, and keeps at most 16 MiB of it.
const MOST_WAL: u64 = 20 << 20;

/// What a process holds at an instant.
#[derive(Debug, Clone, Copy)]
struct Held {
    seconds: u64,
    rss_kib: u64,
    files: usize,
    ledger: u64,
    wal: u64,
    log: u64,
    threads: usize,
}

fn size(path: &Path) -> u64 {
    path.metadata().map_or(0, |found| found.len())
}

fn held(run: &Child, world: &World, begun: Instant) -> Option<Held> {
    let process = format!("/proc/{}", run.id());
    let status = fs::read_to_string(format!("{process}/status")).ok()?;
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let rss_kib = rss.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(Held {
        seconds: begun.elapsed().as_secs(),
        rss_kib,
        files: fs::read_dir(format!("{process}/fd")).ok()?.count(),
        ledger: size(&world.path("state/nightreel.db")),
        wal: size(&world.path("state/nightreel.db-wal")),
        log: size(&world.path("night.log")),
        threads: fs::read_dir(format!("{process}/task")).ok()?.count(),
    })
}

fn most<T: Ord>(of: &[Held], what: impl Fn(&Held) -> T) -> T {
    of.iter().map(what).max().unwrap()
}

#[test]
fn a_run_that_goes_on_for_long_holds_no_more_than_in_its_beginning() {
    let seconds = std::env::var("NIGHTREEL_SOAK_SECONDS").map_or(SECONDS, |text| text.parse().unwrap());
    let rows = usize::try_from(seconds * RATE).unwrap();
    let faults: Vec<&str> = FAULTS.iter().flat_map(|fault| ["--fault", fault]).collect();
    let world = World::new(&faults);
    let manifest = world.manifest("m.csv", rows);
    let args = world.kling(&[manifest.to_str().unwrap(), "--rate", "10/s", "--canary", "0", "--max-failures", "off"]);
    let log = File::create(world.path("night.log")).unwrap();
    let mut run = world.command(&args).stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let begun = Instant::now();
    let mut taken: Vec<Held> = Vec::new();
    let step = Duration::from_millis((seconds * 1000 / 200).clamp(50, 5000));
    let code = loop {
        if let Some(ended) = run.try_wait().unwrap() {
            break ended.code();
        }
        taken.extend(held(&run, &world, begun));
        std::thread::sleep(step);
    };
    let said = fs::read_to_string(world.path("night.log")).unwrap();
    assert_eq!(code, Some(0), "{}", &said[said.len().saturating_sub(4000)..]);
    world.paid_once(rows);
    // What is held is counted once the first rows are done, and before the last are.
    let busy: Vec<Held> = taken.iter().copied().filter(|held| held.seconds >= 2 && held.seconds < seconds).collect();
    let (early, late) = busy.split_at(busy.len() / 2);
    let rss = |part: &[Held]| most(part, |held| held.rss_kib);
    let beside_cache = |part: &[Held]| most(part, |held| held.rss_kib.saturating_sub((held.ledger / 1024).min(CACHE)));
    println!(
        "{rows} rows in {} s: VmRSS {} then {} KiB, beside the ledger's cache {} then {}, files {} then {}, threads {}, WAL {} KiB, log {} then {} bytes a row",
        begun.elapsed().as_secs(),
        rss(early),
        rss(late),
        beside_cache(early),
        beside_cache(late),
        most(early, |held| held.files),
        most(late, |held| held.files),
        most(&busy, |held| held.threads),
        most(&busy, |held| held.wal) / 1024,
        most(early, |held| held.log) * 2 / rows as u64,
        (most(late, |held| held.log) - most(early, |held| held.log)) * 2 / rows as u64,
    );
    let before = beside_cache(early);
    assert!(beside_cache(late) <= before + before / 10 + ALLOWANCE, "memory grows: {busy:?}");
    assert!(most(&busy, |held| held.files) <= MOST_FILES, "files stay open: {busy:?}");
    assert!(most(&busy, |held| held.wal) <= MOST_WAL, "the log of the ledger grows: {busy:?}");
    let grown = most(late, |held| held.log) - most(early, |held| held.log);
    assert!(grown <= most(early, |held| held.log) * 3 / 2 + 64 * 1024, "the log grows faster and faster: {busy:?}");
}
