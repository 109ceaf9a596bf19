-- Keys compare byte by byte (SQLite's BINARY collation on UTF-8), which is the order S3 lists them in.
CREATE TABLE buckets (
    name        TEXT PRIMARY KEY,
    account     TEXT NOT NULL,
    region      TEXT NOT NULL,
    created     INTEGER NOT NULL,
    versioning  INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- `id` grows with every write, so the newest version of a key is the one with the largest id.
CREATE TABLE versions (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    bucket      TEXT NOT NULL REFERENCES buckets (name),
    key         TEXT NOT NULL,
    version     TEXT NOT NULL,
    latest      INTEGER NOT NULL,
    marker      INTEGER NOT NULL,
    size        INTEGER NOT NULL,
    etag        TEXT NOT NULL,
    modified    INTEGER NOT NULL,
    meta        TEXT NOT NULL,
    UNIQUE (bucket, key, version)
);
CREATE UNIQUE INDEX versions_latest ON versions (bucket, key) WHERE latest = 1;
CREATE INDEX versions_history ON versions (bucket, key, id DESC);

CREATE TABLE segments (
    version     INTEGER NOT NULL REFERENCES versions (id) ON DELETE CASCADE,
    seq         INTEGER NOT NULL,
    blob        BLOB NOT NULL,
    size        INTEGER NOT NULL,
    PRIMARY KEY (version, seq)
) WITHOUT ROWID;
CREATE INDEX segments_blob ON segments (blob);

CREATE TABLE uploads (
    id          TEXT PRIMARY KEY,
    bucket      TEXT NOT NULL REFERENCES buckets (name),
    key         TEXT NOT NULL,
    initiator   TEXT NOT NULL,
    created     INTEGER NOT NULL,
    spec        TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX uploads_key ON uploads (bucket, key, id);

CREATE TABLE parts (
    upload      TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    number      INTEGER NOT NULL,
    blob        BLOB NOT NULL,
    size        INTEGER NOT NULL,
    etag        TEXT NOT NULL,
    modified    INTEGER NOT NULL,
    sums        TEXT NOT NULL,
    PRIMARY KEY (upload, number)
) WITHOUT ROWID;
CREATE INDEX parts_blob ON parts (blob);
