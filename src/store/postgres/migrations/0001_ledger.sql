-- The ledger: what is asked for, what may have been paid, what was made; and who works on it.
-- `events` is append-only and is the truth; `jobs`, `groups` and `spending` are its projection, written by the same statement.
-- What the ledger means is in milliseconds since 1970 (UTC), by the clocks of those who work on it; leases and the pace are by
-- the clock of this database alone.

CREATE TABLE batches (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name     text NOT NULL UNIQUE,
    out      text NOT NULL,                -- absolute path or address of the output tree
    columns  text NOT NULL,                -- the manifest's own columns, a JSON array
    manifest text NOT NULL                 -- absolute path, on the machine that admitted it last
);

CREATE TABLE accounts (
    name     text PRIMARY KEY,
    gateway  text NOT NULL,
    base_url text NOT NULL
);

-- When the next request of an account may leave, whoever sends it. Of its own, so that places in the pace and slots do not wait
-- for each other.
CREATE TABLE paces (
    account      text PRIMARY KEY,
    next_send_at timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 50);

-- One row for each process at work: the lease of all that it has taken.
CREATE TABLE workers (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL,              -- host and process, for people
    began_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL
);

CREATE TABLE jobs (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch       bigint NOT NULL REFERENCES batches (id),
    key         bytea NOT NULL CHECK (length(key) = 16),
    label       text NOT NULL,
    content     bytea NOT NULL CHECK (length(content) = 32),
    effect      text NOT NULL,             -- JSON
    scene       text NOT NULL,
    output      text NOT NULL,
    columns     text NOT NULL,             -- JSON
    -- 1 planned, 2 submitting, 3 in doubt, 4 waiting, 5 ready, 6 done, 7 failed, 8 held, 9 stuck
    state       smallint NOT NULL CHECK (state BETWEEN 1 AND 9),
    detail      text NOT NULL,             -- the state with its data, JSON
    due_at      bigint,
    attempt     text,                      -- the present or last attempt, JSON
    account     text,
    task        text,
    client_ref  text,
    started_at  bigint,                    -- when the attempt began
    submissions bigint NOT NULL DEFAULT 0 CHECK (submissions BETWEEN 0 AND 2147483647),
    version     bigint NOT NULL DEFAULT 0,
    finished_at bigint,
    wanted_account text,                   -- the only account that the row names
    sender      text NOT NULL DEFAULT '',  -- the only account that may send it now; empty for any
    -- the first eight bytes of digests, for look-ups that are confirmed by the whole value
    output_hash  bigint NOT NULL,
    content_hash bigint NOT NULL,
    -- Who has taken it. Cleared with the worker's row, so that no other worker is ever named here.
    owner       bigint,
    taken_at    timestamptz,
    -- Of a planned job that is taken: the account whose slot it has, and what it has of the budget, in millionths.
    claimed_for text,
    reserved    bigint NOT NULL DEFAULT 0,
    CHECK (attempt IS NOT NULL OR state = 1 OR state = 7)
) WITH (fillfactor = 80);

CREATE UNIQUE INDEX jobs_key ON jobs (batch, key);
CREATE INDEX jobs_output ON jobs (output_hash);
CREATE INDEX jobs_content ON jobs (content_hash);
CREATE INDEX jobs_planned ON jobs (batch, scene, sender, due_at, id) WHERE state = 1 AND owner IS NULL;
CREATE INDEX jobs_claimed ON jobs (claimed_for) WHERE claimed_for IS NOT NULL;
CREATE INDEX jobs_open ON jobs (account, state, due_at, id) WHERE state IN (2, 3, 4, 5, 8, 9);
CREATE INDEX jobs_ready ON jobs (started_at, id) WHERE state = 5 AND owner IS NULL;
CREATE INDEX jobs_troubled ON jobs (id) WHERE state >= 7;
CREATE INDEX jobs_owned ON jobs (owner) WHERE owner IS NOT NULL;

CREATE TABLE events (
    seq   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job   bigint NOT NULL,
    at    bigint NOT NULL,
    name  text NOT NULL,
    data  text NOT NULL,                   -- JSON
    token bigint NOT NULL                  -- drawn by whoever wrote it: an answer that was lost is found again by it
);
CREATE INDEX events_job ON events (job, seq);

CREATE FUNCTION refuse_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('nightreel.pruning', true) = 'on' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'events are append-only';
END $$;
CREATE TRIGGER events_are_never_changed BEFORE UPDATE OR DELETE ON events
    FOR EACH ROW EXECUTE FUNCTION refuse_changes();
CREATE TRIGGER events_are_never_emptied BEFORE TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_changes();

-- How many jobs of a batch and scene, for which sender, are in which state: told without walking the jobs.
CREATE TABLE groups (
    batch       bigint NOT NULL REFERENCES batches (id),
    scene       text NOT NULL,
    sender      text NOT NULL,             -- empty for any
    state       smallint NOT NULL CHECK (state BETWEEN 1 AND 9),
    jobs        bigint NOT NULL DEFAULT 0,
    submissions bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (batch, scene, sender, state)
) WITH (fillfactor = 50);

-- What may have been paid for a batch by an account: in millionths, and the number of requests.
CREATE TABLE spending (
    batch    bigint NOT NULL REFERENCES batches (id),
    account  text NOT NULL,
    currency text NOT NULL,                -- empty where no price is known
    micros   bigint NOT NULL DEFAULT 0,
    requests bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (batch, account, currency)
) WITH (fillfactor = 50);

-- How long tasks took, for the expectation that the next run starts with. The oldest are dropped.
CREATE TABLE durations (
    seq     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account text NOT NULL,
    took_ms bigint NOT NULL
);

-- How runs ended, and what they learned that is worth telling later. The oldest are dropped.
CREATE TABLE runs (
    seq       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch     bigint,                      -- NULL for all
    ended_at  bigint NOT NULL,
    exit_code smallint NOT NULL,
    submitted bigint NOT NULL,
    notes     text NOT NULL                -- a JSON array of lines
);

-- What is read of a job.
CREATE VIEW readable AS
    SELECT id, batch, key, label, content, effect, output, columns, detail, attempt, submissions, version, finished_at,
        wanted_account
    FROM jobs;

-- The functions below change several tables, or look before they do. Each statement of theirs sees what was committed before
-- it began, so that what is counted after a lock was taken is counted as it stands.
--
-- What only takes and gives back waits for no sync, and neither does whoever waits for its locks. A crash may forget it: a
-- taking that was forgotten makes the change refused that was to follow, which demands the owner; and a change that was
-- synced has synced all that was written before it. Changes, what is paid or reserved, and places in the pace are synced.

-- Adds rows, planned; one that the batch has is left as it is. Those who admit the same manifest wait for each other.
CREATE FUNCTION admit(to_batch bigint, given json, detail text, due_at bigint) RETURNS bigint LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtext('nightreel admits'), to_batch::int);
    WITH added AS (
        INSERT INTO jobs (batch, key, label, content, effect, scene, output, columns, state, detail, due_at, output_hash,
            content_hash, wanted_account, sender)
        SELECT to_batch, decode(g.key, 'hex'), g.label, decode(g.content, 'hex'), g.effect, g.scene, g.output, g.columns, 1,
            admit.detail, admit.due_at, g.output_hash, g.content_hash, g.account, coalesce(g.account, '')
        FROM json_to_recordset(given) AS g(n bigint, key text, label text, content text, effect text, scene text,
            output text, columns text, output_hash bigint, content_hash bigint, account text)
        ORDER BY g.n
        ON CONFLICT (batch, key) DO NOTHING
        RETURNING scene, sender
    ), counted AS (
        INSERT INTO groups AS k (batch, scene, sender, state, jobs)
        SELECT to_batch, scene, sender, 1, count(*) FROM added GROUP BY scene, sender ORDER BY scene, sender
        ON CONFLICT (batch, scene, sender, state) DO UPDATE SET jobs = k.jobs + excluded.jobs
    )
    SELECT count(*) FROM added;
$$;

-- Removes planned jobs for which certainly nothing was paid, and which nobody has taken.
CREATE FUNCTION withdraw(of_batch bigint, ids bigint[]) RETURNS bigint LANGUAGE sql AS $$
    WITH gone AS (
        DELETE FROM jobs
        WHERE id = ANY (ids) AND batch = of_batch AND state = 1 AND submissions = 0 AND owner IS NULL
        RETURNING scene, sender
    ), counted AS (
        INSERT INTO groups AS k (batch, scene, sender, state, jobs)
        SELECT of_batch, scene, sender, 1, -count(*) FROM gone GROUP BY scene, sender ORDER BY scene, sender
        ON CONFLICT (batch, scene, sender, state) DO UPDATE SET jobs = k.jobs + excluded.jobs
    )
    SELECT count(*) FROM gone;
$$;

-- Takes planned jobs of those groups of which something is wanted, earliest first, as many as there are slots for. The last row
-- that it gives is no job: it says when to look again, and whether there was no slot.
CREATE FUNCTION take_planned(me bigint, by_account text, of_batch bigint, closed json, now_ms bigint, most_jobs int,
    pool text[], most int)
RETURNS TABLE (job readable, next_at bigint, is_full boolean) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    room int := most_jobs;
    heads bigint[];
    n_heads int;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    -- A worker that was given up must not take anything in a name that nobody clears any more.
    PERFORM 1 FROM workers WHERE id = me FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the worker was given up' USING ERRCODE = 'NR001';
    END IF;
    IF most IS NOT NULL THEN
        PERFORM 1 FROM accounts WHERE name = ANY (pool) ORDER BY name FOR UPDATE;
        SELECT least(room, most - (SELECT count(*) FROM jobs WHERE account = ANY (pool) AND state IN (2, 3, 4))
            - (SELECT count(*) FROM jobs WHERE claimed_for = ANY (pool) AND claimed_for IS NOT NULL))
        INTO room;
        IF room <= 0 THEN
            RETURN QUERY SELECT NULL::readable, NULL::bigint, true;
            RETURN;
        END IF;
    END IF;
    SELECT array_agg(h.id ORDER BY h.due_at, h.id) INTO heads
    FROM groups g
    CROSS JOIN LATERAL (
        SELECT j.id, j.due_at FROM jobs j
        WHERE j.state = 1 AND j.owner IS NULL AND j.batch = g.batch AND j.scene = g.scene AND j.sender = g.sender
            AND j.due_at <= now_ms
        ORDER BY j.due_at, j.id LIMIT room + 1 FOR UPDATE SKIP LOCKED
    ) h
    WHERE g.state = 1 AND g.jobs > 0 AND g.sender IN ('', by_account) AND (of_batch IS NULL OR g.batch = of_batch)
        AND NOT EXISTS (SELECT 1 FROM json_to_recordset(closed) AS c(batch bigint, scene text)
            WHERE c.batch = g.batch AND c.scene = g.scene);
    n_heads := coalesce(cardinality(heads), 0);
    IF n_heads > 0 THEN
        RETURN QUERY
        WITH took AS (
            UPDATE jobs SET owner = me, taken_at = clock_timestamp(),
                claimed_for = CASE WHEN most IS NOT NULL THEN by_account END
            WHERE id = ANY (heads[1:room]) RETURNING id
        )
        SELECT r, NULL::bigint, false FROM readable r WHERE r.id IN (SELECT id FROM took) ORDER BY array_position(heads, r.id);
        RETURN QUERY SELECT NULL::readable, CASE WHEN n_heads > room THEN 0::bigint END, false;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT NULL::readable, min(h.due_at), false
    FROM groups g
    CROSS JOIN LATERAL (
        SELECT j.due_at FROM jobs j
        WHERE j.state = 1 AND j.owner IS NULL AND j.batch = g.batch AND j.scene = g.scene AND j.sender = g.sender
            AND j.due_at > now_ms
        ORDER BY j.due_at LIMIT 1
    ) h
    WHERE g.state = 1 AND g.jobs > 0 AND g.sender IN ('', by_account) AND (of_batch IS NULL OR g.batch = of_batch)
        AND NOT EXISTS (SELECT 1 FROM json_to_recordset(closed) AS c(batch bigint, scene text)
            WHERE c.batch = g.batch AND c.scene = g.scene);
END $$;

-- Takes jobs of an account in a state, earliest first; of no account, those that are ready, the oldest attempt first.
CREATE FUNCTION take_due(me bigint, in_state smallint, by_account text, now_ms bigint, most_jobs int)
RETURNS TABLE (job readable, next_at bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    heads bigint[];
    n_heads int;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM 1 FROM workers WHERE id = me FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the worker was given up' USING ERRCODE = 'NR001';
    END IF;
    IF by_account IS NULL THEN
        SELECT array_agg(h.id) INTO heads FROM (
            SELECT id FROM jobs WHERE state = 5 AND owner IS NULL AND due_at <= now_ms
            ORDER BY started_at, id LIMIT most_jobs + 1 FOR UPDATE SKIP LOCKED
        ) h;
    ELSE
        SELECT array_agg(h.id) INTO heads FROM (
            SELECT id FROM jobs
            WHERE account = by_account AND state = in_state AND state IN (2, 3, 4, 5, 8, 9) AND owner IS NULL
                AND (due_at IS NULL OR due_at <= now_ms)
            ORDER BY due_at NULLS FIRST, id LIMIT most_jobs + 1 FOR UPDATE SKIP LOCKED
        ) h;
    END IF;
    n_heads := coalesce(cardinality(heads), 0);
    IF n_heads > 0 THEN
        RETURN QUERY
        WITH took AS (
            UPDATE jobs SET owner = me, taken_at = clock_timestamp() WHERE id = ANY (heads[1:most_jobs]) RETURNING id
        )
        SELECT r, NULL::bigint FROM readable r WHERE r.id IN (SELECT id FROM took) ORDER BY array_position(heads, r.id);
    END IF;
    IF n_heads > most_jobs THEN
        RETURN QUERY SELECT NULL::readable, 0::bigint;
    ELSIF by_account IS NULL THEN
        RETURN QUERY SELECT NULL::readable, min(due_at) FROM jobs WHERE state = 5 AND owner IS NULL AND due_at > now_ms;
    ELSE
        RETURN QUERY SELECT NULL::readable, min(due_at) FROM jobs
        WHERE account = by_account AND state = in_state AND state IN (2, 3, 4, 5, 8, 9) AND owner IS NULL AND due_at > now_ms;
    END IF;
END $$;

-- Commits changes: each with its event, all that are counted, in one statement. Says of each: 0 done, 1 another change came
-- first or the job is another worker's, 2 there is no such job.
-- `owner` is the worker in whose name the job was taken; a job that was not taken may be nobody's only. What became of a request
-- (`sent`) is taken from whoever sent it also when it was given up, as long as nobody took the job up.
CREATE FUNCTION commit_changes(me bigint, ids bigint[], given json)
RETURNS TABLE (n int, verdict int) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM 1 FROM workers WHERE id = me FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the worker was given up' USING ERRCODE = 'NR001';
    END IF;
    PERFORM 1 FROM jobs WHERE id = ANY (ids) ORDER BY id FOR UPDATE;
    RETURN QUERY
    WITH given AS MATERIALIZED (
        SELECT * FROM json_to_recordset(given) AS g(
            n int, job bigint, token bigint, was_version bigint, was_state smallint, was_scene text, was_sender text,
            was_submissions bigint, owner bigint, sent boolean, state smallint, detail text, due_at bigint, attempt text,
            account text, task text, client_ref text, started_at bigint, submissions bigint, version bigint,
            finished_at bigint, sender text, scene text, content text, effect text, output text, output_hash bigint,
            content_hash bigint, wanted_account text, keeps_row boolean, at bigint, name text, data text, payer text,
            currency text, micros bigint, requests bigint, took_ms bigint)
    ), stands AS MATERIALIZED (
        SELECT g.n, g.job, CASE
            WHEN j.id IS NULL THEN 2
            -- It was committed before, and the answer was lost. An intent counts only while it is still that worker's.
            WHEN EXISTS (SELECT 1 FROM events e WHERE e.job = g.job AND e.token = g.token) THEN
                CASE WHEN g.state <> 2 OR (j.state = 2 AND j.version = g.version AND j.owner = coalesce(g.owner, me))
                THEN 0 ELSE 1 END
            WHEN j.version <> g.was_version THEN 1
            WHEN j.owner IS NOT DISTINCT FROM g.owner OR (g.sent AND j.owner IS NULL) THEN 3
            ELSE 1 END AS verdict
        FROM given g LEFT JOIN jobs j ON j.id = g.job
    ), made AS (
        UPDATE jobs j SET
            state = g.state, detail = g.detail, due_at = g.due_at, attempt = g.attempt, account = g.account,
            task = g.task, client_ref = g.client_ref, started_at = g.started_at, submissions = g.submissions,
            version = g.version, finished_at = g.finished_at, sender = g.sender, scene = g.scene,
            content = CASE WHEN g.keeps_row THEN j.content ELSE decode(g.content, 'hex') END,
            effect = CASE WHEN g.keeps_row THEN j.effect ELSE g.effect END,
            output = CASE WHEN g.keeps_row THEN j.output ELSE g.output END,
            output_hash = CASE WHEN g.keeps_row THEN j.output_hash ELSE g.output_hash END,
            content_hash = CASE WHEN g.keeps_row THEN j.content_hash ELSE g.content_hash END,
            wanted_account = CASE WHEN g.keeps_row THEN j.wanted_account ELSE g.wanted_account END,
            -- The submitter keeps what it is submitting.
            owner = CASE WHEN g.state = 2 THEN coalesce(g.owner, me) END,
            claimed_for = NULL, reserved = 0
        FROM given g JOIN stands s ON s.n = g.n
        WHERE s.verdict = 3 AND j.id = g.job
        RETURNING g.n, j.batch
    ), told AS (
        INSERT INTO events (job, at, name, data, token)
        SELECT g.job, g.at, g.name, g.data, g.token FROM given g JOIN made ON made.n = g.n ORDER BY g.n
    ), counted AS (
        INSERT INTO groups AS k (batch, scene, sender, state, jobs, submissions)
        SELECT c.batch, c.scene, c.sender, c.state, sum(c.jobs)::bigint, sum(c.submissions)::bigint
        FROM (
            SELECT made.batch, g.was_scene AS scene, g.was_sender AS sender, g.was_state AS state, -1 AS jobs,
                -g.was_submissions AS submissions
            FROM given g JOIN made ON made.n = g.n
            UNION ALL
            SELECT made.batch, g.scene, g.sender, g.state, 1, g.submissions FROM given g JOIN made ON made.n = g.n
        ) c
        GROUP BY c.batch, c.scene, c.sender, c.state
        HAVING sum(c.jobs) <> 0 OR sum(c.submissions) <> 0
        ORDER BY c.batch, c.scene, c.sender, c.state
        ON CONFLICT (batch, scene, sender, state) DO UPDATE
            SET jobs = k.jobs + excluded.jobs, submissions = k.submissions + excluded.submissions
    ), paid AS (
        INSERT INTO spending AS k (batch, account, currency, micros, requests)
        SELECT made.batch, g.payer, g.currency, sum(g.micros)::bigint, sum(g.requests)::bigint
        FROM given g JOIN made ON made.n = g.n WHERE g.payer IS NOT NULL
        GROUP BY made.batch, g.payer, g.currency ORDER BY made.batch, g.payer, g.currency
        ON CONFLICT (batch, account, currency) DO UPDATE
            SET micros = k.micros + excluded.micros, requests = k.requests + excluded.requests
    ), lasted AS (
        INSERT INTO durations (account, took_ms)
        SELECT g.account, g.took_ms FROM given g JOIN made ON made.n = g.n WHERE g.took_ms IS NOT NULL ORDER BY g.n
    )
    SELECT s.n, CASE WHEN s.verdict = 3 THEN 0 ELSE s.verdict END FROM stands s;
END $$;

-- Gives back jobs that were taken under these numbers, one for each. What is being sent is not given back.
CREATE FUNCTION give_back(ids bigint[], owners bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    UPDATE jobs SET owner = NULL, claimed_for = NULL, reserved = 0
    WHERE id = ANY (ids) AND owner = ANY (owners) AND state <> 2;
END $$;

-- Weighs the price of a planned job that a worker has taken against a budget, and reserves it: 0 where it can be afforded, 1
-- where it cannot while what is in hand may be paid, 2 where it cannot with what was paid.
CREATE FUNCTION afford(by_worker bigint, for_job bigint, price bigint, of_batch bigint, most bigint, typical bigint)
RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    spent numeric;
    in_hand numeric;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('nightreel budget'), 0);
    SELECT
        (SELECT coalesce(sum(CASE WHEN currency = '' THEN typical::numeric * requests ELSE micros END), 0)
         FROM spending WHERE of_batch IS NULL OR batch = of_batch),
        (SELECT coalesce(sum(reserved), 0)
         FROM jobs WHERE claimed_for IS NOT NULL AND id <> for_job AND (of_batch IS NULL OR batch = of_batch))
    INTO spent, in_hand;
    IF spent + price > most THEN
        RETURN 2;
    ELSIF spent + in_hand + price > most THEN
        RETURN 1;
    END IF;
    UPDATE jobs SET reserved = price WHERE id = for_job AND owner = by_worker AND claimed_for IS NOT NULL AND state = 1;
    RETURN CASE WHEN FOUND THEN 0 ELSE 1 END;
END $$;

-- Gives up workers whose time is over, with all that they had taken. While the database was down nobody could say that it
-- lives, so that time does not count.
CREATE FUNCTION give_up(lease interval) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    gone bigint[];
    freed bigint;
BEGIN
    WITH dead AS (
        DELETE FROM workers WHERE id IN (
            SELECT id FROM workers
            WHERE greatest(expires_at, pg_postmaster_start_time() + lease) < clock_timestamp()
            FOR UPDATE SKIP LOCKED
        )
        RETURNING id
    )
    SELECT array_agg(id) INTO gone FROM dead;
    IF gone IS NULL THEN
        RETURN 0;
    END IF;
    UPDATE jobs SET owner = NULL, claimed_for = NULL, reserved = 0 WHERE owner = ANY (gone);
    GET DIAGNOSTICS freed = ROW_COUNT;
    RETURN freed;
END $$;

-- A worker that leaves.
CREATE FUNCTION leave(me bigint) RETURNS void LANGUAGE sql AS $$
    DELETE FROM workers WHERE id = me;
    UPDATE jobs SET owner = NULL, claimed_for = NULL, reserved = 0 WHERE owner = me;
$$;

-- Takes a batch out of the ledger: all or nothing, and only where all of its rows came to their end before an instant.
CREATE FUNCTION prune(of_batch bigint, before_ms bigint) RETURNS TABLE (n_rows bigint, n_events bigint) LANGUAGE plpgsql AS $$
DECLARE
    is_old boolean;
BEGIN
    PERFORM 1 FROM batches WHERE id = of_batch FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM 1 FROM jobs WHERE batch = of_batch ORDER BY id FOR UPDATE;
    SELECT coalesce(bool_and(state IN (6, 7) AND finished_at < before_ms), true) INTO is_old
    FROM jobs WHERE batch = of_batch;
    IF NOT is_old THEN
        RETURN;
    END IF;
    PERFORM set_config('nightreel.pruning', 'on', true);
    DELETE FROM events WHERE job IN (SELECT id FROM jobs WHERE batch = of_batch);
    GET DIAGNOSTICS n_events = ROW_COUNT;
    DELETE FROM jobs WHERE batch = of_batch;
    GET DIAGNOSTICS n_rows = ROW_COUNT;
    DELETE FROM groups WHERE batch = of_batch;
    DELETE FROM spending WHERE batch = of_batch;
    DELETE FROM batches WHERE id = of_batch;
    PERFORM set_config('nightreel.pruning', 'off', true);
    RETURN NEXT;
END $$;
