-- One row an event, in journal order. The columns reassemble to the exact journal line, so `hash`
-- can be recomputed from the row alone (queries/scan.sql).
CREATE TABLE IF NOT EXISTS events (
    seq BIGINT NOT NULL,
    ts_us BIGINT NOT NULL,
    kind VARCHAR NOT NULL,
    actor_kind VARCHAR NOT NULL,
    actor_name VARCHAR NOT NULL,
    actor_proof VARCHAR NOT NULL,
    session_id VARCHAR,
    actor VARCHAR NOT NULL,
    data VARCHAR NOT NULL,
    prev VARCHAR NOT NULL,
    hash VARCHAR NOT NULL
);
