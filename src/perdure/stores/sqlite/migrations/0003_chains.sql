-- Mail knows how long the chain of messages is that it came of, and its receiver can be told from the index.

ALTER TABLE mail ADD COLUMN chain INTEGER NOT NULL DEFAULT 0;

ALTER TABLE dead_letter ADD COLUMN chain INTEGER NOT NULL DEFAULT 0;

DROP INDEX mail_by_due;

CREATE INDEX mail_by_due ON mail (due_at, arrival, target_org, target_machine, target_instance);
