//! Every statement of the store, by name. Nowhere else stands SQL, but in the migrations.
//!
//! Where a query repeats the condition of a partial index word for word, it does so to be allowed to use it.

use std::sync::LazyLock;

pub(super) const PRAGMAS: &str = "
    PRAGMA trusted_schema = OFF;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA busy_timeout = 10000;
    PRAGMA cache_size = -16000;
    PRAGMA temp_store = MEMORY;
    PRAGMA wal_autocheckpoint = 2000;
    PRAGMA journal_size_limit = 16777216;";
pub(super) const PRAGMAS_READ: &str =
    "PRAGMA trusted_schema = OFF; PRAGMA query_only = ON; PRAGMA busy_timeout = 10000; PRAGMA cache_size = -8000;";
pub(super) const CHECKPOINT: &str = "PRAGMA wal_checkpoint(TRUNCATE)";
pub(super) const OPTIMIZE: &str = "PRAGMA optimize";

pub(super) const BEGIN: &str = "BEGIN";
pub(super) const COMMIT: &str = "COMMIT";
pub(super) const ROLLBACK: &str = "ROLLBACK";
pub(super) const STEP: &str = "SAVEPOINT step";
pub(super) const STEP_DONE: &str = "RELEASE step";
pub(super) const STEP_UNDONE: &str = "ROLLBACK TO step; RELEASE step";

pub(super) const OPEN_BATCH: &str = "
    INSERT INTO batches (name, out, columns, manifest) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (name) DO UPDATE SET out = excluded.out, columns = excluded.columns, manifest = excluded.manifest
    RETURNING id, name, out, columns, manifest";
pub(super) const BATCHES: &str = "SELECT id, name, out, columns, manifest FROM batches ORDER BY id";

pub(super) const OPEN_ACCOUNT: &str = "
    INSERT INTO accounts (name, gateway, base_url) VALUES (?1, ?2, ?3)
    ON CONFLICT (name) DO UPDATE SET gateway = excluded.gateway, base_url = excluded.base_url
    RETURNING name, gateway, base_url, last_submit_at";
pub(super) const ACCOUNTS: &str = "SELECT name, gateway, base_url, last_submit_at FROM accounts ORDER BY name";
pub(super) const SUBMITTED_AT: &str = "UPDATE accounts SET last_submit_at = ?2 WHERE name = ?1";

pub(super) const KNOWN: &str =
    "SELECT id, state, content, output, submissions, wanted_account FROM jobs WHERE batch = ?1 AND key = ?2";
pub(super) const KNOWN_FROM: &str = "
    SELECT id, state, content, output, submissions, wanted_account, batch, key FROM jobs WHERE id > ?1 ORDER BY id";
pub(super) const OUTPUT_OWNERS: &str = "
    SELECT jobs.output, jobs.label, batches.name, jobs.batch, jobs.key FROM jobs JOIN batches ON batches.id = jobs.batch
    WHERE jobs.output_hash = ?1 AND batches.out = ?2";
pub(super) const PAID_ELSEWHERE: &str = "
    SELECT batches.name, jobs.content FROM jobs JOIN batches ON batches.id = jobs.batch
    WHERE jobs.content_hash = ?1 AND jobs.submissions > 0";

/// Rows that are admitted by one statement, where there is nothing that they could be in conflict with.
pub(super) const ROWS_AT_ONCE: usize = 32;
/// What one of them brings, after batch, detail and instant, which they share.
pub(super) const OF_A_ROW: usize = 10;
pub(super) static ADMIT_MANY: LazyLock<String> = LazyLock::new(|| inserting(ROWS_AT_ONCE));
pub(super) static ADMIT_NEW: LazyLock<String> = LazyLock::new(|| inserting(1));
/// One row, which is left as it is where the batch has it.
pub(super) static ADMIT: LazyLock<String> =
    LazyLock::new(|| format!("{} ON CONFLICT (batch, key) DO NOTHING", inserting(1)));

fn inserting(rows: usize) -> String {
    let row = |number: usize| {
        let own: Vec<String> = (0..OF_A_ROW).map(|at| format!("?{}", 4 + number * OF_A_ROW + at)).collect();
        let sender = &own[OF_A_ROW - 2];
        format!("(?1, ?2, ?3, 1, {sender}, {})", own.join(", "))
    };
    let rows: Vec<String> = (0..rows).map(row).collect();
    let into = "INSERT INTO jobs (batch, detail, due_at, state, sender, key, label, content, effect, output, columns,
        output_hash, content_hash, wanted_account, scene)";
    format!("{into} VALUES {}", rows.join(", "))
}
pub(super) const COUNT: &str = "
    INSERT INTO groups (batch, scene, sender, state, jobs, submissions) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT DO UPDATE SET jobs = jobs + excluded.jobs, submissions = submissions + excluded.submissions";
pub(super) const SPEND: &str = "
    INSERT INTO spending (batch, account, currency, micros, requests) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT DO UPDATE SET micros = micros + excluded.micros, requests = requests + excluded.requests";
pub(super) const ROWS: &str = "SELECT ifnull(sum(jobs), 0) FROM groups";
pub(super) const HAS_ANY: &str = "SELECT EXISTS (SELECT 1 FROM jobs)";
pub(super) const HAS_ROWS: &str = "SELECT EXISTS (SELECT 1 FROM jobs WHERE batch = ?1)";
/// Not within a transaction.
pub(super) const SORT_ON_DISK: &str = "PRAGMA temp_store = FILE; PRAGMA threads = 2;";
pub(super) const SORT_IN_MEMORY: &str =
    "PRAGMA temp_store = MEMORY; PRAGMA threads = 0; PRAGMA cache_size = -16000; PRAGMA shrink_memory;";
pub(super) const DROP_LOOK_UPS: &str = "DROP INDEX jobs_output; DROP INDEX jobs_content;";
/// Nothing is looked for while rows are added, and less is sorted at a time.
pub(super) const DROP_KEYS: &str = "DROP INDEX jobs_key; PRAGMA cache_size = -4000;";
/// Word for word as the migrations have them.
pub(super) const LOOK_UPS: &str = "
    CREATE INDEX IF NOT EXISTS jobs_output ON jobs (output_hash);
    CREATE INDEX IF NOT EXISTS jobs_content ON jobs (content_hash);";
pub(super) const KEYS: &str = "CREATE UNIQUE INDEX jobs_key ON jobs (batch, key)";
pub(super) const WITHDRAW: &str = "
    DELETE FROM jobs WHERE id = ?1 AND batch = ?2 AND state = 1 AND submissions = 0 RETURNING scene, sender";

pub(super) const VERSION: &str = "SELECT version FROM jobs WHERE id = ?1";
/// A step of a job that leaves its row as it was: columns that no step touches, and their indexes, are not written again.
pub(super) const STEP_ON: &str = "
    UPDATE jobs SET state = ?3, detail = ?4, due_at = ?5, attempt = ?6, account = ?7, task = ?8, client_ref = ?9,
        submissions = ?10, version = ?11, finished_at = ?12, sender = ?13, started_at = ?14
    WHERE id = ?1 AND version = ?2";
pub(super) const CHANGE: &str = "
    UPDATE jobs SET state = ?3, detail = ?4, due_at = ?5, attempt = ?6, account = ?7, task = ?8, client_ref = ?9,
        submissions = ?10, version = ?11, finished_at = ?12, sender = ?13, started_at = ?14, content = ?15, effect = ?16,
        output = ?17, output_hash = ?18, content_hash = ?19, wanted_account = ?20, scene = ?21
    WHERE id = ?1 AND version = ?2";
pub(super) const APPEND: &str = "INSERT INTO events (job, at, name, data) VALUES (?1, ?2, ?3, ?4)";
/// Events that are appended by one statement.
pub(super) const MANY: usize = 32;
pub(super) static APPEND_MANY: LazyLock<String> =
    LazyLock::new(|| format!("INSERT INTO events (job, at, name, data) VALUES {}", ["(?, ?, ?, ?)"; MANY].join(", ")));
pub(super) const TOOK: &str = "INSERT INTO durations (account, took_ms) VALUES (?1, ?2)";
pub(super) const FORGET_OLD: &str = "DELETE FROM durations WHERE seq <= (SELECT max(seq) FROM durations) - 2000";
pub(super) const RECENT: &str = "SELECT took_ms FROM durations WHERE account = ?1 ORDER BY seq DESC LIMIT ?2";

pub(super) const PLANNED_GROUPS: &str = "
    SELECT batch, scene, sender FROM groups
    WHERE state = ?3 AND jobs > 0 AND sender IN ('', ?1) AND (?2 IS NULL OR batch = ?2) ORDER BY batch";
pub(super) const PLANNED_DUE: &str = "
    SELECT due_at, id, scene, sender FROM jobs INDEXED BY jobs_planned
    WHERE state = 1 AND batch = ?1 AND due_at <= ?2 ORDER BY due_at, id LIMIT ?3";
pub(super) const PLANNED_DUE_OF: &str = "
    SELECT due_at, id FROM jobs INDEXED BY jobs_planned_of
    WHERE state = 1 AND batch = ?1 AND scene = ?2 AND sender IS ?3 AND due_at <= ?4 ORDER BY due_at, id";
pub(super) const PLANNED_NEXT_OF: &str = "
    SELECT id, due_at FROM jobs INDEXED BY jobs_planned_of
    WHERE state = 1 AND batch = ?1 AND scene = ?2 AND sender IS ?3 AND due_at > ?4 ORDER BY due_at LIMIT ?5";
pub(super) const READY_DUE: &str = "
    SELECT id, batch, key, label, content, effect, output, columns, detail, attempt, submissions, version, finished_at,
        wanted_account
    FROM jobs INDEXED BY jobs_ready WHERE state = 5 AND due_at <= ?1 ORDER BY started_at, id";
pub(super) const READY_NEXT: &str = "
    SELECT id, due_at FROM jobs INDEXED BY jobs_ready_due WHERE state = 5 AND due_at > ?1 ORDER BY due_at LIMIT ?2";
pub(super) const OPEN_BEFORE: &str = "
    SELECT id, batch, key, label, content, effect, output, columns, detail, attempt, submissions, version, finished_at,
        wanted_account
    FROM jobs INDEXED BY jobs_open
    WHERE state > 1 AND state <> 6 AND state <> 7 AND account = ?1 AND started_at < ?2
    ORDER BY started_at, id LIMIT ?3";
pub(super) const OPEN_GROUPS: &str = "
    SELECT batch, scene, NULL, state, count(*), sum(submissions) FROM jobs INDEXED BY jobs_open
    WHERE state > 1 AND state <> 6 AND state <> 7 AND account = ?1 GROUP BY batch, scene, state";
pub(super) const GROUPS: &str = "
    SELECT batch, scene, sender, state, jobs, submissions FROM groups WHERE jobs > 0 AND (?1 IS NULL OR batch = ?1)";
pub(super) const SPENT: &str = "
    SELECT account, currency, sum(micros), sum(requests) FROM spending WHERE ?1 IS NULL OR batch = ?1
    GROUP BY account, currency HAVING sum(requests) > 0 ORDER BY account, currency";
pub(super) const OPEN_DUE: &str = "
    SELECT id, batch, key, label, content, effect, output, columns, detail, attempt, submissions, version, finished_at,
        wanted_account
    FROM jobs INDEXED BY jobs_open WHERE state > 1 AND state <> 6 AND state <> 7 AND account = ?1 AND state = ?2
    AND (due_at IS NULL OR due_at <= ?3) ORDER BY due_at, id";
pub(super) const OPEN_NEXT: &str = "
    SELECT id, due_at FROM jobs INDEXED BY jobs_open WHERE state > 1 AND state <> 6 AND state <> 7 AND account = ?1 AND state = ?2
    AND due_at > ?3 ORDER BY due_at LIMIT ?4";
pub(super) const OPEN_OF: &str = "
    SELECT state, count(*), total(submissions) FROM jobs INDEXED BY jobs_open
    WHERE state > 1 AND state <> 6 AND state <> 7 AND account = ?1 GROUP BY state";

pub(super) const JOB: &str = "
    SELECT id, batch, key, label, content, effect, output, columns, detail, attempt, submissions, version, finished_at,
        wanted_account
    FROM jobs WHERE id = ?1";
pub(super) const JOBS: &str = "
    SELECT id, batch, key, label, content, effect, output, columns, detail, attempt, submissions, version, finished_at,
        wanted_account
    FROM jobs WHERE id > ?1 AND (?2 IS NULL OR batch = ?2) AND (?3 = 0 OR (?3 >> state) & 1)
    AND (?4 IS NULL OR label = ?4 OR task = ?4 OR client_ref = ?4) ORDER BY id LIMIT ?5";
pub(super) const JOBS_TROUBLED: &str = "
    SELECT id, batch, key, label, content, effect, output, columns, detail, attempt, submissions, version, finished_at,
        wanted_account
    FROM jobs INDEXED BY jobs_troubled WHERE state >= 7 AND id > ?1 AND (?2 IS NULL OR batch = ?2)
    AND (?3 = 0 OR (?3 >> state) & 1) AND (?4 IS NULL OR label = ?4 OR task = ?4 OR client_ref = ?4) ORDER BY id LIMIT ?5";

pub(super) const NEWEST: &str = "
    SELECT job FROM (SELECT seq, job, name FROM events ORDER BY seq DESC LIMIT 5000) WHERE name = 'stored'
    GROUP BY job ORDER BY max(seq) DESC LIMIT ?1";
pub(super) const TALLY: &str =
    "SELECT state, sum(jobs), total(submissions) FROM groups WHERE ?1 IS NULL OR batch = ?1 GROUP BY state";
pub(super) const HISTORY: &str = "SELECT seq, at, data FROM events WHERE job = ?1 ORDER BY seq";

pub(super) const NOTE_RUN: &str =
    "INSERT INTO runs (batch, ended_at, exit_code, submitted, notes) VALUES (?1, ?2, ?3, ?4, ?5)";
pub(super) const FORGET_RUNS: &str = "DELETE FROM runs WHERE seq <= (SELECT max(seq) FROM runs) - 200";
pub(super) const LAST_RUN: &str = "
    SELECT batch, ended_at, exit_code, submitted, notes FROM runs WHERE ?1 IS NULL OR batch IS NULL OR batch = ?1
    ORDER BY seq DESC LIMIT 1";

pub(super) const RECENT_TASK: &str = "
    SELECT attempt FROM jobs WHERE account = ?1 AND task IS NOT NULL AND state IN (4, 5, 6)
    AND started_at > ?2 AND started_at < ?3 ORDER BY id DESC LIMIT 1";
/// What happened to rows that were called so at some time: by task, external id or request.
pub(super) const ONCE_CALLED: &str = "
    SELECT DISTINCT job FROM events
    WHERE data ->> 'task' = ?1 OR data ->> 'client_ref' = ?1 OR data ->> 'request_id' = ?1
        OR data -> 'verdict' ->> 'made' = ?1
    ORDER BY job LIMIT ?2";

pub(super) const ENDED: &str = "
    SELECT batches.id, count(jobs.id), max(jobs.finished_at) FROM batches LEFT JOIN jobs ON jobs.batch = batches.id
    GROUP BY batches.id HAVING total(jobs.state NOT IN (6, 7)) = 0 ORDER BY batches.id";
pub(super) const UNPROTECT_EVENTS: &str = "DROP TRIGGER events_are_never_removed";
/// Word for word as the migration has it: a ledger is the same whether something was pruned or not.
pub(super) const PROTECT_EVENTS: &str = "\
CREATE TRIGGER events_are_never_removed BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END";
pub(super) const PRUNE_EVENTS: &str = "DELETE FROM events WHERE job IN (SELECT id FROM jobs WHERE batch = ?1)";
pub(super) const PRUNE_JOBS: &str = "DELETE FROM jobs WHERE batch = ?1";
pub(super) const PRUNE_GROUPS: &str = "DELETE FROM groups WHERE batch = ?1";
pub(super) const PRUNE_SPENDING: &str = "DELETE FROM spending WHERE batch = ?1";
pub(super) const PRUNE_BATCH: &str = "DELETE FROM batches WHERE id = ?1";

pub(super) const PRAGMAS_COPY: &str = "PRAGMA trusted_schema = OFF; PRAGMA busy_timeout = 10000;";
pub(super) const COPY_INTO: &str = "VACUUM INTO ?1";
pub(super) const COMPACT: &str = "VACUUM";
pub(super) const CHECK: &str = "PRAGMA integrity_check(1)";
pub(super) const ROWS_AND_BATCHES: &str = "SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM batches)";
pub(super) const TREES: &str = "SELECT id, out FROM batches";
pub(super) const MOVE_TREE: &str = "UPDATE batches SET out = ?2 WHERE id = ?1";

pub(super) const TABLES: &str = "SELECT count(*) FROM sqlite_schema";
