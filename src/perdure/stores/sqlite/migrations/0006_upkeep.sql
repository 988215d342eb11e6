-- Receipts of requests, how long journals are kept, and the output of machine code.

-- What requests with an idempotency key came to. They lie with their instance and are deleted with it.
CREATE TABLE receipt (
    org TEXT NOT NULL,
    machine TEXT NOT NULL,
    instance TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    at REAL NOT NULL,
    answer TEXT NOT NULL,
    PRIMARY KEY (org, machine, instance, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX receipt_by_time ON receipt (at);

-- How much of the journals of a machine's instances is kept.
CREATE TABLE retention (
    org TEXT NOT NULL,
    machine TEXT NOT NULL,
    entries_max INTEGER,
    age_max REAL,
    PRIMARY KEY (org, machine),
    FOREIGN KEY (org, machine) REFERENCES machine (org, name) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- What machine code has printed and logged.
CREATE TABLE log_entry (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    org TEXT NOT NULL,
    machine TEXT NOT NULL,
    instance TEXT NOT NULL,
    version_id TEXT NOT NULL,
    at REAL NOT NULL,
    output_type TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;

CREATE INDEX log_entry_by_org ON log_entry (org, at);

CREATE INDEX log_entry_by_machine ON log_entry (org, machine, at);

CREATE INDEX log_entry_by_instance ON log_entry (org, machine, instance, at);

CREATE INDEX log_entry_by_time ON log_entry (at);
