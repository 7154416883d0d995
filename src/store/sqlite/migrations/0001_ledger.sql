-- The ledger: what is asked for, what may have been paid, what was made.
-- `events` is append-only and is the truth; `jobs` and `tallies` are its projection, written in the same transaction.
-- Instants are milliseconds since 1970 (UTC).

CREATE TABLE batches (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    name     TEXT NOT NULL UNIQUE,
    out      TEXT NOT NULL,               -- absolute path of the output tree
    columns  TEXT NOT NULL,               -- the manifest's own columns, a JSON array
    manifest TEXT NOT NULL                -- absolute path
) STRICT;

CREATE TABLE accounts (
    name           TEXT PRIMARY KEY,
    gateway        TEXT NOT NULL,
    base_url       TEXT NOT NULL,
    last_submit_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    batch       INTEGER NOT NULL REFERENCES batches (id),
    key         BLOB NOT NULL CHECK (length(key) = 16),
    label       TEXT NOT NULL,
    content     BLOB NOT NULL CHECK (length(content) = 32),
    effect      TEXT NOT NULL,            -- JSON
    output      TEXT NOT NULL,
    columns     TEXT NOT NULL,            -- JSON
    -- 1 planned, 2 submitting, 3 in doubt, 4 waiting, 5 ready, 6 done, 7 failed, 8 held, 9 stuck
    state       INTEGER NOT NULL CHECK (state BETWEEN 1 AND 9),
    detail      TEXT NOT NULL,            -- the state with its data, JSON
    due_at      INTEGER,
    attempt     TEXT,                     -- the present or last attempt, JSON
    account     TEXT,
    task        TEXT,
    client_ref  TEXT,
    submissions INTEGER NOT NULL DEFAULT 0 CHECK (submissions >= 0),
    version     INTEGER NOT NULL DEFAULT 0,
    finished_at INTEGER,
    -- the first eight bytes of digests, for look-ups that are confirmed by the whole value
    output_hash  INTEGER NOT NULL,
    content_hash INTEGER NOT NULL,
    CHECK (state NOT IN (2, 3, 4, 5, 6, 8, 9) OR attempt IS NOT NULL)
) STRICT;

CREATE UNIQUE INDEX jobs_key ON jobs (batch, key);
CREATE INDEX jobs_output ON jobs (output_hash);
CREATE INDEX jobs_content ON jobs (content_hash);
CREATE INDEX jobs_planned ON jobs (batch, due_at, id) WHERE state = 1;
CREATE INDEX jobs_open ON jobs (account, state, due_at, id) WHERE state IN (2, 3, 4, 5, 8, 9);
CREATE INDEX jobs_troubled ON jobs (id) WHERE state IN (7, 8, 9);

CREATE TABLE events (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,
    job  INTEGER NOT NULL,
    at   INTEGER NOT NULL,
    name TEXT NOT NULL,
    data TEXT NOT NULL                    -- JSON
) STRICT;

CREATE INDEX events_job ON events (job, seq);

CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_are_never_removed BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;

-- How many jobs of a batch are in which state: told without walking the jobs.
CREATE TABLE tallies (
    batch       INTEGER NOT NULL REFERENCES batches (id),
    state       INTEGER NOT NULL CHECK (state BETWEEN 1 AND 9),
    jobs        INTEGER NOT NULL DEFAULT 0,
    submissions INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (batch, state)
) STRICT, WITHOUT ROWID;

-- How long tasks took, for the expectation that the next run starts with. The oldest are dropped.
CREATE TABLE durations (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    took_ms INTEGER NOT NULL
) STRICT;
