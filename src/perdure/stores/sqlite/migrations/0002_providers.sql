-- Token exchange: identity providers and token providers.

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
