-- One pass over the three sides, joined by symbol and trade id: the keys of the rows that are not
-- told alike by all three, and what it takes to see that a side told a trade twice (it then matches
-- more rows than the side has). A trade that one side tells twice and no other at all differs anyway.
SELECT
    count(*) AS joined,
    count(engine.trade_id) AS engine_rows,
    count(journal.trade_id) AS journal_rows,
    count(venue.trade_id) AS venue_rows,
    list(
        (coalesce(engine.symbol, journal.symbol, venue.symbol),
         coalesce(engine.trade_id, journal.trade_id, venue.trade_id))
    ) FILTER (
        engine.trade_id IS NULL OR journal.trade_id IS NULL OR venue.trade_id IS NULL
        OR engine.client_order_id <> journal.client_order_id
        OR engine.client_order_id <> venue.client_order_id
        OR engine.side <> journal.side OR engine.side <> venue.side
        OR engine.price <> journal.price OR engine.price <> venue.price
        OR engine.quantity <> journal.quantity OR engine.quantity <> venue.quantity
        OR engine.fee <> journal.fee OR engine.fee <> venue.fee
        OR engine.fee_asset <> journal.fee_asset OR engine.fee_asset <> venue.fee_asset
    ) AS keys
FROM engine_side AS engine
FULL JOIN journal_side AS journal
    ON engine.symbol = journal.symbol AND engine.trade_id = journal.trade_id
FULL JOIN venue_side AS venue
    ON venue.symbol = coalesce(engine.symbol, journal.symbol)
    AND venue.trade_id = coalesce(engine.trade_id, journal.trade_id)
