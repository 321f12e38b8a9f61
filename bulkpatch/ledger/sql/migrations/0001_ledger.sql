-- Facts are only ever inserted: what was planned, what was about to be sent, how each attempt ended.
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE fieldset (id INTEGER PRIMARY KEY, paths TEXT NOT NULL UNIQUE);

CREATE TABLE row (
    row            INTEGER PRIMARY KEY,
    destination_id TEXT    NOT NULL,
    digest         BLOB    NOT NULL,
    wave           INTEGER NOT NULL,
    lead           INTEGER REFERENCES row (row),
    fieldset       INTEGER NOT NULL REFERENCES fieldset (id),
    labels         TEXT    NOT NULL
);
CREATE INDEX row_lead ON row (lead) WHERE lead IS NOT NULL;

CREATE TABLE intent (
    row     INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    stage   TEXT    NOT NULL,
    at_us   INTEGER NOT NULL,
    at_s    REAL    NOT NULL,
    PRIMARY KEY (row, attempt)
) WITHOUT ROWID;

CREATE TABLE setback (
    row           INTEGER NOT NULL,
    attempt       INTEGER NOT NULL,
    stage         TEXT    NOT NULL,
    at_us         INTEGER NOT NULL,
    code          TEXT    NOT NULL,
    error         TEXT    NOT NULL,
    http_status   INTEGER,
    latency_us    INTEGER,
    maybe_applied INTEGER NOT NULL,
    counted       INTEGER NOT NULL,
    withdrawn     INTEGER NOT NULL,
    wait_us       INTEGER NOT NULL,
    PRIMARY KEY (row, attempt)
) WITHOUT ROWID;

CREATE TABLE outcome (
    row         INTEGER PRIMARY KEY,
    attempt     INTEGER NOT NULL,
    stage       TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    at_us       INTEGER NOT NULL,
    http_status INTEGER,
    code        TEXT,
    error       TEXT,
    latency_us  INTEGER,
    facts       BLOB
);

CREATE TABLE act (
    id     INTEGER PRIMARY KEY,
    at_us  INTEGER NOT NULL,
    kind   TEXT    NOT NULL,
    actor  TEXT    NOT NULL,
    detail TEXT    NOT NULL
);
