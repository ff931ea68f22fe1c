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
