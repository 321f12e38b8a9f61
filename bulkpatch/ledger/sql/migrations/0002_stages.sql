-- Stages of a row, what was seen of its destination before anything was written, and what was found out later.
CREATE TABLE passed (
    row         INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    stage       TEXT    NOT NULL,
    at_us       INTEGER NOT NULL,
    http_status INTEGER,
    latency_us  INTEGER,
    code        TEXT,
    facts       BLOB,
    PRIMARY KEY (row, attempt)
) WITHOUT ROWID;

CREATE TABLE sight (
    row          INTEGER PRIMARY KEY,
    at_us        INTEGER NOT NULL,
    found        INTEGER,
    vendor       TEXT,
    recipient_id TEXT,
    updated_at   TEXT,
    digest       BLOB,
    before       BLOB
);

CREATE TABLE settlement (
    row   INTEGER PRIMARY KEY,
    at_us INTEGER NOT NULL,
    state TEXT    NOT NULL,
    code  TEXT    NOT NULL,
    error TEXT,
    facts BLOB
);

CREATE INDEX row_destination ON row (destination_id);
