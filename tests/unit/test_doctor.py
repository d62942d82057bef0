"""What is said of a machine before anything is started."""

import pytest

from bots.settings import DEFAULT_CONFIG
from runner.doctor import examine
from tests.redis import redis_program, run_redis

pytestmark = pytest.mark.skipif(not redis_program(), reason="needs redis-server")


def test_a_bus_is_looked_at_and_named_where_it_is_away(capsys: pytest.CaptureFixture[str]) -> None:
    def said_of(**bus: str) -> str:
        examine(DEFAULT_CONFIG, {"bus": bus or None})
        [said] = [line for line in capsys.readouterr().out.splitlines() if " bus: " in line]
        return said

    with run_redis() as redis:
        assert said_of(redis_url=redis.url).startswith("ok")
        wrong = said_of(redis_url=redis.url.replace(redis.password, "guessed"))
        assert wrong.startswith("mend")
        assert "guessed" not in wrong
        redis.kill()
        assert said_of(redis_url=redis.url).startswith("mend")
    assert said_of() == "ok    bus: none is used"
