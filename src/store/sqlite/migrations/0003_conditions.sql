-- What is asked of a row each time that it is written: the same conditions as before, in comparisons. For a list of three
-- values or more SQLite makes a table of its own, for each statement anew, and five of them were half the work of a step.

DROP INDEX jobs_open;
CREATE INDEX jobs_open ON jobs (account, state, due_at, id) WHERE state > 1 AND state <> 6 AND state <> 7;
DROP INDEX jobs_troubled;
CREATE INDEX jobs_troubled ON jobs (id) WHERE state >= 7;

-- A constraint is changed in its text, as SQLite's documentation of ALTER TABLE has it. States are 1 to 9.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql,
    'CHECK (state NOT IN (2, 3, 4, 5, 6, 8, 9) OR attempt IS NOT NULL)',
    'CHECK (attempt IS NOT NULL OR state = 1 OR state = 7)')
WHERE type = 'table' AND name = 'jobs';
PRAGMA writable_schema = RESET;
