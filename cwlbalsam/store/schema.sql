-- What all migrations together make, for a new store: importing alembic takes longer than a small run.
-- A test holds it against them.
CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0004');
CREATE TABLE edges (
    run INTEGER NOT NULL,
    parent INTEGER NOT NULL,
    child INTEGER NOT NULL,
    PRIMARY KEY (run, parent, child),
    FOREIGN KEY(run) REFERENCES runs ("key")
)
 WITHOUT ROWID;
CREATE TABLE events (
    seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    run INTEGER NOT NULL,
    job INTEGER NOT NULL,
    state INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    time FLOAT NOT NULL,
    message TEXT NOT NULL,
    FOREIGN KEY(run) REFERENCES runs ("key")
);
CREATE TABLE jobs (
    run INTEGER NOT NULL,
    id INTEGER NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    process INTEGER NOT NULL,
    step_process INTEGER,
    step_index INTEGER,
    inputs BLOB NOT NULL,
    state INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    message TEXT NOT NULL,
    outcome BLOB,
    updated FLOAT NOT NULL,
    session TEXT,
    PRIMARY KEY (run, id),
    FOREIGN KEY(run) REFERENCES runs ("key")
)
 WITHOUT ROWID;
CREATE TABLE programs (
    digest TEXT NOT NULL,
    body BLOB NOT NULL,
    used FLOAT NOT NULL,
    PRIMARY KEY (digest)
);
CREATE TABLE runs (
    "key" INTEGER NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    document TEXT NOT NULL,
    program TEXT NOT NULL,
    created FLOAT NOT NULL,
    claimed FLOAT NOT NULL,
    directory TEXT NOT NULL,
    outdir TEXT NOT NULL,
    inputs BLOB NOT NULL,
    options BLOB NOT NULL,
    pid INTEGER NOT NULL,
    host TEXT NOT NULL,
    status TEXT NOT NULL,
    ended FLOAT NOT NULL,
    outputs BLOB,
    message TEXT NOT NULL,
    tally TEXT,
    PRIMARY KEY ("key"),
    UNIQUE (id),
    FOREIGN KEY(program) REFERENCES programs (digest)
);
CREATE TABLE sessions (
    id TEXT NOT NULL,
    agent TEXT NOT NULL,
    host TEXT NOT NULL,
    created FLOAT NOT NULL,
    renewed FLOAT NOT NULL,
    ttl FLOAT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE writers (
    id TEXT NOT NULL,
    last BIGINT NOT NULL,
    used FLOAT NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX ix_runs_program ON runs (program);
CREATE INDEX ix_events_run ON events (run);
CREATE INDEX ix_jobs_offered ON jobs (run, id) WHERE session = '';
CREATE INDEX ix_jobs_held ON jobs (session) WHERE session > '';
CREATE TABLE links (
    source TEXT NOT NULL,
    target TEXT NOT NULL,
    protocol TEXT NOT NULL,
    latency_seconds FLOAT NOT NULL,
    file_seconds FLOAT NOT NULL,
    bytes_per_second FLOAT NOT NULL,
    samples INTEGER NOT NULL,
    learned FLOAT NOT NULL,
    PRIMARY KEY (source, target, protocol)
)
 WITHOUT ROWID;
PRAGMA user_version = 4;
