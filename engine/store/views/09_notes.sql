CREATE OR REPLACE VIEW notes AS
SELECT seq, ts_us, session_id, actor_name AS written_by, data ->> '$.text' AS text
FROM events
WHERE kind = 'note.added';
