"""The screens that both consoles have; what is one role's alone is named by its application."""

from __future__ import annotations

from screens.alarms import AlarmsScreen
from screens.base import PeakScreen
from screens.checklist import ChecklistScreen
from screens.dual import DualScreen
from screens.live import LiveScreen
from screens.reconcile import ReconcileScreen
from screens.risk import RiskScreen
from screens.seal import SealScreen
from screens.stopped import KillScreen
from screens.venue import VenueScreen

SHARED: tuple[type[PeakScreen], ...] = (
    ChecklistScreen,
    LiveScreen,
    ReconcileScreen,
    SealScreen,
    KillScreen,
    AlarmsScreen,
    VenueScreen,
    RiskScreen,
    DualScreen,
)
