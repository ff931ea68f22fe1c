-- What a session's trading was worth after each fill, symbol by symbol, marked at that fill's own
-- price: the figures of `equity.csv`, from the events alone (orders/equity.py says why they add up).
-- A product of two DECIMAL(38, 18) does not fit any DECIMAL, so both sides must fit 19 digits with 9
-- decimals exactly (every venue's do); what does not is NULL, never rounded.
CREATE OR REPLACE MACRO exact_product(a, b) AS
CASE
    WHEN CAST(TRY_CAST(a AS DECIMAL(19, 9)) AS DECIMAL(38, 18)) = a
        AND CAST(TRY_CAST(b AS DECIMAL(19, 9)) AS DECIMAL(38, 18)) = b
        THEN TRY_CAST(a AS DECIMAL(19, 9)) * TRY_CAST(b AS DECIMAL(19, 9))
END;
CREATE OR REPLACE VIEW equity AS
WITH moved AS (
    SELECT
        *,
        CASE side WHEN 'BUY' THEN quantity ELSE -quantity END AS signed,
        CASE WHEN starts_with(symbol, fee_asset) THEN fee ELSE 0 END AS fee_base,
        CASE WHEN ends_with(symbol, fee_asset) THEN fee ELSE 0 END AS fee_quote
    FROM fills
),
valued AS (
    SELECT
        *,
        exact_product(price, signed) AS value,
        exact_product(price, fee_base) AS fee_base_value,
        fee <> 0 AND fee_base = 0 AND fee_quote = 0 AS no_price
    FROM moved
),
summed AS (
    SELECT
        *,
        CAST(sum(signed - fee_base) OVER so_far AS DECIMAL(38, 18)) AS position,
        CAST(-sum(value) OVER so_far AS DECIMAL(38, 18)) AS traded,
        CAST(sum(fee_base_value) OVER so_far AS DECIMAL(38, 18)) AS fee_cost,
        CAST(sum(fee_base_value + fee_quote) OVER so_far AS DECIMAL(38, 18)) AS fees,
        bool_or(no_price) OVER so_far AS unpriced,
        bool_or(value IS NULL OR fee_base_value IS NULL) OVER so_far AS unknown
    FROM valued
    WINDOW so_far AS (PARTITION BY session_id, symbol ORDER BY seq)
)
SELECT
    seq,
    ts_us,
    session_id,
    symbol,
    trade_id,
    position,
    price AS mark,
    CASE WHEN NOT unknown THEN traded + fee_cost + exact_product(position, price) END AS before_fees,
    CASE WHEN NOT unknown THEN fees END AS fees,
    unpriced AS fees_without_price,
    CASE WHEN NOT unpriced THEN before_fees - fees END AS equity
FROM summed;
