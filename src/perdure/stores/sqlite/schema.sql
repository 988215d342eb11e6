-- The tables of a perdure database. A new database is made from this file; an old one is led to the same tables by the
-- files in migrations/, and a test compares the two.
--
-- Keys named `key` are positions: they grow, are never used twice (AUTOINCREMENT) and order lists and page cursors.
-- Times are milliseconds since the Unix epoch. Columns with structure hold JSON text.

-- Which migrations this database has; the highest one is its schema version.
CREATE TABLE schema_version (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL
) STRICT;

CREATE TABLE org (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_at REAL NOT NULL
) STRICT;

-- Signing keys of tokens. Their secrets arrive sealed.
CREATE TABLE signing_key (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    org TEXT NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    sealed_secret BLOB NOT NULL,
    created_at REAL NOT NULL
) STRICT;

CREATE INDEX signing_key_by_org ON signing_key (org);

-- Whose tokens an org takes in exchange for its own. Their secrets arrive sealed.
CREATE TABLE identity_provider (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    org TEXT NOT NULL,
    aud TEXT,
    iss TEXT,
    algs TEXT NOT NULL,
    mapping TEXT NOT NULL,
    jwks_url TEXT,
    sealed_key BLOB,
    created_at REAL NOT NULL
) STRICT;

CREATE INDEX identity_provider_by_org ON identity_provider (org);

-- How the tokens are made that an org gives in exchange.
CREATE TABLE token_provider (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    org TEXT NOT NULL,
    service TEXT NOT NULL,
    key_id TEXT NOT NULL,
    mapping TEXT NOT NULL,
    created_at REAL NOT NULL,
    UNIQUE (org, service)
) STRICT;

CREATE TABLE machine (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    org TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at REAL NOT NULL,
    current_version TEXT,
    indexes TEXT NOT NULL,
    UNIQUE (org, name)
) STRICT;

CREATE TABLE version (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    org TEXT NOT NULL,
    machine TEXT NOT NULL,
    created_at REAL NOT NULL,
    client_info TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    source TEXT,
    file_name TEXT NOT NULL,
    index_selectors TEXT NOT NULL DEFAULT '{}',
    FOREIGN KEY (org, machine) REFERENCES machine (org, name) ON DELETE CASCADE
) STRICT;

CREATE INDEX version_by_machine ON version (org, machine);

-- Code that was announced and maybe sent, and is not a version yet.
CREATE TABLE upload (
    id TEXT PRIMARY KEY,
    org TEXT NOT NULL,
    machine TEXT NOT NULL,
    created_at REAL NOT NULL,
    gzip INTEGER NOT NULL,
    version_id TEXT NOT NULL,
    code BLOB,
    file_name TEXT,
    from_version TEXT,
    to_version TEXT
) STRICT;

CREATE INDEX upload_by_machine ON upload (org, machine);

-- Every instance as its last commit left it.
CREATE TABLE instance (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    org TEXT NOT NULL,
    machine TEXT NOT NULL,
    instance TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    version_id TEXT NOT NULL,
    created_at REAL NOT NULL,
    ts REAL NOT NULL,
    status TEXT NOT NULL,
    parents TEXT NOT NULL,
    snapshot TEXT NOT NULL,
    desired_version TEXT,
    life TEXT NOT NULL DEFAULT '',
    UNIQUE (org, machine, instance)
) STRICT;

CREATE INDEX instance_by_machine ON instance (org, machine);

-- What each instance went through. Clustered by instance, so that a page of a journal lies together.
CREATE TABLE journal (
    instance_key INTEGER NOT NULL REFERENCES instance (key) ON DELETE CASCADE,
    sequence INTEGER NOT NULL,
    created_at REAL NOT NULL,
    event TEXT NOT NULL,
    state TEXT NOT NULL,
    version_id TEXT NOT NULL,
    sender_org TEXT,
    sender_machine TEXT,
    sender_instance TEXT,
    PRIMARY KEY (instance_key, sequence)
) STRICT, WITHOUT ROWID;

-- Mail committed and not yet applied; `arrival` is the order of the commits and, within one, of its list. `place` is the
-- order of delivery: the arrival of a piece itself, and for the shares of a broadcast that of the broadcast, which
-- remembers in `reached` the last membership it has made a share for.
CREATE TABLE mail (
    arrival INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    sender_org TEXT NOT NULL,
    sender_machine TEXT NOT NULL,
    sender_instance TEXT NOT NULL,
    target_org TEXT NOT NULL,
    target_machine TEXT NOT NULL,
    target_instance TEXT NOT NULL,
    due_at REAL NOT NULL,
    event TEXT,
    creation TEXT,
    send_id TEXT,
    is_delayed INTEGER NOT NULL,
    is_platform INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    retry_at REAL NOT NULL,
    last_error TEXT,
    chain INTEGER NOT NULL DEFAULT 0,
    trace TEXT,
    place INTEGER NOT NULL DEFAULT 0,
    reached INTEGER NOT NULL DEFAULT 0
) STRICT;

-- What is due is at the front, whatever waits behind it; whom it is for can be told without reading it.
CREATE INDEX mail_by_due ON mail (due_at, place, target_org, target_machine, target_instance);

CREATE INDEX mail_by_target ON mail (target_org, target_machine, target_instance, due_at, place);

-- Only delayed mail can be cancelled, and only by its sender.
CREATE INDEX mail_delayed_by_sender ON mail (sender_org, sender_machine, sender_instance, send_id) WHERE is_delayed = 1;

-- Mail with a failed attempt is rare: these two stay small, and tell what it holds back and when it is tried again.
CREATE INDEX mail_tried_by_pair ON mail (
    target_org, target_machine, target_instance, sender_org, sender_machine, sender_instance
) WHERE retry_at > 0;

CREATE INDEX mail_tried_by_retry ON mail (retry_at) WHERE retry_at > 0;

-- Broadcasts are few, and gone once all their shares are made.
CREATE INDEX mail_broadcast_by_sender ON mail (sender_org, sender_machine, sender_instance, place)
WHERE kind = 'broadcast';

CREATE INDEX mail_broadcast_by_target ON mail (target_org, target_instance, place) WHERE kind = 'broadcast';

-- Who is in which group of instances. A membership counts for the broadcasts with a place after `begun_at` and up to
-- `ended_at`; one that has ended is kept while a broadcast needs to know.
CREATE TABLE membership (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    org TEXT NOT NULL,
    name TEXT NOT NULL,
    machine TEXT NOT NULL,
    instance TEXT NOT NULL,
    begun_at INTEGER NOT NULL,
    ended_at INTEGER
) STRICT;

CREATE INDEX membership_by_group ON membership (org, name, key);

CREATE INDEX membership_by_member ON membership (org, machine, instance);

CREATE UNIQUE INDEX membership_present ON membership (org, name, machine, instance) WHERE ended_at IS NULL;

-- Mail that was given up, in the order of giving up. The same columns as mail.
CREATE TABLE dead_letter (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    sender_org TEXT NOT NULL,
    sender_machine TEXT NOT NULL,
    sender_instance TEXT NOT NULL,
    target_org TEXT NOT NULL,
    target_machine TEXT NOT NULL,
    target_instance TEXT NOT NULL,
    due_at REAL NOT NULL,
    event TEXT,
    creation TEXT,
    send_id TEXT,
    is_delayed INTEGER NOT NULL,
    is_platform INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    retry_at REAL NOT NULL,
    last_error TEXT,
    buried_at REAL NOT NULL,
    chain INTEGER NOT NULL DEFAULT 0,
    trace TEXT
) STRICT;

CREATE INDEX dead_letter_by_org ON dead_letter (target_org);

CREATE INDEX dead_letter_by_target ON dead_letter (target_org, target_machine, target_instance);

CREATE INDEX dead_letter_delayed_by_sender ON dead_letter (sender_org, sender_machine, sender_instance)
WHERE is_delayed = 1;

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
