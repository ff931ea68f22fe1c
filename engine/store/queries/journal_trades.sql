-- Grouped by price, because the product of two DECIMAL(38, 18) does not fit SQL: the caller
-- multiplies, exactly.
SELECT symbol, side, price, sum(quantity) AS quantity
FROM fills_between($since_us, $until_us, $until_seq)
WHERE session_id = $session_id
GROUP BY symbol, side, price
ORDER BY symbol, side, price
