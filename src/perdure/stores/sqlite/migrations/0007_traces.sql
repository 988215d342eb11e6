-- Mail knows the trace of the turn that sent it.
ALTER TABLE mail ADD COLUMN trace TEXT;

ALTER TABLE dead_letter ADD COLUMN trace TEXT;
