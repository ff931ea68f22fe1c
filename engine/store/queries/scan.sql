-- Reads every value of every row, in the order of the file: damage in any block raises here. `whole`
-- says that the session is the one that the event names.
SELECT
    seq,
    ts_us,
    kind,
    actor,
    data,
    prev,
    hash,
    data ->> '$.session_id' IS NOT DISTINCT FROM session_id AS whole
FROM events
