//! What the measurements share: ledgers of any size in the real format, manifests, and the reading of clocks.

#![allow(dead_code, reason = "each program uses its part")]

use std::fmt::Write as _;
use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nightreel::domain::{BatchName, Effect, ImageSource, Images, OutputKey, RowKey};
use nightreel::store::sqlite::SqliteStore;
use nightreel::store::{NewJob, Store};
use rusqlite::Connection;

/// When everything began that is in a made-up ledger.
pub(crate) const LONG_AGO: i64 = 1_790_000_000;
/// Rows that are admitted at once, as `run` does it.
const AT_ONCE: usize = 2_000;
const SCENES: [&str; 5] = ["squish", "hug_pro", "dj_pet", "balloon_parade", "snowglobe"];

/// Where made-up ledgers are kept while a measurement runs: on the disk that the build is on, not in memory.
pub(crate) fn scratch() -> tempfile::TempDir {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(target).unwrap();
    tempfile::tempdir_in(target).unwrap()
}

/// Processor time of this process's threads, all of which live on.
pub(crate) fn cpu() -> Duration {
    let threads = fs::read_dir("/proc/self/task").unwrap().map(|entry| entry.unwrap().path().join("schedstat"));
    let nanos = |path: PathBuf| fs::read_to_string(path).unwrap().split(' ').next().unwrap().parse::<u64>().unwrap();
    Duration::from_nanos(threads.map(nanos).sum())
}

/// The middle one.
pub(crate) fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

/// Whether the command line asks for this part; all are, where it names none.
pub(crate) fn wanted(part: &str) -> bool {
    let is_name = |arg: &String| !arg.starts_with('-') && arg.parse::<usize>().is_err();
    let names: Vec<String> = std::env::args().skip(1).filter(is_name).collect();
    names.is_empty() || names.iter().any(|name| name == part)
}

/// The numbers of rows that the command line names, else these.
pub(crate) fn sizes(usual: &[usize]) -> Vec<usize> {
    let named: Vec<usize> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    if named.is_empty() { usual.to_vec() } else { named }
}

/// Tells a finding.
pub(crate) fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// What ran, and how long it took.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let done = work();
    (done, begun.elapsed())
}

fn scene(row: usize) -> &'static str {
    SCENES[row % SCENES.len()]
}

/// A manifest of rows with ids, image URLs and a column of their own.
pub(crate) fn manifest(path: &Path, rows: usize) {
    written(path, rows, |row| format!("https://cdn.example.com/wedding/photos/{row:07}.jpg"));
}

/// The same, each row naming one of some pictures on the disk.
pub(crate) fn manifest_of_pictures(path: &Path, rows: usize, pictures: usize) {
    let photo = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/photos");
    let photo = fs::read_dir(photo)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "jpg"));
    let bytes = fs::read(photo.unwrap()).unwrap();
    let folder = path.parent().unwrap().join("photos");
    fs::create_dir_all(&folder).unwrap();
    for picture in 0..pictures {
        // What stands behind a JPEG's end is no part of the picture, and makes each file another one.
        let other: Vec<u8> = bytes.iter().copied().chain(picture.to_le_bytes()).collect();
        fs::write(folder.join(format!("{picture:04}.jpg")), other).unwrap();
    }
    written(path, rows, |row| format!("photos/{:04}.jpg", row % pictures));
}

fn written(path: &Path, rows: usize, image: impl Fn(usize) -> String) {
    let mut file = BufWriter::new(fs::File::create(path).unwrap());
    writeln!(file, "id,scene,images,duration,guest").unwrap();
    for row in 0..rows {
        writeln!(file, "row{row:07},{},{},5,guest number {row}", scene(row), image(row)).unwrap();
    }
    file.flush().unwrap();
}

/// A row as that manifest has it.
pub(crate) fn row(number: usize) -> NewJob {
    let label = format!("row{number:07}");
    let image = ImageSource::Url(format!("https://cdn.example.com/wedding/photos/{number:07}.jpg"));
    let scene = scene(number).to_owned();
    let output = OutputKey::new(format!("{scene}/{label}.mp4")).unwrap();
    let effect = Effect { scene, images: Images::One(image), duration: Some("5".into()), model: None, mode: None };
    let columns = format!("{{\"guest\":\"guest number {number}\"}}");
    NewJob { key: RowKey::of_id(&label), label, content: effect.content(), effect, output, columns, account: None }
}

/// A ledger of `rows` rows of one batch of which the first `done` are done, with the history that they have by then. Made by
/// the store, and brought so far by statements over all rows at once.
pub(crate) fn ledger(path: &Path, manifest: &Path, rows: usize, done: usize) {
    let at = Timestamp::from_second(LONG_AGO).unwrap();
    let store = SqliteStore::open(path, at).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let name = BatchName::new(manifest.file_stem().unwrap().to_str().unwrap()).unwrap();
        let out = path.parent().unwrap().join("videos");
        let batch = store.open_batch(name, out, vec!["guest".into()], manifest.to_path_buf()).await.unwrap();
        for from in (0..rows).step_by(AT_ONCE) {
            let jobs = (from..rows.min(from + AT_ONCE)).map(row).collect();
            store.admit(batch.id, jobs, at).await.unwrap();
        }
        store.close().await.unwrap();
    });
    drop(store);
    Connection::open(path).unwrap().execute_batch(&done_with(done)).unwrap();
}

/// Brings the first jobs to their end.
fn done_with(done: usize) -> String {
    let ms = LONG_AGO * 1000;
    let reference = "'nr-' || lower(hex(substr(content, 1, 12))) || '-a1'";
    let task = "printf('8672837417%08d', id)";
    let artifact = "json_object('key', output, 'bytes', 2500000 + id, 'sha256', lower(hex(content)))";
    let attempt = format!(
        "json_object('number', 1, 'client_ref', {reference}, 'account', 'studio', 'started_at',
            '2026-09-21T13:46:40.945Z', 'price', json_object('amount', '0.28', 'currency', 'USD'), 'task', {task},
            'took_ms', 321000, 'put_offs', 0, 'risks', 0, 'dead_links', 0)"
    );
    let link = "'https://cdn.example.com/bs2/upload-kling-api/' || lower(hex(content)) || '.mp4'";
    let mut sql = format!(
        "PRAGMA synchronous = OFF; PRAGMA cache_size = -400000; PRAGMA temp_store = FILE; BEGIN;
        UPDATE jobs SET state = 6, detail = json_object('state', 'done', 'artifact', json({artifact})), due_at = NULL,
            attempt = {attempt}, account = 'studio', task = {task}, client_ref = {reference}, submissions = 1, version = 4,
            finished_at = {ms} + id * 50, started_at = {ms} WHERE id <= {done};
        INSERT OR IGNORE INTO accounts (name, gateway, base_url) VALUES ('studio', 'kling', 'http://127.0.0.1:9');"
    );
    let events = [
        (
            "submit_started",
            format!(
                "'attempt', 1, 'client_ref', {reference}, 'account', 'studio', 'price',
                json_object('amount', '0.28', 'currency', 'USD')"
            ),
        ),
        ("accepted", format!("'task', {task}")),
        ("succeeded", format!("'link', {link}, 'took_ms', 321000")),
        ("stored", format!("'artifact', json({artifact})")),
    ];
    let told: Vec<String> = events
        .iter()
        .enumerate()
        .map(|(number, (name, data))| {
            format!(
                "SELECT id AS job, {ms} + id * 50 + {number} AS at, '{name}' AS name,
                    json_object('event', '{name}', {data}) AS data FROM jobs WHERE id <= {done}"
            )
        })
        .collect();
    write!(
        sql,
        "INSERT INTO events (job, at, name, data) SELECT * FROM ({}) ORDER BY job, at;
        DELETE FROM groups;
        INSERT INTO groups (batch, scene, sender, state, jobs, submissions)
            SELECT batch, scene, '', state, count(*), sum(submissions) FROM jobs GROUP BY 1, 2, 4;
        INSERT INTO spending (batch, account, currency, micros, requests)
            SELECT batch, account, 'USD', 280000 * count(*), count(*) FROM jobs WHERE submissions > 0 GROUP BY 1, 2;
        INSERT INTO durations (account, took_ms) SELECT 'studio', 300000 + id FROM jobs WHERE id <= min(2000, {done});
        COMMIT; PRAGMA wal_checkpoint(TRUNCATE);",
        told.join(" UNION ALL ")
    )
    .unwrap();
    sql
}

/// A copy of a ledger, to be spent.
pub(crate) fn copy(from: &Path, name: &str) -> PathBuf {
    let to = from.with_file_name(name);
    fs::copy(from, &to).unwrap();
    // Written out before anything is measured.
    fs::File::open(&to).unwrap().sync_all().unwrap();
    to
}
