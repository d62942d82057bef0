"""A collector of OpenTelemetry traces is told of calls, turns, waits and services."""

from pathlib import Path

import pytest

from runner.peer import connect
from tests.integration.test_call import REPLY_SECS, ask
from tests.service import run_service
from tests.speech import Speaker
from tests.standins.trace_collector import run_trace_collector


async def test_a_call_is_a_trace_with_the_wait_for_each_answer_and_its_parts(
    tmp_path: Path, speaker: Speaker
) -> None:
    async with run_trace_collector() as collector:
        environment = {
            "PARLANTE_VOICE__REALTIME__TRACES__ENDPOINT": collector.url,
            "PARLANTE_VOICE__REALTIME__WORKER__AGENT_NAME": "front-desk",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        with run_service(tmp_path, "--profile", "offline", environment=environment) as service:
            async with connect(service.url) as peer:
                await peer.hear_out(timeout=REPLY_SECS)
                await ask(peer, speaker, "Is there somewhere to leave my car?")
                session_id, _, _ = str(peer.session_id).partition(".")
                [told] = [
                    m["data"]
                    for m in peer.messages
                    if m["type"] == "server-message" and m["data"]["type"] == "turn-latency"
                ]
            await collector.wait_for("conversation")
    assert collector.services == {"front-desk"}
    [conversation] = collector.named("conversation")
    about = {it.key: it.value.string_value for it in conversation.attributes}
    assert about["conversation.id"] == session_id
    turns = collector.inside(conversation)
    assert {span.name for span in turns} == {"turn"}
    [wait] = collector.named("wait for the answer")
    assert wait.parent_span_id in {turn.span_id for turn in turns}
    wait_ms = (wait.end_time_unix_nano - wait.start_time_unix_nano) / 1e6
    assert wait_ms == pytest.approx(told["total_ms"], abs=1)
    parts = {
        part.name: (part.end_time_unix_nano - part.start_time_unix_nano) / 1e6
        for part in collector.inside(wait)
    }
    assert parts == pytest.approx(told["stages_ms"], abs=1)
    services = {span.name for turn in turns for span in collector.inside(turn)}
    assert {"stt", "llm", "tts"} <= services
