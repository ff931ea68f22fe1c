-- Each trade once: the venue may report it twice, and the first report counts. Per session: a venue
-- that was wiped between two sessions counts its trades from one again. A semi-join and not a window:
-- with 500,000 fills it needs a fraction of the memory.
-- A stretch of the journal is asked for by its times (µs UTC) and its end (sequence, exclusive).
CREATE OR REPLACE MACRO fills_between(since_us, until_us, until_seq) AS TABLE
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
WHERE seq IN (
    SELECT min(seq)
    FROM events
    WHERE kind = 'order.filled' AND ts_us >= since_us AND ts_us < until_us AND seq < until_seq
    GROUP BY session_id, data ->> '$.fill.symbol', data ->> '$.fill.trade_id'
);
CREATE OR REPLACE VIEW fills AS
SELECT * FROM fills_between(0, 9223372036854775807, 9223372036854775807);
COMMENT ON VIEW fills IS 'our trades as the venue reported them, each once';
COMMENT ON COLUMN fills.ts_us IS 'time of the event, µs UTC';
COMMENT ON COLUMN fills.price IS 'quote currency for one unit of base';
COMMENT ON COLUMN fills.quantity IS 'base currency';
COMMENT ON COLUMN fills.fee IS 'in fee_asset';
COMMENT ON COLUMN fills.time_us IS 'time of the trade at the venue, µs UTC';
