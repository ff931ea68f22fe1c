-- Every report of a trade, repeated ones too, in the order of the file: nothing is held to leave them out.
SELECT
    seq,
    data ->> '$.fill.symbol' AS symbol,
    data ->> '$.fill.trade_id' AS trade_id,
    data ->> '$.fill.client_order_id' AS client_order_id,
    data ->> '$.fill.side' AS side,
    CAST(data ->> '$.fill.price' AS DECIMAL(38, 18)) AS price,
    CAST(data ->> '$.fill.quantity' AS DECIMAL(38, 18)) AS quantity,
    CAST(data ->> '$.fill.fee' AS DECIMAL(38, 18)) AS fee,
    data ->> '$.fill.fee_asset' AS fee_asset
FROM events
WHERE kind = 'order.filled' AND session_id = $session_id AND seq < $until_seq
