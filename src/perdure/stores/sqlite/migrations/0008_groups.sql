-- Groups of instances, and broadcasts to them. Mail is delivered by its place, which was its arrival until now.

ALTER TABLE mail ADD COLUMN place INTEGER NOT NULL DEFAULT 0;

ALTER TABLE mail ADD COLUMN reached INTEGER NOT NULL DEFAULT 0;

UPDATE mail SET place = arrival;

DROP INDEX mail_by_due;

CREATE INDEX mail_by_due ON mail (due_at, place, target_org, target_machine, target_instance);

DROP INDEX mail_by_target;

CREATE INDEX mail_by_target ON mail (target_org, target_machine, target_instance, due_at, place);

CREATE INDEX mail_broadcast_by_sender ON mail (sender_org, sender_machine, sender_instance, place)
WHERE kind = 'broadcast';

CREATE INDEX mail_broadcast_by_target ON mail (target_org, target_instance, place) WHERE kind = 'broadcast';

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
