from __future__ import annotations

from engine.sandbox.candles import MINUTE_MS, Candles, combine, end_of, open_of

#: 2024-08-09 00:00 UTC, a Friday.
DAY = 1_723_161_600_000


def test_minute_without_trades_repeats_the_close() -> None:
    candles = Candles(MINUTE_MS)
    candles.add(DAY + 10, 100, 2, taker_buys=True, trade_id=1)
    candles.add(DAY + 3 * MINUTE_MS, 90, 1, taker_buys=False, trade_id=2)

    assert [(bar.open, bar.high, bar.low, bar.close, bar.trades) for bar in candles.bars] == [
        (100, 100, 100, 100, 1),
        (100, 100, 100, 100, 0),
        (100, 100, 100, 100, 0),
        (90, 90, 90, 90, 1),
    ]


def test_longer_bars_are_the_sum_of_shorter_ones_and_leave_them_alone() -> None:
    candles = Candles(MINUTE_MS)
    for minute, price in enumerate((100, 120, 80, 90, 95, 101)):
        candles.add(
            DAY + minute * MINUTE_MS, price, 2, taker_buys=bool(minute % 2), trade_id=minute
        )

    first, second = combine(candles.bars, "5m")

    assert (first.open, first.high, first.low, first.close) == (100, 120, 80, 95)
    assert (first.volume, first.trades, first.taker_volume) == (10, 5, 4)
    assert first.value == 2 * (100 + 120 + 80 + 90 + 95)
    assert (first.first_id, first.last_id, second.first_id) == (0, 4, 5)
    assert candles.bars[0].volume == 2


def test_weeks_open_on_monday_and_months_on_the_first() -> None:
    monday = DAY - 4 * 1440 * MINUTE_MS
    assert open_of("1w", DAY) == monday
    assert open_of("1w", monday) == monday
    assert open_of("1M", DAY) == 1_722_470_400_000  # 2024-08-01
    assert end_of("1M", open_of("1M", DAY)) == 1_725_148_800_000  # 2024-09-01
