"""What happens in a call reaches the service, whichever process holds it."""

import pytest

from bots.listener import CallListener
from runner.launchers.worker import DistantListener
from runner.session import SessionReporter


@pytest.mark.parametrize("listener", [SessionReporter, DistantListener])
def test_all_that_can_be_heard_of_a_call_is_heard(listener: type[CallListener]) -> None:
    told = {name for name in vars(CallListener) if not name.startswith("_")}
    assert told <= set(vars(listener))
