-- Instances move between versions of their machine, and are found by what is in their context.

ALTER TABLE version ADD COLUMN index_selectors TEXT NOT NULL DEFAULT '{}';

ALTER TABLE upload ADD COLUMN from_version TEXT;

ALTER TABLE upload ADD COLUMN to_version TEXT;

ALTER TABLE instance ADD COLUMN desired_version TEXT;

-- Code that leads instances from one version of their machine to another.
CREATE TABLE migration (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    org TEXT NOT NULL,
    machine TEXT NOT NULL,
    created_at REAL NOT NULL,
    from_version TEXT NOT NULL,
    to_version TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    source TEXT,
    file_name TEXT NOT NULL,
    FOREIGN KEY (org, machine) REFERENCES machine (org, name) ON DELETE CASCADE
) STRICT;

CREATE INDEX migration_by_machine ON migration (org, machine);

-- What instances are found by. Clustered by value, so that a query walks along neighbours.
CREATE TABLE index_value (
    org TEXT NOT NULL,
    machine TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    instance_key INTEGER NOT NULL REFERENCES instance (key) ON DELETE CASCADE,
    PRIMARY KEY (org, machine, name, value, instance_key)
) STRICT, WITHOUT ROWID;

CREATE INDEX index_value_by_instance ON index_value (instance_key);
