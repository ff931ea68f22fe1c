SELECT trade_id, client_order_id, side, price, quantity, fee, fee_asset
FROM fills
WHERE session_id = $session_id
ORDER BY seq
