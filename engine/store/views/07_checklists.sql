CREATE OR REPLACE VIEW checklists AS
SELECT
    seq,
    ts_us AS answered_us,
    session_id,
    data ->> '$.item_id' AS item_id,
    data ->> '$.role' AS role,
    data ->> '$.value' AS value,
    data ->> '$.result' AS result,
    data ->> '$.detail' AS detail,
    coalesce(nullif(data ->> '$.by', ''), actor_name) AS answered_by
FROM events
WHERE kind = 'checklist.answered' AND coalesce(data ->> '$.commitment', '') = '';
