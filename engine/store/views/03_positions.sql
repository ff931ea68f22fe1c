CREATE OR REPLACE VIEW positions AS
SELECT
    session_id,
    symbol,
    coalesce(sum(quantity) FILTER (side = 'BUY'), 0) AS bought,
    coalesce(sum(quantity) FILTER (side = 'SELL'), 0) AS sold,
    bought - sold AS quantity,
    count(*) AS fills
FROM fills
GROUP BY session_id, symbol;
COMMENT ON VIEW positions IS 'what a session traded in each symbol, before fees';
COMMENT ON COLUMN positions.bought IS 'base currency';
COMMENT ON COLUMN positions.sold IS 'base currency';
COMMENT ON COLUMN positions.quantity IS 'base currency, bought minus sold, before fees';
COMMENT ON COLUMN positions.fills IS 'number of trades';
