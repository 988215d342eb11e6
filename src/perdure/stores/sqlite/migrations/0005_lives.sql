-- Each life of an instance has a name of its own. Those that began before are named as their mail was until now.
ALTER TABLE instance ADD COLUMN life TEXT NOT NULL DEFAULT '';
UPDATE instance SET life = org || '/' || machine || '/' || instance || '@' || printf('%.3f', created_at);
