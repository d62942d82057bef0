import pytest

from bots.config import LimitConfig
from runner.host import EndReason, Health, end_reason

LIMITS = LimitConfig(session_duration=100, join_timeout=20, lost_peer_timeout=5)


@pytest.mark.parametrize(
    ("health", "reason"),
    [
        (Health(now=10, started_at=0, connected_at=None, lost_at=None), None),
        (Health(now=21, started_at=0, connected_at=None, lost_at=None), EndReason.NEVER_JOINED),
        (Health(now=50, started_at=0, connected_at=1, lost_at=None), None),
        (Health(now=50, started_at=0, connected_at=1, lost_at=46), None),
        (Health(now=52, started_at=0, connected_at=1, lost_at=46), EndReason.PEER_LOST),
        (Health(now=101, started_at=0, connected_at=1, lost_at=None), EndReason.MAX_DURATION),
    ],
)
def test_a_call_ends_for_the_right_reason(health: Health, reason: EndReason | None) -> None:
    assert end_reason(health, LIMITS) is reason
