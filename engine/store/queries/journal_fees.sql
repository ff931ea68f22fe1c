SELECT symbol, fee_asset, sum(fee) AS fee
FROM fills_between($since_us, $until_us, $until_seq)
WHERE session_id = $session_id
GROUP BY symbol, fee_asset
ORDER BY symbol, fee_asset
