CREATE OR REPLACE VIEW sessions AS
WITH moves AS (
    SELECT
        session_id,
        arg_max(data ->> '$.after', seq) AS state,
        arg_max(data ->> '$.cause', seq) AS cause,
        arg_max(data ->> '$.reason', seq) AS reason,
        max(ts_us) AS since_us
    FROM events
    WHERE kind = 'session.moved'
    GROUP BY session_id
)
SELECT
    charters.session_id,
    charters.ts_us AS chartered_us,
    charters.data ->> '$.charter.mode' AS mode,
    charters.data ->> '$.charter.venue' AS venue,
    charters.data ->> '$.charter.account' AS account,
    charters.data ->> '$.charter.operator' AS operator,
    charters.data ->> '$.charter.reviewer' AS reviewer,
    charters.data ->> '$.charter.purpose' AS purpose,
    coalesce(moves.state, 'charter') AS state,
    coalesce(moves.since_us, charters.ts_us) AS since_us,
    moves.cause,
    moves.reason
FROM events AS charters
LEFT JOIN moves USING (session_id)
WHERE charters.kind = 'session.chartered';
