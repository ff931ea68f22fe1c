-- Without ORDER BY: the caller sorts by seq, because sorting here would hold the result in memory twice.
SELECT seq, client_order_id, venue_order_id, state, quantity, filled_quantity, price
FROM orders_between($since_us, $until_seq)
WHERE session_id = $session_id
