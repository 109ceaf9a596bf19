-- Every index is there for one question of the store; its name says which rows it finds.

CREATE TABLE documents (
    place   TEXT    NOT NULL,   -- the partition
    kind    INTEGER NOT NULL,
    parent  TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    version INTEGER NOT NULL,
    body    TEXT    NOT NULL,
    PRIMARY KEY (place, kind, parent, name)
) STRICT;

CREATE TABLE deployments (
    id             TEXT    NOT NULL PRIMARY KEY,
    account        TEXT    NOT NULL,
    region         TEXT    NOT NULL,
    application_id TEXT    NOT NULL,
    group_id       TEXT    NOT NULL,
    status         TEXT    NOT NULL,
    active         INTEGER NOT NULL CHECK (active IN (0, 1)),   -- the status is not terminal
    created        INTEGER NOT NULL,
    version        INTEGER NOT NULL,
    machine        TEXT    NOT NULL
) STRICT;

-- One active deployment per group (CF-370).
CREATE UNIQUE INDEX deployments_active_in_group ON deployments (group_id) WHERE active = 1;
CREATE INDEX deployments_active_in_scope ON deployments (account, region, created, id) WHERE active = 1;
CREATE INDEX deployments_in_scope ON deployments (account, region, created, id);
CREATE INDEX deployments_of_application ON deployments (application_id, created, id);
CREATE INDEX deployments_of_group ON deployments (group_id, created, id);

-- The frozen copy is large and never changes: apart from the row that changes with each step.
CREATE TABLE deployment_records (
    deployment TEXT NOT NULL PRIMARY KEY REFERENCES deployments (id) ON DELETE CASCADE,
    record     TEXT NOT NULL
) STRICT;

CREATE TABLE targets (
    deployment  TEXT    NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    ordinal     INTEGER NOT NULL,
    host        TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    status      TEXT    NOT NULL,
    offer_at    INTEGER,
    outstanding INTEGER NOT NULL CHECK (outstanding IN (0, 1)),
    uncounted   INTEGER NOT NULL CHECK (uncounted IN (0, 1)),
    updated     INTEGER NOT NULL,
    version     INTEGER NOT NULL,
    machine     TEXT    NOT NULL,
    PRIMARY KEY (deployment, ordinal)
) STRICT;

CREATE UNIQUE INDEX targets_by_name ON targets (deployment, name);
CREATE UNIQUE INDEX targets_by_host ON targets (deployment, host);
CREATE INDEX targets_by_status ON targets (deployment, status, ordinal);
CREATE INDEX targets_offered ON targets (host, offer_at, deployment, ordinal) WHERE offer_at IS NOT NULL;
CREATE INDEX targets_outstanding ON targets (host) WHERE outstanding = 1;
CREATE INDEX targets_uncounted ON targets (deployment, ordinal) WHERE uncounted = 1;

CREATE TABLE wakeups (
    deployment TEXT    NOT NULL,
    ordinal    INTEGER NOT NULL,    -- of the target; -1: the deployment itself
    seq        INTEGER NOT NULL,    -- a new one for every request
    due        INTEGER NOT NULL,
    claimed    INTEGER,             -- the seq that was claimed last and is not settled
    asked      INTEGER,             -- when it was asked for since it was claimed
    ready_at   INTEGER NOT NULL,    -- when it may be claimed: due, or the end of the lease
    PRIMARY KEY (deployment, ordinal)
) STRICT, WITHOUT ROWID;

CREATE INDEX wakeups_ready ON wakeups (ready_at);

CREATE TABLE host_health (
    group_id           TEXT    NOT NULL,
    host               TEXT    NOT NULL,
    healthy            INTEGER NOT NULL CHECK (healthy IN (0, 1)),
    installed_revision TEXT,
    PRIMARY KEY (group_id, host)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    account    TEXT    NOT NULL,
    region     TEXT    NOT NULL,
    deployment TEXT    NOT NULL,
    target     TEXT,
    at         INTEGER NOT NULL,
    what       TEXT    NOT NULL
) STRICT;
