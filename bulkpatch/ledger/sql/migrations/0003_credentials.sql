-- Which credential a row uses, by reference, and which version of it an attempt carried. Never a value.
ALTER TABLE row ADD COLUMN credential TEXT;

CREATE TABLE resolved (
    row       INTEGER NOT NULL,
    attempt   INTEGER NOT NULL,
    path      TEXT    NOT NULL,
    reference TEXT    NOT NULL,
    version   TEXT    NOT NULL,
    PRIMARY KEY (row, attempt, path)
) WITHOUT ROWID;
