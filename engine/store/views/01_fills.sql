-- Each trade once: the venue may report it twice, and the first report counts. Per session: a venue
-- that was wiped between two sessions counts its trades from one again. Only the repetitions are
-- looked for, by a hash of the names (md5: no two differ by chance): with a million fills a table of
-- names, or of what is kept, needs more memory than the store has.
-- A stretch of the journal is asked for by its times (µs UTC) and its end (sequence, exclusive).
CREATE OR REPLACE MACRO fills_between(since_us, until_us, until_seq) AS TABLE
WITH told AS (
    SELECT
        seq,
        md5_number(session_id || ' ' || (data ->> '$.fill.symbol') || ' ' || (data ->> '$.fill.trade_id')) AS name
    FROM events
    WHERE kind = 'order.filled' AND ts_us >= since_us AND ts_us < until_us AND seq < until_seq
),
often AS (
    SELECT name, min(seq) AS first_seq
    FROM told
    GROUP BY name
    HAVING count(*) > 1
),
again AS (
    SELECT told.seq
    FROM told
    JOIN often USING (name)
    WHERE told.seq > often.first_seq
)
SELECT
    seq,
    ts_us,
    session_id,
    data ->> '$.fill.symbol' AS symbol,
    data ->> '$.fill.trade_id' AS trade_id,
    data ->> '$.fill.client_order_id' AS client_order_id,
    data ->> '$.fill.venue_order_id' AS venue_order_id,
    data ->> '$.fill.side' AS side,
    CAST(data ->> '$.fill.price' AS DECIMAL(38, 18)) AS price,
    CAST(data ->> '$.fill.quantity' AS DECIMAL(38, 18)) AS quantity,
    CAST(data ->> '$.fill.fee' AS DECIMAL(38, 18)) AS fee,
    data ->> '$.fill.fee_asset' AS fee_asset,
    data ->> '$.fill.liquidity' AS liquidity,
    CAST(data ->> '$.fill.time_us' AS BIGINT) AS time_us
FROM events
ANTI JOIN again USING (seq)
WHERE kind = 'order.filled' AND ts_us >= since_us AND ts_us < until_us AND seq < until_seq;
CREATE OR REPLACE VIEW fills AS
SELECT * FROM fills_between(0, 9223372036854775807, 9223372036854775807);
