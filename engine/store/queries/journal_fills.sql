-- Without ORDER BY: the caller sorts by seq, because sorting here would hold the result in memory twice.
SELECT seq, trade_id, client_order_id, side, price, quantity, fee, fee_asset, symbol
FROM fills_between($since_us, $until_us, $until_seq)
WHERE session_id = $session_id
