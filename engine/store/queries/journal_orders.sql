SELECT client_order_id, venue_order_id, state, quantity, filled_quantity, price
FROM orders
WHERE session_id = $session_id
ORDER BY seq
