//! Every statement of the store, by name. Nowhere else stands SQL, but in the migrations, which also make the functions that
//! are called here.

/// What every connection begins with. A database whose own settings promise more is left at that.
pub(super) const USE_SCHEMA: &str = "
    SET search_path = nightreel, pg_catalog;
    SET statement_timeout = '30s';
    SET lock_timeout = '20s';
    SET idle_in_transaction_session_timeout = '60s';
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local');";
pub(super) const READ_ONLY: &str = "SET default_transaction_read_only = on";

/// Those who open a ledger for the first time, or after a new release, wait for each other.
pub(super) const LOCK_FORMAT: &str = "SELECT pg_advisory_xact_lock(hashtext('nightreel format'), 0)";
pub(super) const HAS_SCHEMA: &str = "SELECT count(*) FROM pg_namespace WHERE nspname = 'nightreel'";
pub(super) const TABLES: &str = "
    SELECT count(*), count(*) FILTER (WHERE tablename = 'migrations') FROM pg_tables WHERE schemaname = 'nightreel'";
pub(super) const MIGRATIONS_TABLE: &str = "
    CREATE SCHEMA IF NOT EXISTS nightreel;
    CREATE TABLE IF NOT EXISTS nightreel.migrations (
        number int PRIMARY KEY, name text NOT NULL, digest text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT clock_timestamp())";
pub(super) const FORMAT: &str = "SELECT coalesce(max(number), 0) FROM nightreel.migrations";
pub(super) const MIGRATED: &str = "INSERT INTO nightreel.migrations (number, name, digest) VALUES ($1, $2, $3)";

pub(super) const JOIN: &str = "
    INSERT INTO workers (name, expires_at) VALUES ($1, clock_timestamp() + $2::float8 * interval '1 second') RETURNING id";
pub(super) const BEAT: &str = "
    UPDATE workers SET expires_at = clock_timestamp() + $2::float8 * interval '1 second' WHERE id = $1 RETURNING id";
pub(super) const GIVE_UP: &str = "SELECT give_up($1::float8 * interval '1 second')";
/// What was taken by a call whose answer was lost.
pub(super) const SWEEP: &str = "
    UPDATE jobs SET owner = NULL, claimed_for = NULL, reserved = 0
    WHERE owner = $1 AND state <> 2 AND taken_at < clock_timestamp() - interval '20 seconds' AND NOT id = ANY ($2)";
pub(super) const LEAVE: &str = "SELECT leave($1)";
pub(super) const GIVE_BACK: &str = "SELECT give_back($1, $2)";
pub(super) const LISTEN: &str = "LISTEN nightreel";
pub(super) const NOTIFY: &str = "NOTIFY nightreel";
/// How far the database's clock is from 1970, in milliseconds.
pub(super) const CLOCK: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";

pub(super) const OPEN_BATCH: &str = "
    INSERT INTO batches (name, out, columns, manifest) VALUES ($1, $2, $3, $4)
    ON CONFLICT (name) DO UPDATE SET out = excluded.out, columns = excluded.columns, manifest = excluded.manifest
    RETURNING id, name, out, columns, manifest";
pub(super) const BATCHES: &str = "SELECT id, name, out, columns, manifest FROM batches ORDER BY id";
pub(super) const OPEN_ACCOUNT: &str = "
    WITH paced AS (INSERT INTO paces (account) VALUES ($1) ON CONFLICT (account) DO NOTHING)
    INSERT INTO accounts (name, gateway, base_url) VALUES ($1, $2, $3)
    ON CONFLICT (name) DO UPDATE SET gateway = excluded.gateway, base_url = excluded.base_url
    RETURNING name, gateway, base_url";
pub(super) const ACCOUNTS: &str = "SELECT name, gateway, base_url FROM accounts ORDER BY name COLLATE \"C\"";

pub(super) const KNOWN: &str = "
    SELECT id, state, content, output, submissions, wanted_account, key FROM jobs WHERE batch = $1 AND key = ANY ($2)";
pub(super) const OUTPUT_OWNERS: &str = "
    SELECT jobs.output, jobs.label, batches.name, jobs.batch, jobs.key, jobs.output_hash
    FROM jobs JOIN batches ON batches.id = jobs.batch WHERE jobs.output_hash = ANY ($1) AND batches.out = $2 ORDER BY jobs.id";
pub(super) const PAID_ELSEWHERE: &str = "
    SELECT batches.name, jobs.content FROM jobs JOIN batches ON batches.id = jobs.batch
    WHERE jobs.content_hash = ANY ($1) AND jobs.submissions > 0 ORDER BY jobs.id";
pub(super) const ADMIT: &str = "SELECT admit($1, $2::text::json, $3, $4)";
pub(super) const WITHDRAW: &str = "SELECT withdraw($1, $2)";

pub(super) const COMMIT: &str = "SELECT n, verdict FROM commit_changes($1, $2, $3::text::json)";
pub(super) const TAKE_PLANNED: &str = "
    SELECT (t.job).*, t.next_at, t.is_full
    FROM take_planned($1, $2, $3, $4::text::json, $5, $6, $7, $8) t";
pub(super) const TAKE_DUE: &str = "SELECT (t.job).*, t.next_at FROM take_due($1, $2, $3, $4, $5) t";
pub(super) const AFFORD: &str = "SELECT afford($1, $2, $3, $4, $5, $6)";
/// The cell of the generic cell rate algorithm: when the first of some requests may leave, and what time it is, in microseconds.
pub(super) const RESERVE: &str = "
    UPDATE paces SET next_send_at = greatest(next_send_at, clock_timestamp()) + $2::float8 * interval '1 second' * $3::int
    WHERE account = $1
    RETURNING (extract(epoch FROM next_send_at - $2::float8 * interval '1 second' * $3::int) * 1000000)::bigint,
        (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
/// Planned jobs that are taken, by the account whose slot they have.
pub(super) const CLAIMED: &str = "
    SELECT batch, scene, claimed_for, 2::smallint, count(*), sum(submissions)::bigint FROM jobs
    WHERE claimed_for IS NOT NULL AND claimed_for = ANY ($1) GROUP BY batch, scene, claimed_for";

pub(super) const JOB: &str = "SELECT * FROM readable WHERE id = $1";
pub(super) const JOBS: &str = "
    SELECT r.* FROM readable r JOIN jobs j ON j.id = r.id
    WHERE j.id > $1 AND ($2::bigint IS NULL OR j.batch = $2) AND (cardinality($3::smallint[]) = 0 OR state = ANY ($3))
    AND ($4::text IS NULL OR j.label = $4 OR j.task = $4 OR j.client_ref = $4) ORDER BY j.id LIMIT $5";
pub(super) const JOBS_TROUBLED: &str = "
    SELECT r.* FROM readable r JOIN jobs j ON j.id = r.id
    WHERE j.state >= 7 AND j.id > $1 AND ($2::bigint IS NULL OR j.batch = $2) AND state = ANY ($3)
    AND ($4::text IS NULL OR j.label = $4 OR j.task = $4 OR j.client_ref = $4) ORDER BY j.id LIMIT $5";
pub(super) const NEWEST: &str = "
    SELECT r.* FROM (
        SELECT job, max(seq) AS seq FROM (SELECT seq, job, name FROM events ORDER BY seq DESC LIMIT 5000) latest
        WHERE name = 'stored' GROUP BY job ORDER BY max(seq) DESC LIMIT $1
    ) stored JOIN jobs j ON j.id = stored.job JOIN readable r ON r.id = j.id WHERE state = 6 ORDER BY stored.seq DESC";
pub(super) const TALLY: &str = "
    SELECT state, sum(jobs)::bigint, sum(submissions)::bigint FROM groups
    WHERE $1::bigint IS NULL OR batch = $1 GROUP BY state";
pub(super) const OPEN_OF: &str = "
    SELECT state, count(*), sum(submissions)::bigint FROM jobs
    WHERE account = $1 AND state IN (2, 3, 4, 5, 8, 9) GROUP BY state";
/// What is at the remote, by account, then what is ready, then what is planned: one statement sees one instant.
pub(super) const LEFT: &str = "
    SELECT 1, 0::bigint, ''::text, account, 0::smallint, count(*), 0::bigint FROM jobs
    WHERE account = ANY ($1) AND state IN (2, 3, 4) GROUP BY account
    UNION ALL
    SELECT 2, 0, '', '', 0::smallint, coalesce(sum(jobs), 0)::bigint, 0 FROM groups WHERE state = 5
    UNION ALL
    SELECT 3, batch, scene, sender, state, jobs, submissions FROM groups
    WHERE state = 1 AND jobs > 0 AND ($2::bigint IS NULL OR batch = $2)";
pub(super) const GROUPS: &str = "
    SELECT batch, scene, sender, state, jobs, submissions FROM groups
    WHERE jobs > 0 AND ($1::bigint IS NULL OR batch = $1) ORDER BY batch, scene COLLATE \"C\", sender COLLATE \"C\", state";
pub(super) const OPEN_GROUPS: &str = "
    SELECT batch, scene, '', state, count(*), sum(submissions)::bigint FROM jobs
    WHERE account = $1 AND state IN (2, 3, 4, 5, 8, 9) GROUP BY batch, scene, state";
pub(super) const SPENT: &str = "
    SELECT account, currency, sum(micros)::bigint, sum(requests)::bigint FROM spending
    WHERE $1::bigint IS NULL OR batch = $1 GROUP BY account, currency HAVING sum(requests) > 0
    ORDER BY account COLLATE \"C\", currency COLLATE \"C\"";
pub(super) const OPEN_BEFORE: &str = "
    SELECT r.* FROM readable r JOIN jobs j ON j.id = r.id
    WHERE j.account = $1 AND j.state IN (2, 3, 4, 5, 8, 9) AND j.started_at < $2 ORDER BY j.started_at, j.id LIMIT $3";
pub(super) const HISTORY: &str = "SELECT seq, at, data FROM events WHERE job = $1 ORDER BY seq";
/// What happened to rows that were called so at some time: by task, external id or request.
pub(super) const ONCE_CALLED: &str = "
    SELECT DISTINCT job FROM events
    WHERE data::json ->> 'task' = $1 OR data::json ->> 'client_ref' = $1 OR data::json ->> 'request_id' = $1
        OR data::json -> 'verdict' ->> 'made' = $1
    ORDER BY job LIMIT $2";
pub(super) const ENDED: &str = "
    SELECT batches.id, count(jobs.id), max(jobs.finished_at) FROM batches LEFT JOIN jobs ON jobs.batch = batches.id
    GROUP BY batches.id HAVING coalesce(bool_and(jobs.state IN (6, 7)), true) ORDER BY batches.id";
pub(super) const PRUNE: &str = "SELECT n_rows, n_events FROM prune($1, $2)";
pub(super) const RECENT: &str = "SELECT took_ms FROM durations WHERE account = $1 ORDER BY seq DESC LIMIT $2";
pub(super) const NOTE_RUN: &str =
    "INSERT INTO runs (batch, ended_at, exit_code, submitted, notes) VALUES ($1, $2, $3, $4, $5)";
pub(super) const FORGET_RUNS: &str = "DELETE FROM runs WHERE seq <= (SELECT max(seq) FROM runs) - 200";
pub(super) const FORGET_DURATIONS: &str = "DELETE FROM durations WHERE seq <= (SELECT max(seq) FROM durations) - 2000";
pub(super) const LAST_RUN: &str = "
    SELECT batch, ended_at, exit_code, submitted, notes FROM runs WHERE $1::bigint IS NULL OR batch IS NULL OR batch = $1
    ORDER BY seq DESC LIMIT 1";
pub(super) const RECENT_TASK: &str = "
    SELECT attempt FROM jobs WHERE account = $1 AND task IS NOT NULL AND state IN (4, 5, 6)
    AND started_at > $2 AND started_at < $3 ORDER BY id DESC LIMIT 1";
