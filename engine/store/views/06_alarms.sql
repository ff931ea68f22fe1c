CREATE OR REPLACE VIEW alarms AS
WITH answers AS (
    SELECT
        data ->> '$.alarm_id' AS alarm_id,
        arg_min(actor_name, seq) FILTER (kind = 'alarm.acknowledged') AS acknowledged_by,
        min(ts_us) FILTER (kind = 'alarm.acknowledged') AS acknowledged_us,
        min(ts_us) FILTER (kind = 'alarm.cleared') AS cleared_us
    FROM events
    WHERE kind IN ('alarm.acknowledged', 'alarm.cleared')
    GROUP BY ALL
)
SELECT
    raised.data ->> '$.alarm_id' AS alarm_id,
    raised.session_id,
    raised.data ->> '$.code' AS code,
    CAST(raised.data ->> '$.priority' AS INTEGER) AS priority,
    raised.data ->> '$.text' AS text,
    raised.data ->> '$.response' AS response,
    raised.ts_us AS raised_us,
    answers.acknowledged_by,
    answers.acknowledged_us,
    answers.cleared_us
FROM events AS raised
LEFT JOIN answers ON answers.alarm_id = raised.data ->> '$.alarm_id'
WHERE raised.kind = 'alarm.raised';
