-- Every statement the store runs on its tables, by name. Parameters are given in the order of the question marks.
-- A list answers the position of each row before its columns.

-- name: create_instance
-- Insert an instance that must not exist yet. Answers its key; no row when the name is taken.
INSERT INTO instance (
    org, machine, instance, sequence, version_id, created_at, ts, status, parents, desired_version, snapshot, life
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (org, machine, instance) DO NOTHING
RETURNING key;

-- name: advance_instance
-- The compare-and-swap of a commit. Answers the instance's key; no row when it is at another sequence, in another life or
-- gone.
UPDATE instance
SET sequence = ?, version_id = ?, created_at = ?, ts = ?, status = ?, parents = ?, desired_version = ?, snapshot = ?
WHERE life = ? AND org = ? AND machine = ? AND instance = ? AND sequence = ?
RETURNING key;

-- name: advance_instance_of_key
-- The same for an instance of which the key is known. No row is changed when it is at another sequence or gone.
UPDATE instance
SET sequence = ?, version_id = ?, created_at = ?, ts = ?, status = ?, parents = ?, desired_version = ?, snapshot = ?
WHERE life = ? AND key = ? AND sequence = ?;

-- name: instance_position
-- Where an instance stands, to explain why a commit lost.
SELECT sequence, life FROM instance WHERE org = ? AND machine = ? AND instance = ?;

-- name: load_instance
-- One instance, whole.
SELECT sequence, version_id, created_at, ts, status, parents, desired_version, snapshot, life
FROM instance
WHERE org = ? AND machine = ? AND instance = ?;

-- name: delete_instance
-- Remove an instance; its journal and its index values go with it.
DELETE FROM instance WHERE org = ? AND machine = ? AND instance = ?;

-- name: list_instances
-- A page of a machine's instances after a position.
SELECT key, instance, created_at, status, version_id
FROM instance
WHERE org = ? AND machine = ? AND key > ?
ORDER BY key
LIMIT ?;

-- name: machine_has_instances
-- Whether a machine has any instance.
SELECT EXISTS (SELECT 1 FROM instance WHERE org = ? AND machine = ?);

-- name: append_journal
-- Add one journal entry to the instance of a key.
INSERT INTO journal (
    instance_key, sequence, created_at, event, state, version_id, sender_org, sender_machine, sender_instance
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: list_journal
-- A page of an instance's journal after a sequence number.
SELECT
    sequence AS key, sequence, created_at, event, state, version_id, sender_org, sender_machine, sender_instance
FROM journal
WHERE instance_key = (SELECT key FROM instance WHERE org = ? AND machine = ? AND instance = ?) AND sequence > ?
ORDER BY sequence
LIMIT ?;

-- name: send_mail
-- Insert one piece of mail. Its place is its own arrival.
INSERT INTO mail (
    id, kind, sender_org, sender_machine, sender_instance, target_org, target_machine, target_instance,
    due_at, event, creation, send_id, is_delayed, is_platform, attempts, retry_at, last_error, chain, trace, place
) VALUES (
    ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
    (SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'mail')
);

-- name: consume_mail
-- Delete mail that its target has applied. No row is changed when it is not pending, or addressed to another instance.
DELETE FROM mail WHERE id = ? AND target_org = ? AND target_machine = ? AND target_instance = ?;

-- name: cancel_mail
-- Delete the delayed mail an instance sent under a send id.
DELETE FROM mail
WHERE sender_org = ? AND sender_machine = ? AND sender_instance = ? AND send_id = ? AND is_delayed = 1;

-- name: cancel_all_mail
-- Delete all delayed mail of a sender.
DELETE FROM mail WHERE sender_org = ? AND sender_machine = ? AND sender_instance = ? AND is_delayed = 1;

-- name: delete_mail_to
-- Delete the mail to an instance.
DELETE FROM mail WHERE target_org = ? AND target_machine = ? AND target_instance = ?;

-- name: delete_dead_letters_to
-- Delete the dead letters addressed to an instance.
DELETE FROM dead_letter WHERE target_org = ? AND target_machine = ? AND target_instance = ?;

-- name: delete_delayed_dead_letters_from
-- Delete the dead letters that were delayed mail of a sender.
DELETE FROM dead_letter WHERE sender_org = ? AND sender_machine = ? AND sender_instance = ? AND is_delayed = 1;

-- name: due_mail
-- Mail within a range of due times that may be tried now, as one JSON array in the order of delivery: without the mail to
-- some receivers, given as paths, without some ids, and without what waits behind a failed piece of the same sender to the
-- same target, or behind a broadcast of the same sender.
-- Events go into the text as they are. quote() writes a time with as many digits as tell it from its neighbours.
-- The index is named because SQLite would search all mail to the target instead of the few pieces that have failed.
SELECT '[' || group_concat(
    '{"id":' || json_quote(id) || ',"kind":"' || kind
    || '","sender":' || json_object('org', sender_org, 'machine', sender_machine, 'instance', sender_instance)
    || ',"target":' || json_object('org', target_org, 'machine', target_machine, 'instance', target_instance)
    || ',"due_at":' || quote(due_at) || ',"event":' || ifnull(event, 'null')
    || iif(creation IS NULL, '', ',"creation":' || creation)
    || iif(send_id IS NULL, '', ',"send_id":' || json_quote(send_id))
    || iif(is_delayed, ',"is_delayed":true', '') || iif(is_platform, ',"is_platform":true', '')
    || iif(attempts, ',"attempts":' || attempts, '') || iif(retry_at > 0, ',"retry_at":' || quote(retry_at), '')
    || iif(last_error IS NULL, '', ',"last_error":' || json_quote(last_error))
    || iif(chain, ',"chain":' || chain, '') || iif(trace IS NULL, '', ',"trace":' || json_quote(trace))
    || '}'
) || ']'
FROM (
    SELECT * FROM mail
    WHERE due_at > ? AND due_at <= ?
        AND (target_org || '/' || target_machine || '/' || target_instance) NOT IN (SELECT value FROM json_each(?))
        AND retry_at <= ? AND id NOT IN (SELECT value FROM json_each(?)) AND NOT EXISTS (
            SELECT 1
            FROM mail AS earlier INDEXED BY mail_tried_by_pair
            WHERE earlier.target_org = mail.target_org
                AND earlier.target_machine = mail.target_machine
                AND earlier.target_instance = mail.target_instance
                AND earlier.sender_org = mail.sender_org
                AND earlier.sender_machine = mail.sender_machine
                AND earlier.sender_instance = mail.sender_instance
                AND earlier.retry_at > 0
                AND earlier.retry_at > ?
                AND (earlier.due_at, earlier.place) < (mail.due_at, mail.place)
        ) AND NOT EXISTS (
            SELECT 1
            FROM mail AS broadcast INDEXED BY mail_broadcast_by_sender
            WHERE broadcast.kind = 'broadcast'
                AND broadcast.sender_org = mail.sender_org
                AND broadcast.sender_machine = mail.sender_machine
                AND broadcast.sender_instance = mail.sender_instance
                AND broadcast.place < mail.place
        )
    ORDER BY due_at, place
    LIMIT ?
);

-- name: next_times
-- The next time at which mail becomes due that waits for its due time alone, and the next one at which mail becomes due
-- that waits for another attempt.
SELECT
    (SELECT due_at FROM mail WHERE due_at > ? AND retry_at <= due_at ORDER BY due_at LIMIT 1),
    (SELECT retry_at FROM mail WHERE retry_at > 0 AND retry_at > ? AND retry_at > due_at ORDER BY retry_at LIMIT 1);

-- name: pending_mail
-- All mail to an instance that is not applied yet.
SELECT
    id, kind, sender_org, sender_machine, sender_instance, target_org, target_machine, target_instance,
    due_at, event, creation, send_id, is_delayed, is_platform, attempts, retry_at, last_error, chain, trace
FROM mail
WHERE target_org = ? AND target_machine = ? AND target_instance = ?
ORDER BY due_at, place;

-- name: count_mail
-- How much mail is pending, how much of it is due, the earliest due time that has passed, and the dead letters.
SELECT
    (SELECT count(*) FROM mail),
    (SELECT count(*) FROM mail WHERE due_at <= ?),
    (SELECT min(due_at) FROM mail WHERE due_at > 0 AND due_at <= ?),
    (SELECT count(*) FROM dead_letter);

-- name: defer_mail
-- Record a failed attempt at a piece of mail.
UPDATE mail SET attempts = ?, retry_at = ?, last_error = ? WHERE id = ?;

-- name: copy_to_dead_letters
-- The first half of giving mail up: attempts, error and time are given, all else is taken from the mail.
INSERT INTO dead_letter (
    id, kind, sender_org, sender_machine, sender_instance, target_org, target_machine, target_instance,
    due_at, event, creation, send_id, is_delayed, is_platform, attempts, retry_at, last_error, chain, trace, buried_at
)
SELECT
    id, kind, sender_org, sender_machine, sender_instance, target_org, target_machine, target_instance,
    due_at, event, creation, send_id, is_delayed, is_platform, ?, retry_at, ?, chain, trace, ?
FROM mail
WHERE id = ?;

-- name: delete_mail
-- The second half of giving mail up.
DELETE FROM mail WHERE id = ?;

-- name: load_broadcast
-- A broadcast of which shares have yet to be made: its place, how far it has come, and its group.
SELECT place, reached, target_org, target_instance FROM mail WHERE id = ? AND kind = 'broadcast';

-- name: members_to_reach
-- The next memberships that a broadcast of a place in the order of mail counts.
SELECT key, machine, instance
FROM membership
WHERE org = ? AND name = ? AND key > ? AND begun_at < ? AND (ended_at IS NULL OR ended_at >= ?)
ORDER BY key
LIMIT ?;

-- name: send_share
-- Insert one member's share of a broadcast. Its place is that of the broadcast.
INSERT INTO mail (
    id, kind, sender_org, sender_machine, sender_instance, target_org, target_machine, target_instance,
    due_at, event, creation, send_id, is_delayed, is_platform, attempts, retry_at, last_error, chain, trace, place
)
SELECT
    id || '/' || ?, 'share', sender_org, sender_machine, sender_instance, target_org, ?, ?,
    due_at, event, creation, send_id, is_delayed, is_platform, attempts, retry_at, last_error, chain, trace, place
FROM mail
WHERE id = ?;

-- name: mark_broadcast
-- Note how far a broadcast has come.
UPDATE mail SET reached = ? WHERE id = ?;

-- name: is_broadcasting
-- Whether a sender has a broadcast of which shares have yet to be made.
SELECT EXISTS (
    SELECT 1
    FROM mail
    WHERE kind = 'broadcast' AND sender_org = ? AND sender_machine = ? AND sender_instance = ?
);

-- name: join_group
-- Let an instance be a member of a group from the last mail on; nothing changes when it is one.
INSERT INTO membership (org, name, machine, instance, begun_at)
VALUES (?, ?, ?, ?, (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'mail'))
ON CONFLICT DO NOTHING;

-- name: leave_group
-- End a membership with the last mail.
UPDATE membership
SET ended_at = (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'mail')
WHERE org = ? AND name = ? AND machine = ? AND instance = ? AND ended_at IS NULL;

-- name: leave_all_groups
-- End all memberships of an instance with the last mail.
UPDATE membership
SET ended_at = (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'mail')
WHERE org = ? AND machine = ? AND instance = ? AND ended_at IS NULL
RETURNING name;

-- name: forget_memberships
-- Delete the memberships of a group that have ended and that no broadcast needs to know.
DELETE FROM membership
WHERE org = ? AND name = ? AND ended_at IS NOT NULL AND NOT EXISTS (
    SELECT 1
    FROM mail
    WHERE kind = 'broadcast'
        AND target_org = membership.org
        AND target_instance = membership.name
        AND place <= membership.ended_at
);

-- name: delete_memberships
-- Delete all memberships of an instance.
DELETE FROM membership WHERE org = ? AND machine = ? AND instance = ?;

-- name: list_members
-- A page of the present members of a group after a position.
SELECT key, org, machine, instance
FROM membership
WHERE org = ? AND name = ? AND key > ? AND ended_at IS NULL
ORDER BY key
LIMIT ?;

-- name: list_dead_letters
-- A page of an org's dead letters after a position.
SELECT
    key, id, kind, sender_org, sender_machine, sender_instance, target_org, target_machine, target_instance,
    due_at, event, creation, send_id, is_delayed, is_platform, attempts, retry_at, last_error, chain, trace, buried_at
FROM dead_letter
WHERE target_org = ? AND key > ?
ORDER BY key
LIMIT ?;

-- name: create_machine
-- Insert a machine; no row is changed when the org has one of that name.
INSERT INTO machine (org, name, created_at, current_version, indexes) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (org, name) DO NOTHING;

-- name: load_machine
-- One machine.
SELECT org, name, created_at, current_version, indexes FROM machine WHERE org = ? AND name = ?;

-- name: delete_machine
-- Remove a machine; its versions and migrations go with it.
DELETE FROM machine WHERE org = ? AND name = ?;

-- name: list_machines
-- A page of an org's machines after a position.
SELECT key, org, name, created_at, current_version, indexes
FROM machine
WHERE org = ? AND key > ?
ORDER BY key
LIMIT ?;

-- name: set_current_version
-- Choose the version that new instances of a machine run.
UPDATE machine SET current_version = ? WHERE org = ? AND name = ?;

-- name: add_version
-- Insert a version; no row is changed when the id is taken.
INSERT INTO version (
    id, org, machine, created_at, client_info, content_hash, source, file_name, index_selectors
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING;

-- name: load_version
-- One version.
SELECT id, org, machine, created_at, client_info, content_hash, source, file_name, index_selectors
FROM version
WHERE id = ?;

-- name: list_versions
-- A page of a machine's versions after a position.
SELECT key, id, org, machine, created_at, client_info, content_hash, source, file_name, index_selectors
FROM version
WHERE org = ? AND machine = ? AND key > ?
ORDER BY key
LIMIT ?;

-- name: add_migration
-- Insert a migration; no row is changed when the id is taken.
INSERT INTO migration (
    id, org, machine, created_at, from_version, to_version, content_hash, source, file_name
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING;

-- name: migration_owner
-- Whose migration it is.
SELECT org, machine FROM migration WHERE id = ?;

-- name: list_migrations
-- A page of a machine's migrations after a position.
SELECT key, id, org, machine, created_at, from_version, to_version, content_hash, source, file_name
FROM migration
WHERE org = ? AND machine = ? AND key > ?
ORDER BY key
LIMIT ?;

-- name: set_machine_indexes
-- Let a machine have these indexes.
UPDATE machine SET indexes = ? WHERE org = ? AND name = ?;

-- name: list_selectors
-- The selectors of all versions of a machine.
SELECT id, index_selectors FROM version WHERE org = ? AND machine = ?;

-- name: set_selectors
-- Let a version have these selectors.
UPDATE version SET index_selectors = ? WHERE id = ?;

-- name: index_values_of
-- What an instance is indexed by.
SELECT name, value FROM index_value WHERE instance_key = ?;

-- name: add_index_value
-- Index an instance by a value.
INSERT INTO index_value (org, machine, name, value, instance_key) VALUES (?, ?, ?, ?, ?);

-- name: remove_index_value
-- An instance is not found by a value any more.
DELETE FROM index_value WHERE org = ? AND machine = ? AND name = ? AND value = ? AND instance_key = ?;

-- name: query_index_ascending
-- The places of an index between two, without those of an excluded value. CROSS JOIN keeps the index in front.
SELECT index_value.value, index_value.instance_key, instance.instance
FROM index_value CROSS JOIN instance ON instance.key = index_value.instance_key
WHERE index_value.org = ? AND index_value.machine = ? AND index_value.name = ?
    AND (index_value.value, index_value.instance_key) > (?, ?)
    AND (index_value.value, index_value.instance_key) < (?, ?)
    AND index_value.value IS NOT ?
ORDER BY index_value.value, index_value.instance_key
LIMIT ?;

-- name: query_index_descending
-- The same, the other way round.
SELECT index_value.value, index_value.instance_key, instance.instance
FROM index_value CROSS JOIN instance ON instance.key = index_value.instance_key
WHERE index_value.org = ? AND index_value.machine = ? AND index_value.name = ?
    AND (index_value.value, index_value.instance_key) > (?, ?)
    AND (index_value.value, index_value.instance_key) < (?, ?)
    AND index_value.value IS NOT ?
ORDER BY index_value.value DESC, index_value.instance_key DESC
LIMIT ?;

-- name: count_instances
-- How many instances run each version of a machine.
SELECT version_id, count(*) FROM instance WHERE org = ? AND machine = ? GROUP BY version_id;

-- name: create_upload
-- Announce an upload; no row is changed when the id is taken.
INSERT INTO upload (
    id, org, machine, created_at, gzip, version_id, code, file_name, from_version, to_version
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING;

-- name: load_upload
-- One upload with its code.
SELECT id, org, machine, created_at, gzip, version_id, code, file_name, from_version, to_version
FROM upload
WHERE id = ?;

-- name: fill_upload
-- Keep an upload's code.
UPDATE upload SET code = ?, file_name = ? WHERE id = ?;

-- name: delete_upload
-- Forget one upload.
DELETE FROM upload WHERE id = ?;

-- name: delete_uploads_of
-- Forget a machine's uploads.
DELETE FROM upload WHERE org = ? AND machine = ?;

-- name: create_org
-- Insert an org; no row is changed when the id is taken.
INSERT INTO org (id, name, created_at) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING;

-- name: list_orgs
-- A page of all orgs after a position.
SELECT key, id, name, created_at FROM org WHERE key > ? ORDER BY key LIMIT ?;

-- name: create_key
-- Insert a signing key; no row is changed when the id is taken.
INSERT INTO signing_key (id, org, name, scopes, sealed_secret, created_at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING;

-- name: load_key
-- One signing key.
SELECT id, org, name, scopes, sealed_secret, created_at FROM signing_key WHERE id = ?;

-- name: list_keys
-- A page of an org's signing keys after a position.
SELECT key, id, org, name, scopes, sealed_secret, created_at
FROM signing_key
WHERE org = ? AND key > ?
ORDER BY key
LIMIT ?;

-- name: delete_key
-- Remove an org's signing key.
DELETE FROM signing_key WHERE org = ? AND id = ?;

-- name: load_org
-- One org.
SELECT id, name, created_at FROM org WHERE id = ?;

-- name: identity_provider_elsewhere
-- Whether an id belongs to a provider in another place.
SELECT 1 FROM identity_provider WHERE id = ? AND NOT (org = ? AND aud IS ? AND iss IS ?);

-- name: replace_identity_provider
-- Change the provider in the place of the last three parameters; no row when there is none.
UPDATE identity_provider
SET id = ?, org = ?, aud = ?, iss = ?, algs = ?, mapping = ?, jwks_url = ?, sealed_key = ?, created_at = ?
WHERE org = ? AND aud IS ? AND iss IS ?;

-- name: add_identity_provider
-- Add a provider in a place that has none.
INSERT INTO identity_provider (id, org, aud, iss, algs, mapping, jwks_url, sealed_key, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: list_identity_providers
-- A page of an org's identity providers after a position.
SELECT key, id, org, aud, iss, algs, mapping, jwks_url, sealed_key, created_at
FROM identity_provider
WHERE org = ? AND key > ?
ORDER BY key
LIMIT ?;

-- name: delete_identity_provider
-- Remove the provider in a place.
DELETE FROM identity_provider WHERE org = ? AND aud IS ? AND iss IS ?;

-- name: put_token_provider
-- Add a token provider, or change the one of its org and service.
INSERT INTO token_provider (org, service, key_id, mapping, created_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (org, service) DO UPDATE SET
    key_id = excluded.key_id, mapping = excluded.mapping, created_at = excluded.created_at;

-- name: load_token_provider
-- One token provider.
SELECT org, service, key_id, mapping, created_at FROM token_provider WHERE org = ? AND service = ?;

-- name: list_token_providers
-- A page of an org's token providers after a position.
SELECT key, org, service, key_id, mapping, created_at
FROM token_provider
WHERE org = ? AND key > ?
ORDER BY key
LIMIT ?;

-- name: delete_token_provider
-- Remove a token provider.
DELETE FROM token_provider WHERE org = ? AND service = ?;

-- name: sealed_secrets
-- Every sealed secret with the id of what it belongs to.
SELECT id, sealed_secret FROM signing_key
UNION ALL
SELECT id, sealed_key FROM identity_provider WHERE sealed_key IS NOT NULL;

-- name: replace_key_secret
-- Another seal for the secret of a key.
UPDATE signing_key SET sealed_secret = ? WHERE id = ?;

-- name: replace_identity_provider_key
-- Another seal for the key of an identity provider.
UPDATE identity_provider SET sealed_key = ? WHERE id = ? AND sealed_key IS NOT NULL;

-- name: add_receipt
-- Keep the receipt of a request; no row is changed when its key has one that has not expired.
INSERT INTO receipt (org, machine, instance, key, fingerprint, at, answer) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (org, machine, instance, key) DO UPDATE
SET fingerprint = excluded.fingerprint, at = excluded.at, answer = excluded.answer
WHERE receipt.at < ?;

-- name: load_receipt
-- The receipt of a request to an instance.
SELECT fingerprint, at, answer FROM receipt WHERE org = ? AND machine = ? AND instance = ? AND key = ?;

-- name: amend_receipt
-- Put another answer on a receipt.
UPDATE receipt SET answer = ? WHERE org = ? AND machine = ? AND instance = ? AND key = ?;

-- name: prune_receipts
-- Delete some receipts from before a time.
DELETE FROM receipt
WHERE (org, machine, instance, key) IN (SELECT org, machine, instance, key FROM receipt WHERE at < ? LIMIT ?);

-- name: delete_receipts_of
-- Delete the receipts of an instance.
DELETE FROM receipt WHERE org = ? AND machine = ? AND instance = ?;

-- name: load_dead_letter
-- A dead letter of an org.
SELECT
    id, kind, sender_org, sender_machine, sender_instance, target_org, target_machine, target_instance,
    due_at, event, creation, send_id, is_delayed, is_platform, attempts, retry_at, last_error, chain, trace, buried_at
FROM dead_letter
WHERE target_org = ? AND id = ?;

-- name: copy_from_dead_letters
-- The first half of trying a dead letter again: it becomes mail without attempts, at the beginning of a chain.
INSERT INTO mail (
    id, kind, sender_org, sender_machine, sender_instance, target_org, target_machine, target_instance,
    due_at, event, creation, send_id, is_delayed, is_platform, attempts, retry_at, last_error, chain, trace, place
)
SELECT
    id, kind, sender_org, sender_machine, sender_instance, target_org, target_machine, target_instance,
    due_at, event, creation, send_id, is_delayed, is_platform, 0, 0, last_error, 0, trace,
    (SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'mail')
FROM dead_letter
WHERE target_org = ? AND id = ?;

-- name: drop_dead_letter
-- Delete a dead letter of an org; the second half of trying it again.
DELETE FROM dead_letter WHERE target_org = ? AND id = ?;

-- name: set_retention
-- Say how much of a machine's journals is kept.
INSERT INTO retention (org, machine, entries_max, age_max) VALUES (?, ?, ?, ?)
ON CONFLICT (org, machine) DO UPDATE SET entries_max = excluded.entries_max, age_max = excluded.age_max;

-- name: load_retention
-- How much of a machine's journals is kept.
SELECT org, machine, entries_max, age_max FROM retention WHERE org = ? AND machine = ?;

-- name: list_retentions
-- All rules that limit anything, of all orgs.
SELECT org, machine, entries_max, age_max
FROM retention
WHERE entries_max IS NOT NULL OR age_max IS NOT NULL
ORDER BY org, machine;

-- name: journal_entry_from_end
-- The sequence number of an instance's newest journal entry but some.
SELECT sequence FROM journal WHERE instance_key = ? ORDER BY sequence DESC LIMIT 1 OFFSET ?;

-- name: journal_entry_since
-- The sequence number of an instance's first journal entry since a time.
SELECT sequence FROM journal WHERE instance_key = ? AND created_at >= ? ORDER BY sequence LIMIT 1;

-- name: shorten_journal
-- Delete an instance's journal entries before a sequence number.
DELETE FROM journal WHERE instance_key = ? AND sequence < ?;

-- name: append_log
-- Keep something that machine code has printed or logged.
INSERT INTO log_entry (org, machine, instance, version_id, at, output_type, text) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: list_logs
-- The log entries of an org within a time, of all its instances or of those of one name, of all versions or of one.
SELECT org, machine, instance, version_id, at, output_type, text
FROM log_entry
WHERE org = ? AND at >= ? AND at < ? AND (? IS NULL OR instance = ?) AND (? IS NULL OR version_id = ?)
ORDER BY at, key
LIMIT ?;

-- name: list_logs_of_machine
-- The same of one machine.
SELECT org, machine, instance, version_id, at, output_type, text
FROM log_entry
WHERE org = ? AND machine = ? AND at >= ? AND at < ? AND (? IS NULL OR instance = ?) AND (? IS NULL OR version_id = ?)
ORDER BY at, key
LIMIT ?;

-- name: list_logs_of_instance
-- The same of one instance, which is given twice.
SELECT org, machine, instance, version_id, at, output_type, text
FROM log_entry
WHERE org = ? AND machine = ? AND instance = ? AND at >= ? AND at < ?
    AND (? IS NULL OR instance = ?) AND (? IS NULL OR version_id = ?)
ORDER BY at, key
LIMIT ?;

-- name: prune_logs
-- Delete some log entries from before a time.
DELETE FROM log_entry WHERE key IN (SELECT key FROM log_entry WHERE at < ? ORDER BY at LIMIT ?);

-- name: shorten_logs
-- Delete some of the log entries beyond a number of the newest ones.
DELETE FROM log_entry
WHERE key IN (
    SELECT key FROM log_entry WHERE key <= (SELECT max(key) FROM log_entry) - ? ORDER BY key LIMIT ?
);

-- name: delete_logs_of
-- Delete the log entries of an instance.
DELETE FROM log_entry WHERE org = ? AND machine = ? AND instance = ?;
