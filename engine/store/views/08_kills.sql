CREATE OR REPLACE VIEW kills AS
WITH verdicts AS (
    SELECT
        data ->> '$.kill_id' AS kill_id,
        arg_max(data ->> '$.verdict', seq) FILTER (kind = 'kill.verdict') AS verdict,
        arg_max(CAST(data ->> '$.elapsed_us' AS BIGINT), seq) FILTER (kind = 'kill.verdict') AS elapsed_us,
        arg_max(CAST(data ->> '$.canceled' AS BIGINT), seq) FILTER (kind = 'kill.verdict') AS canceled,
        arg_max(data ->> '$.open_orders', seq) FILTER (kind = 'kill.verdict') AS open_orders,
        min(ts_us) FILTER (kind = 'latch.released') AS released_us
    FROM events
    WHERE kind IN ('kill.verdict', 'latch.released')
    GROUP BY ALL
)
SELECT
    latched.data ->> '$.kill_id' AS kill_id,
    latched.session_id,
    latched.data ->> '$.reason' AS reason,
    latched.data ->> '$.source' AS source,
    latched.actor_name AS killed_by,
    CAST(latched.data ->> '$.pressed_us' AS BIGINT) AS pressed_us,
    latched.ts_us AS latched_us,
    verdicts.verdict,
    verdicts.elapsed_us,
    verdicts.canceled,
    verdicts.open_orders,
    verdicts.released_us
FROM events AS latched
LEFT JOIN verdicts ON verdicts.kill_id = latched.data ->> '$.kill_id'
WHERE latched.kind = 'kill.latched';
