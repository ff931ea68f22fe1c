-- Reads every value of every row, in the order of the file: damage in any block raises here. `whole`
-- says that the row reassembles to the line of its hash and that the derived columns agree with it.
SELECT
    seq,
    prev,
    hash,
    sha256(
        '{"actor":' || actor || ',"data":' || data || ',"kind":"' || kind || '","prev":"' || prev
        || '","seq":' || seq || ',"ts":' || ts_us || '}' || chr(10)
    ) = hash
    AND actor ->> '$.kind' = actor_kind
    AND actor ->> '$.name' = actor_name
    AND actor ->> '$.proof' = actor_proof
    AND data ->> '$.session_id' IS NOT DISTINCT FROM session_id AS whole
FROM events
