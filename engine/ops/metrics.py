"""Counters and latencies of one engine, in a registry of its own (Prometheus text format).

Fed with the journal's records after they are applied (`observe`), so a figure here is one that can
be found in the journal; only the latencies of the journal itself are handed in from outside. Times
are seconds in the exposition, as Prometheus wants, and never feed back into any decision (I11 keeps
floats out of money; these are statistics).
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from engine.contracts.event import (
    AlarmRaised,
    CancelRequested,
    KillLatched,
    KillVerdict,
    OrderAcknowledged,
    OrderBlocked,
    OrderFilled,
    OrderIntended,
    OrderRejected,
    OrderUnknown,
    Recorded,
    VenueDisconnected,
    kind_of,
)

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

_ORDER_OUTCOMES: tuple[tuple[type, str], ...] = (
    (OrderIntended, "intended"),
    (OrderBlocked, "blocked"),
    (OrderAcknowledged, "acknowledged"),
    (OrderRejected, "rejected"),
    (OrderUnknown, "unknown"),
    (CancelRequested, "cancel_requested"),
)


class Metrics:
    """The engine's figures. One instance an engine; not shared between processes."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._events = self._counter("events", "Journal events by kind", "kind")
        self._orders = self._counter("orders", "Order events by outcome", "outcome")
        self._fills = self._counter("fills", "Fills by symbol and side", "symbol", "side")
        self._kills = self._counter("kills", "Kills by verdict", "verdict")
        self._alarms = self._counter("alarms", "Alarms raised by code", "code")
        self._drops = self._counter("venue_disconnects", "Lost connections", "stream")
        self._size = Gauge("peakctl_journal_size", "Journal lines", registry=self.registry)
        self._acknowledge = self._histogram(
            "order_acknowledge_seconds", "Journaled intent to journaled acknowledgement"
        )
        self._kill_proof = self._histogram("kill_proof_seconds", "Kill latch to verdict")
        self._durable = self._histogram("journal_durable_seconds", "Append to durable")
        self._intended_us: dict[str, int] = {}

    def observe(self, recorded: Recorded) -> None:
        """Count one journaled event."""
        event = recorded.event
        self._events.labels(kind_of(event)).inc()
        self._size.set(recorded.seq + 1)
        for cls, outcome in _ORDER_OUTCOMES:
            if isinstance(event, cls):
                self._orders.labels(outcome).inc()
        self._observe_latency(recorded)
        match event:
            case OrderFilled(fill=fill):
                self._fills.labels(fill.symbol, fill.side.value).inc()
            case KillLatched():
                self._kills.labels("LATCHED").inc()
            case KillVerdict(verdict=verdict):
                self._kills.labels(verdict).inc()
            case AlarmRaised(code=code):
                self._alarms.labels(code).inc()
            case VenueDisconnected(stream=stream):
                self._drops.labels(stream).inc()

    def _observe_latency(self, recorded: Recorded) -> None:
        match recorded.event:
            case OrderIntended(intent=intent):
                self._intended_us[intent.client_order_id] = recorded.ts_us
            case OrderAcknowledged(client_order_id=order_id):
                started = self._intended_us.pop(order_id, None)
                if started is not None:
                    self._acknowledge.observe((recorded.ts_us - started) / 1e6)
            case OrderRejected(client_order_id=order_id):
                self._intended_us.pop(order_id, None)
            case KillVerdict(elapsed_us=elapsed_us):
                self._kill_proof.observe(elapsed_us / 1e6)

    def durable_after(self, elapsed_us: int) -> None:
        """One append was durable after this long."""
        self._durable.observe(elapsed_us / 1e6)

    def render(self) -> bytes:
        """The exposition in Prometheus text format."""
        return generate_latest(self.registry)

    def snapshot(self) -> dict[str, str]:
        """Every sample as text, `name{label=value}` -> value, without buckets."""
        samples: dict[str, str] = {}
        for family in self.registry.collect():
            for sample in family.samples:
                if sample.name.endswith(("_bucket", "_created")):
                    continue
                labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
                name = f"{sample.name}{{{labels}}}" if labels else sample.name
                samples[name] = f"{sample.value:.6f}".rstrip("0").rstrip(".")
        return dict(sorted(samples.items()))

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"peakctl_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(f"peakctl_{name}", text, buckets=_SECONDS, registry=self.registry)
