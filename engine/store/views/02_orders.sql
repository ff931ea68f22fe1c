-- One row an intended order, or a stranger's that a person adopted. `state` is what the events say, computed here without the engine's
-- state machine: the first of (canceled, expired, rejected, filled in full) ends an order, whatever
-- arrives later; doubt lasts until an acknowledgement or an end.
-- A stretch of the journal is asked for by its beginning (µs UTC) and its end (sequence, exclusive):
-- orders that were intended in it, with what the stretch tells of them.
CREATE OR REPLACE MACRO orders_between(since_us, until_seq) AS TABLE
WITH firsts AS (
    SELECT min(seq) AS seq
    FROM events
    WHERE kind IN ('order.intended', 'orphan.adopted') AND ts_us >= since_us AND seq < until_seq
    GROUP BY data ->> '$.intent.client_order_id'
),
intents AS (
    SELECT
        seq,
        ts_us,
        session_id,
        data ->> '$.intent.client_order_id' AS client_order_id,
        data ->> '$.intent.symbol' AS symbol,
        data ->> '$.intent.side' AS side,
        data ->> '$.intent.type' AS type,
        data ->> '$.intent.time_in_force' AS time_in_force,
        CAST(data ->> '$.intent.quantity' AS DECIMAL(38, 18)) AS quantity,
        CAST(data ->> '$.intent.price' AS DECIMAL(38, 18)) AS price,
        data ->> '$.owner' AS owner,
        data ->> '$.venue_order_id' AS adopted_as
    FROM events
    WHERE kind IN ('order.intended', 'orphan.adopted') AND seq IN (SELECT seq FROM firsts)
),
news AS (
    SELECT
        data ->> '$.client_order_id' AS client_order_id,
        arg_min(data ->> '$.venue_order_id', seq) FILTER (kind = 'order.acknowledged') AS venue_order_id,
        max(seq) FILTER (kind = 'order.acknowledged') AS acknowledged,
        max(seq) FILTER (kind = 'order.unknown') AS doubted,
        min(seq) FILTER (kind IN ('order.canceled', 'order.expired', 'order.rejected')) AS ended,
        arg_min(kind, seq) FILTER (kind IN ('order.canceled', 'order.expired', 'order.rejected')) AS ended_by,
        max(ts_us) AS ts_us
    FROM events
    WHERE kind IN (
        'order.acknowledged', 'order.unknown', 'order.canceled', 'order.expired', 'order.rejected',
        'order.cancel_requested', 'order.cancel_refused', 'order.closed'
    ) AND ts_us >= since_us AND seq < until_seq
    GROUP BY ALL
),
running AS (
    SELECT
        client_order_id,
        venue_order_id,
        seq,
        ts_us,
        quantity,
        sum(quantity) OVER (PARTITION BY client_order_id ORDER BY seq) AS filled_so_far
    FROM fills_between(since_us, 9223372036854775807, until_seq)
),
traded AS (
    SELECT
        running.client_order_id,
        arg_min(running.venue_order_id, running.seq) AS venue_order_id,
        sum(running.quantity) AS filled_quantity,
        min(running.seq) FILTER (running.filled_so_far >= intents.quantity) AS filled,
        max(running.ts_us) AS ts_us
    FROM running
    JOIN intents USING (client_order_id)
    GROUP BY ALL
)
SELECT
    intents.seq,
    intents.session_id,
    intents.client_order_id,
    coalesce(news.venue_order_id, intents.adopted_as, traded.venue_order_id) AS venue_order_id,
    intents.symbol,
    intents.side,
    intents.type,
    intents.time_in_force,
    intents.quantity,
    intents.price,
    intents.owner,
    CASE
        WHEN traded.filled < coalesce(news.ended, traded.filled + 1) THEN 'filled'
        WHEN news.ended_by = 'order.canceled' THEN 'canceled'
        WHEN news.ended_by = 'order.expired' THEN 'expired'
        WHEN news.ended_by = 'order.rejected' THEN 'rejected'
        WHEN news.doubted > coalesce(news.acknowledged, -1) THEN 'unknown'
        ELSE 'open'
    END AS state,
    coalesce(traded.filled_quantity, 0) AS filled_quantity,
    intents.ts_us AS intended_us,
    greatest(intents.ts_us, news.ts_us, traded.ts_us) AS updated_us
FROM intents
LEFT JOIN news USING (client_order_id)
LEFT JOIN traded USING (client_order_id);
CREATE OR REPLACE VIEW orders AS
SELECT * FROM orders_between(0, 9223372036854775807);
