"""The venue's clock from ours: which reading counts, and wall clocks that are wrong."""

from engine.venues.binance.clock import VenueClock

SECOND = 1_000_000
START = 1_700_000_000 * SECOND


class Machine:
    """A machine's two clocks, set by hand."""

    def __init__(self, wrong_by_us=0):
        self.monotonic = 5 * SECOND
        self.wall = START + wrong_by_us
        self.clock = VenueClock(lambda: self.wall, lambda: self.monotonic)

    def passes(self, us):
        self.monotonic += us
        self.wall += us

    def measure(self, venue_us, round_trip_us):
        """The venue's clock stands at `venue_us` in the middle of the round trip."""
        asked = self.monotonic
        self.passes(round_trip_us)
        return self.clock.take(venue_us // 1000, asked, round_trip_us)


def close(left, right, within=1_000):
    return abs(left - right) <= within


def test_before_a_reading_the_wall_clock_is_all_we_have():
    assert Machine().clock.now_us() == START


def test_a_wall_clock_that_is_minutes_wrong_does_not_matter():
    machine = Machine(wrong_by_us=-420 * SECOND)
    reading = machine.measure(START + 10_000, 20_000)
    assert close(reading.offset_us, 420 * SECOND)
    assert close(machine.clock.now_us(), START + 20_000)


def test_a_wall_clock_that_is_set_while_we_run_does_not_matter():
    machine = Machine()
    machine.measure(START + 10_000, 20_000)
    machine.wall += 300 * SECOND
    machine.passes(SECOND)
    assert close(machine.clock.now_us(), START + 20_000 + SECOND)


def test_a_worse_reading_does_not_replace_a_better_one():
    machine = Machine()
    machine.measure(START + 1_000, 2_000)
    good = machine.clock.now_us() - machine.monotonic
    # The answer came back slowly, so the middle of the round trip was not where the venue stood.
    machine.measure(START + 2_000 + 100_000, 800_000)
    assert machine.clock.now_us() - machine.monotonic == good


def test_a_reading_loses_with_age():
    machine = Machine()
    machine.measure(START + 1_000, 2_000)
    machine.passes(600 * SECOND)
    venue = START + 2_000 + 600 * SECOND + 50_000 + 60_000  # drifted by 60 ms
    machine.measure(venue, 100_000)
    assert close(machine.clock.now_us(), venue + 50_000)


def test_a_venue_whose_clock_moved_is_believed_at_once():
    machine = Machine()
    machine.measure(START + 1_000, 2_000)
    reading = machine.measure(START + 90 * SECOND, 50_000)
    assert close(machine.clock.now_us(), START + 90 * SECOND + 25_000)
    assert reading.round_trip_us == 50_000
