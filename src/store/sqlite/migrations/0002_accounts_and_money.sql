-- Several accounts, prices, and what has to be known of scenes.

ALTER TABLE jobs ADD COLUMN wanted_account TEXT;  -- the only account that the row names
ALTER TABLE jobs ADD COLUMN sender TEXT;           -- the only account that may send it now; NULL for any
ALTER TABLE jobs ADD COLUMN scene TEXT GENERATED ALWAYS AS (effect ->> 'scene') VIRTUAL;

-- The next row is mostly found by `jobs_planned`; where much of it may not be sent now, by scene and sender.
CREATE INDEX jobs_planned_of ON jobs (batch, scene, sender, due_at, id) WHERE state = 1;
-- What is ready, the oldest task first: its link dies first.
CREATE INDEX jobs_ready ON jobs (attempt ->> 'started_at', id) WHERE state = 5;
CREATE INDEX jobs_ready_due ON jobs (due_at, id) WHERE state = 5;

-- How many jobs of a batch and scene, for which sender, are in which state: told without walking the jobs. Takes the place
-- of `tallies`.
CREATE TABLE groups (
    batch       INTEGER NOT NULL REFERENCES batches (id),
    scene       TEXT NOT NULL,
    sender      TEXT NOT NULL,                     -- empty for any
    state       INTEGER NOT NULL CHECK (state BETWEEN 1 AND 9),
    jobs        INTEGER NOT NULL DEFAULT 0,
    submissions INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (batch, scene, sender, state)
) STRICT, WITHOUT ROWID;
INSERT INTO groups (batch, scene, sender, state, jobs, submissions)
    SELECT batch, effect ->> 'scene', '', state, count(*), sum(submissions) FROM jobs GROUP BY 1, 2, 4;
DROP TABLE tallies;

-- What may have been paid for a batch by an account: in millionths, and the number of requests whose price is not known.
CREATE TABLE spending (
    batch    INTEGER NOT NULL REFERENCES batches (id),
    account  TEXT NOT NULL,
    currency TEXT NOT NULL,                        -- empty where no price is known
    micros   INTEGER NOT NULL DEFAULT 0,
    requests INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (batch, account, currency)
) STRICT, WITHOUT ROWID;
INSERT INTO spending (batch, account, currency, requests)
    SELECT batch, account, '', sum(submissions) FROM jobs WHERE submissions > 0 AND account IS NOT NULL GROUP BY 1, 2;

-- How runs ended, and what they learned that is worth telling later. The oldest are dropped.
CREATE TABLE runs (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    batch     INTEGER,                             -- NULL for all
    ended_at  INTEGER NOT NULL,
    exit_code INTEGER NOT NULL,
    submitted INTEGER NOT NULL,
    notes     TEXT NOT NULL                        -- a JSON array of lines
) STRICT;
