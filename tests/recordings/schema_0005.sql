PRAGMA application_id = 1347568722;
BEGIN TRANSACTION;
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
    chain INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO "dead_letter" VALUES(1,'00000000-0000-4000-8000-000000000006#3.0','event','org_recorded','bells','bell','org_recorded','refused','one',0.0,'{"type":"KNOCK","times":3}',NULL,'KNOCK',0,0,1,0.0,'AuthorizerRefused: allow_write of machine ''refused'' refused',1000000.0,1);
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
INSERT INTO "identity_provider" VALUES(1,'idp_recorded','org_recorded','here',NULL,'["HS256"]','{"sub.$":"$.sub"}',NULL,X'000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F202122232425262728292A2B2C2D2E2F303132333435363738393A3B3C3D3E3F',2.0);
CREATE TABLE index_value (
    org TEXT NOT NULL,
    machine TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    instance_key INTEGER NOT NULL REFERENCES instance (key) ON DELETE CASCADE,
    PRIMARY KEY (org, machine, name, value, instance_key)
) STRICT, WITHOUT ROWID;
INSERT INTO "index_value" VALUES('org_recorded','bells','note','♫',5);
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
INSERT INTO "instance" VALUES(1,'org_recorded','refused','one',1,'ver_AAAAAAAAQACAAAAAAAAAAw',1000000.0,1000000.0,'running','[]','{"machine":"refused","configuration":["refused.still"],"value":"still","context":{"rung":0,"public":{"note":"♫"}},"format":1}',NULL,'00000000-0000-4000-8000-000000000004');
INSERT INTO "instance" VALUES(2,'org_recorded','bells','paused',2,'ver_AAAAAAAAQACAAAAAAAAAAQ',1000000.0,1000000.001,'paused','[]','{"machine":"bells","configuration":["bells.still"],"value":"still","context":{"rung":0,"public":{"note":"♫"}},"format":1}',NULL,'00000000-0000-4000-8000-000000000005');
INSERT INTO "instance" VALUES(3,'org_recorded','bells','bell',4,'ver_AAAAAAAAQACAAAAAAAAAAQ',1000000.0,1000000.003,'running','[]','{"machine":"bells","configuration":["bells.ringing"],"value":"ringing","context":{"rung":1,"public":{"note":"♫"},"clapper":{"type":"statebacked.instance","id":"clapper","machineName":"clapper","machineInstanceName":"clapper"}},"children":{"clapper":{"id":"clapper","source":"clapper","session":1,"instance":"clapper"}},"children_started":1,"format":1}',NULL,'00000000-0000-4000-8000-000000000006');
INSERT INTO "instance" VALUES(4,'org_recorded','clapper','clapper',1,'ver_AAAAAAAAQACAAAAAAAAAAg',1000000.0,1000000.0,'running','[{"address":{"org":"org_recorded","machine":"bells","instance":"bell"},"child_id":"clapper"}]','{"machine":"clapper","configuration":["clapper.still"],"value":"still","context":{"rung":0,"public":{"note":"♫"}},"format":1}',NULL,'00000000-0000-4000-8000-000000000007');
INSERT INTO "instance" VALUES(5,'org_recorded','bells','moved',2,'ver_AAAAAAAAQACAAAAAAAAAAQ',1000000.0,1000000.0,'running','[]','{"machine":"bells","configuration":["bells.still"],"value":"still","context":{"rung":0,"public":{"note":"♫"}},"format":1}','ver_recorded','00000000-0000-4000-8000-000000000008');
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
INSERT INTO "journal" VALUES(1,1,1000000.0,'{"type":"xstate.init"}','"still"','ver_AAAAAAAAQACAAAAAAAAAAw',NULL,NULL,NULL);
INSERT INTO "journal" VALUES(2,1,1000000.0,'{"type":"xstate.init"}','"still"','ver_AAAAAAAAQACAAAAAAAAAAQ',NULL,NULL,NULL);
INSERT INTO "journal" VALUES(3,1,1000000.0,'{"type":"xstate.init"}','"still"','ver_AAAAAAAAQACAAAAAAAAAAQ',NULL,NULL,NULL);
INSERT INTO "journal" VALUES(3,2,1000000.001,'{"type":"HANG"}','"still"','ver_AAAAAAAAQACAAAAAAAAAAQ',NULL,NULL,NULL);
INSERT INTO "journal" VALUES(3,3,1000000.002,'{"type":"ANNOY"}','"still"','ver_AAAAAAAAQACAAAAAAAAAAQ',NULL,NULL,NULL);
INSERT INTO "journal" VALUES(3,4,1000000.003,'{"type":"RING"}','"ringing"','ver_AAAAAAAAQACAAAAAAAAAAQ',NULL,NULL,NULL);
INSERT INTO "journal" VALUES(4,1,1000000.0,'{"type":"xstate.init"}','"still"','ver_AAAAAAAAQACAAAAAAAAAAg','org_recorded','bells','bell');
INSERT INTO "journal" VALUES(5,1,1000000.0,'{"type":"xstate.init"}','"still"','ver_AAAAAAAAQACAAAAAAAAAAQ',NULL,NULL,NULL);
CREATE TABLE machine (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    org TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at REAL NOT NULL,
    current_version TEXT,
    indexes TEXT NOT NULL,
    UNIQUE (org, name)
) STRICT;
INSERT INTO "machine" VALUES(1,'org_recorded','bells',1000000.0,'ver_AAAAAAAAQACAAAAAAAAAAQ','["note"]');
INSERT INTO "machine" VALUES(2,'org_recorded','clapper',1000000.0,'ver_AAAAAAAAQACAAAAAAAAAAg','[]');
INSERT INTO "machine" VALUES(3,'org_recorded','refused',1000000.0,'ver_AAAAAAAAQACAAAAAAAAAAw','[]');
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
    chain INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO "mail" VALUES(3,'00000000-0000-4000-8000-000000000006#4.0','event','org_recorded','bells','bell','org_recorded','bells','bell',1005000.0,'{"type":"ECHO"}',NULL,'echo',1,0,0,0.0,NULL,0);
INSERT INTO "mail" VALUES(4,'00000000-0000-4000-8000-000000000006#4.1','event','org_recorded','bells','bell','org_recorded','bells','bell',1060000.0,'{"type":"xstate.after(60000)#bells.ringing"}',NULL,'xstate.after(60000)#bells.ringing',1,0,0,0.0,NULL,0);
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
INSERT INTO "migration" VALUES(1,'mig_recorded','org_recorded','bells',4.0,'ver_AAAAAAAAQACAAAAAAAAAAQ','ver_recorded','0000000000000000000000000000000000000000000000000000000000000000','
def upgrade_state(path, context):
    return path

def upgrade_context(old_paths, new_paths, context):
    return {**context, "moved": True}
','bells_migration.py');
CREATE TABLE org (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_at REAL NOT NULL
) STRICT;
INSERT INTO "org" VALUES(1,'org_recorded','recorded',1000000.0);
CREATE TABLE schema_version (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL
) STRICT;
INSERT INTO "schema_version" VALUES(1,'initial');
INSERT INTO "schema_version" VALUES(2,'providers');
INSERT INTO "schema_version" VALUES(3,'chains');
INSERT INTO "schema_version" VALUES(4,'versions_and_indexes');
INSERT INTO "schema_version" VALUES(5,'lives');
CREATE TABLE signing_key (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    org TEXT NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    sealed_secret BLOB NOT NULL,
    created_at REAL NOT NULL
) STRICT;
INSERT INTO "signing_key" VALUES(1,'sbk_recorded','org_recorded','recorded','["events.write"]',X'000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F202122232425262728292A2B2C2D2E2F303132333435363738393A3B3C3D3E3F404142434445464748494A4B4C4D4E4F505152535455565758595A5B5C5D5E5F606162636465666768696A6B6C6D6E6F707172737475767778797A7B7C7D7E7F808182838485868788898A8B8C8D8E8F909192939495969798999A9B9C9D9E9FA0A1A2A3A4A5A6A7A8A9AAABACADAEAFB0B1B2B3B4B5B6B7B8B9BABBBCBDBEBFC0C1C2C3C4C5C6C7C8C9CACBCCCDCECFD0D1D2D3D4D5D6D7D8D9DADBDCDDDEDFE0E1E2E3E4E5E6E7E8E9EAEBECEDEEEFF0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF',1000000.0);
CREATE TABLE token_provider (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    org TEXT NOT NULL,
    service TEXT NOT NULL,
    key_id TEXT NOT NULL,
    mapping TEXT NOT NULL,
    created_at REAL NOT NULL,
    UNIQUE (org, service)
) STRICT;
INSERT INTO "token_provider" VALUES(1,'org_recorded','app','sbk_recorded','{"sub.$":"$.sub"}',3.0);
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
INSERT INTO "upload" VALUES('upload-1','org_recorded','bells',1.0,1,'ver_later',X'1F8B20636F6465','bells.py',NULL,NULL);
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
INSERT INTO "version" VALUES(1,'ver_AAAAAAAAQACAAAAAAAAAAQ','org_recorded','bells',1000000.0,'recorded','5140db430b04b338e941a02ca58a9400c752d8092f87b246450e26118fc01903','
from perdure import assign, create_machine, send, send_to, spawn_persistent

REFUSED = {"type": "statebacked.instance", "id": "x", "machineName": "refused", "machineInstanceName": "one"}

machine = create_machine({
    "id": "bells",
    "initial": "still",
    "context": {"rung": 0, "public": {"note": "\u266b"}},
    "states": {
        "still": {
            "on": {
                "RING": {
                    "target": "ringing",
                    "actions": [
                        assign(rung=lambda context: context["rung"] + 1),
                        send("ECHO", delay=5_000, id="echo"),
                    ],
                },
                "HANG": {"actions": assign(clapper=lambda: spawn_persistent("clapper", name="clapper"))},
                "ANNOY": {"actions": send_to(lambda: REFUSED, {"type": "KNOCK", "times": 3})},
            },
        },
        "ringing": {"after": {"60000": "still"}, "on": {"ECHO": {"actions": assign(echo=True)}}},
    },
})

def allow_read(request):
    return True

def allow_write(request):
    return True
','bells.py','{"note":"$.public.note"}');
INSERT INTO "version" VALUES(2,'ver_AAAAAAAAQACAAAAAAAAAAg','org_recorded','clapper',1000000.0,'recorded','dfc39932079118905fe9a5ae1ced204288642cf501a54d2483970744984b8084','
from perdure import assign, create_machine, send, send_to, spawn_persistent

REFUSED = {"type": "statebacked.instance", "id": "x", "machineName": "refused", "machineInstanceName": "one"}

machine = create_machine({
    "id": "clapper",
    "initial": "still",
    "context": {"rung": 0, "public": {"note": "\u266b"}},
    "states": {
        "still": {
            "on": {
                "RING": {
                    "target": "ringing",
                    "actions": [
                        assign(rung=lambda context: context["rung"] + 1),
                        send("ECHO", delay=5_000, id="echo"),
                    ],
                },
                "HANG": {"actions": assign(clapper=lambda: spawn_persistent("clapper", name="clapper"))},
                "ANNOY": {"actions": send_to(lambda: REFUSED, {"type": "KNOCK", "times": 3})},
            },
        },
        "ringing": {"after": {"60000": "still"}, "on": {"ECHO": {"actions": assign(echo=True)}}},
    },
})

def allow_read(request):
    return True

def allow_write(request):
    return True
','clapper.py','{}');
INSERT INTO "version" VALUES(3,'ver_AAAAAAAAQACAAAAAAAAAAw','org_recorded','refused',1000000.0,'recorded','eb8eed80f1773eaa59ec4809902ed1abd8510c41603f20cd2535acb43b1db91f','
from perdure import assign, create_machine, send, send_to, spawn_persistent

REFUSED = {"type": "statebacked.instance", "id": "x", "machineName": "refused", "machineInstanceName": "one"}

machine = create_machine({
    "id": "refused",
    "initial": "still",
    "context": {"rung": 0, "public": {"note": "\u266b"}},
    "states": {
        "still": {
            "on": {
                "RING": {
                    "target": "ringing",
                    "actions": [
                        assign(rung=lambda context: context["rung"] + 1),
                        send("ECHO", delay=5_000, id="echo"),
                    ],
                },
                "HANG": {"actions": assign(clapper=lambda: spawn_persistent("clapper", name="clapper"))},
                "ANNOY": {"actions": send_to(lambda: REFUSED, {"type": "KNOCK", "times": 3})},
            },
        },
        "ringing": {"after": {"60000": "still"}, "on": {"ECHO": {"actions": assign(echo=True)}}},
    },
})

def allow_read(request):
    return True

def allow_write(request):
    return request.sender is None
','refused.py','{}');
INSERT INTO "version" VALUES(4,'ver_recorded','org_recorded','bells',1000000.0,'recorded','5140db430b04b338e941a02ca58a9400c752d8092f87b246450e26118fc01903','
from perdure import assign, create_machine, send, send_to, spawn_persistent

REFUSED = {"type": "statebacked.instance", "id": "x", "machineName": "refused", "machineInstanceName": "one"}

machine = create_machine({
    "id": "bells",
    "initial": "still",
    "context": {"rung": 0, "public": {"note": "\u266b"}},
    "states": {
        "still": {
            "on": {
                "RING": {
                    "target": "ringing",
                    "actions": [
                        assign(rung=lambda context: context["rung"] + 1),
                        send("ECHO", delay=5_000, id="echo"),
                    ],
                },
                "HANG": {"actions": assign(clapper=lambda: spawn_persistent("clapper", name="clapper"))},
                "ANNOY": {"actions": send_to(lambda: REFUSED, {"type": "KNOCK", "times": 3})},
            },
        },
        "ringing": {"after": {"60000": "still"}, "on": {"ECHO": {"actions": assign(echo=True)}}},
    },
})

def allow_read(request):
    return True

def allow_write(request):
    return True
','bells.py','{"note":"$.public.note"}');
CREATE INDEX signing_key_by_org ON signing_key (org);
CREATE INDEX identity_provider_by_org ON identity_provider (org);
CREATE INDEX version_by_machine ON version (org, machine);
CREATE INDEX upload_by_machine ON upload (org, machine);
CREATE INDEX instance_by_machine ON instance (org, machine);
CREATE INDEX mail_by_due ON mail (due_at, arrival, target_org, target_machine, target_instance);
CREATE INDEX mail_by_target ON mail (target_org, target_machine, target_instance, due_at);
CREATE INDEX mail_delayed_by_sender ON mail (sender_org, sender_machine, sender_instance, send_id) WHERE is_delayed = 1;
CREATE INDEX mail_tried_by_pair ON mail (
    target_org, target_machine, target_instance, sender_org, sender_machine, sender_instance
) WHERE retry_at > 0;
CREATE INDEX mail_tried_by_retry ON mail (retry_at) WHERE retry_at > 0;
CREATE INDEX dead_letter_by_org ON dead_letter (target_org);
CREATE INDEX dead_letter_by_target ON dead_letter (target_org, target_machine, target_instance);
CREATE INDEX dead_letter_delayed_by_sender ON dead_letter (sender_org, sender_machine, sender_instance)
WHERE is_delayed = 1;
CREATE INDEX migration_by_machine ON migration (org, machine);
CREATE INDEX index_value_by_instance ON index_value (instance_key);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('org',1);
INSERT INTO "sqlite_sequence" VALUES('signing_key',1);
INSERT INTO "sqlite_sequence" VALUES('machine',3);
INSERT INTO "sqlite_sequence" VALUES('version',4);
INSERT INTO "sqlite_sequence" VALUES('instance',5);
INSERT INTO "sqlite_sequence" VALUES('mail',4);
INSERT INTO "sqlite_sequence" VALUES('dead_letter',1);
INSERT INTO "sqlite_sequence" VALUES('identity_provider',1);
INSERT INTO "sqlite_sequence" VALUES('token_provider',1);
INSERT INTO "sqlite_sequence" VALUES('migration',1);
COMMIT;
