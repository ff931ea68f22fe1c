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
COMMENT ON TABLE events IS 'the journal, one row an event; rebuildable from it';
COMMENT ON COLUMN events.seq IS 'journal sequence, from 0, without a hole';
COMMENT ON COLUMN events.ts_us IS 'wall clock of the engine, µs UTC, never going back';
COMMENT ON COLUMN events.kind IS 'kind of event, such as order.filled';
COMMENT ON COLUMN events.actor_kind IS 'person or automaton';
COMMENT ON COLUMN events.actor_name IS 'id of the person or name of the automaton';
COMMENT ON COLUMN events.actor_proof IS 'how the actor is known: peer-uid:N, sshsig:SHA256:..., process';
COMMENT ON COLUMN events.session_id IS 'the session that the event names, if any';
COMMENT ON COLUMN events.actor IS 'actor as in the line (canonical JSON)';
COMMENT ON COLUMN events.data IS 'fields of the event as in the line (canonical JSON, money as strings)';
COMMENT ON COLUMN events.prev IS 'sha256 (hex) of the line before';
COMMENT ON COLUMN events.hash IS 'sha256 (hex) of this line with its newline';
