-- The tables of the journal.
-- compatible: 1
--
-- "seq" is a growing number, the position in the journal. Times are in seconds: "received", "at" and "since" by
-- the calendar, "due" and "lease" by the clock that all receivers share.

CREATE TABLE schema_version (version INTEGER NOT NULL, compatible INTEGER NOT NULL);

CREATE TABLE deliveries (
    seq {PLACE},
    service {NAME} NOT NULL DEFAULT '',
    dialect {NAME} NOT NULL,
    id {NAME} NOT NULL,
    received {SECONDS} NOT NULL,
    state TEXT NOT NULL,
    status INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    event TEXT NOT NULL DEFAULT '',
    repository TEXT NOT NULL DEFAULT '',
    branch TEXT NOT NULL DEFAULT '',
    author TEXT NOT NULL DEFAULT '',
    client TEXT NOT NULL DEFAULT '',
    verification TEXT NOT NULL DEFAULT 'none',
    digest {NAME} NOT NULL DEFAULT '',
    recovered TEXT NOT NULL DEFAULT '',
    duplicates INTEGER NOT NULL DEFAULT 0,
    sinks TEXT NOT NULL DEFAULT '',
    size INTEGER NOT NULL DEFAULT 0,
    count INTEGER NOT NULL DEFAULT 0,
    owner TEXT NOT NULL DEFAULT '',
    lease {SECONDS} NOT NULL DEFAULT 0,
    due {SECONDS} NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    large_body TEXT NOT NULL DEFAULT '',
    large_changes TEXT NOT NULL DEFAULT '',
    body_size INTEGER,
    changes_size INTEGER,
    head {BYTES} NOT NULL DEFAULT {EMPTY},
    body {BYTES} NOT NULL DEFAULT {EMPTY},
    changes {BYTES} NOT NULL DEFAULT {EMPTY}
);
-- A request without changes never claims an id.
CREATE UNIQUE INDEX deliveries_id ON deliveries (id, dialect, service) WHERE state NOT IN ('ignored', 'refused');
-- Deliveries that may be accepted only once, under any id.
CREATE UNIQUE INDEX deliveries_digest ON deliveries (digest, dialect, service)
    WHERE digest <> '' AND state NOT IN ('ignored', 'refused');
CREATE INDEX deliveries_received ON deliveries (received);
CREATE INDEX deliveries_repository ON deliveries (repository, seq);
CREATE INDEX deliveries_dialect ON deliveries (dialect, seq);
CREATE INDEX deliveries_undone ON deliveries (state, seq) WHERE state IN ('pending', 'waiting', 'failed');
CREATE INDEX traces_id ON deliveries (id, dialect) WHERE state IN ('ignored', 'refused');
CREATE INDEX traces_state ON deliveries (state, seq) WHERE state IN ('ignored', 'refused');

-- The outbox: the entries in the queue of a sink for a repository. The units of an entry that end before the change
-- "next" are done; "per" says what a unit is. "failing" is the delivery whose unit has failed "attempts" times.
CREATE TABLE queues (
    sink {NAME} NOT NULL,
    repository {NAME} NOT NULL,
    due {SECONDS} NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    failing {NUMBER} NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '',
    owner TEXT NOT NULL DEFAULT '',
    lease {SECONDS} NOT NULL DEFAULT 0,
    PRIMARY KEY (sink, repository)
){COMPACT};
CREATE INDEX queues_due ON queues (sink, due, repository);
CREATE TABLE entries (
    sink {NAME} NOT NULL,
    repository {NAME} NOT NULL,
    seq {NUMBER} NOT NULL REFERENCES deliveries,
    next INTEGER NOT NULL DEFAULT 0,
    per TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (sink, repository, seq)
){COMPACT};
CREATE INDEX entries_seq ON entries (seq);
CREATE TABLE dead_letters (
    sink {NAME} NOT NULL,
    seq {NUMBER} NOT NULL REFERENCES deliveries,
    change INTEGER NOT NULL,
    repository TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL,
    PRIMARY KEY (sink, seq, change)
){COMPACT};
CREATE INDEX dead_letters_seq ON dead_letters (seq);
CREATE TABLE attempts (
    seq {NUMBER} NOT NULL REFERENCES deliveries,
    sink {NAME} NOT NULL,
    number INTEGER NOT NULL,
    repository TEXT NOT NULL,
    change INTEGER NOT NULL,
    at {SECONDS} NOT NULL,
    seconds {SECONDS} NOT NULL,
    outcome TEXT NOT NULL,
    error TEXT NOT NULL DEFAULT '',
    output TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (seq, sink, number)
);

-- Replays that a command requests from the program that has the sinks.
CREATE TABLE wishes (
    seq {NUMBER} PRIMARY KEY REFERENCES deliveries,
    sinks TEXT NOT NULL DEFAULT '',
    since {SECONDS} NOT NULL,
    error TEXT NOT NULL DEFAULT ''
);

-- The ways in which a commit on a ref has arrived.
CREATE TABLE sightings (
    service {NAME} NOT NULL,
    repository {NAME} NOT NULL,
    ref {NAME} NOT NULL,
    revision {NAME} NOT NULL,
    seq {NUMBER} NOT NULL REFERENCES deliveries,
    ways TEXT NOT NULL,
    at {SECONDS} NOT NULL,
    PRIMARY KEY (service, repository, ref, revision, seq)
){COMPACT};
CREATE INDEX sightings_seq ON sightings (seq);

-- Values stored under names.
CREATE TABLE memory (name {NAME} PRIMARY KEY, value {BYTES} NOT NULL){COMPACT};

-- Large data, in pieces.
CREATE TABLE large (
    name {NAME} PRIMARY KEY,
    seq {NUMBER} REFERENCES deliveries,
    since {SECONDS} NOT NULL
){COMPACT};
CREATE INDEX large_seq ON large (seq);
CREATE TABLE pieces (
    name {NAME} NOT NULL,
    document INTEGER NOT NULL,
    part INTEGER NOT NULL,
    data {BYTES} NOT NULL,
    size INTEGER,
    PRIMARY KEY (name, document, part)
);

-- The data is already compressed.
-- postgresql: ALTER TABLE deliveries ALTER body SET STORAGE EXTERNAL;
-- postgresql: ALTER TABLE deliveries ALTER changes SET STORAGE EXTERNAL;
-- postgresql: ALTER TABLE pieces ALTER data SET STORAGE EXTERNAL;
