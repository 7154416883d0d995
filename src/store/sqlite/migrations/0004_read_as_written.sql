-- What a step and its indexes read of a row stands in columns of its own: texts were taken apart for it at each step, and at
-- each row that was admitted.

DROP INDEX jobs_planned_of;
DROP INDEX jobs_ready;
ALTER TABLE jobs DROP COLUMN scene;
ALTER TABLE jobs ADD COLUMN scene TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN started_at INTEGER;    -- of the present or last attempt
UPDATE jobs SET scene = effect ->> 'scene',
    started_at = CAST(round(unixepoch(attempt ->> 'started_at', 'subsec') * 1000) AS INTEGER);
CREATE INDEX jobs_planned_of ON jobs (batch, scene, sender, due_at, id) WHERE state = 1;
CREATE INDEX jobs_ready ON jobs (started_at, id) WHERE state = 5;
