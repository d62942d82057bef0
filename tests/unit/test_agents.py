"""Which agent is the brain of a bot, and what is said where it cannot be."""

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from bots.agents.factory import check_agent, find_factory
from bots.agents.langgraph_agent import make_agent
from bots.config import BotChanges, BotEntry
from bots.errors import ServiceUnavailable
from bots.registry import Bot, load_bot
from bots.settings import DEFAULT_CONFIG, Settings, load_settings
from tests.service import ROOT

ECHO = "tests.echo_agent:make_agent"


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    return load_settings(DEFAULT_CONFIG)


def with_agent(path: str) -> Bot:
    return Bot(description="For tests.", instructions="Be brief.", agent=path)


def test_it_is_the_bots_own_or_that_of_voice_yaml() -> None:
    bots = {"receptionist": {"agent": ECHO}, "sandwich": {"agent": ECHO}}
    settings = load_settings(DEFAULT_CONFIG, {"bots": bots})
    assert load_bot("receptionist", settings).agent == ECHO
    assert load_bot("sandwich", settings).agent == ECHO
    plain = load_settings(DEFAULT_CONFIG)
    assert load_bot("receptionist", plain).agent is None
    assert find_factory(load_bot("sandwich", plain).agent or "") is make_agent


@pytest.mark.parametrize("path", ["tests.echo_agent", "tests.echo_agent:", "a b:c", ":c"])
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(ValidationError):
        BotEntry(module="m", agent=path)


def test_a_client_does_not_choose_which_code_runs() -> None:
    with pytest.raises(ValidationError):
        BotChanges.model_validate({"agent": ECHO})


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("tests.no_such_module:make_agent", "cannot be imported"),
        ("tests.echo_agent:no_such_factory", "no function 'no_such_factory'"),
        ("tests.echo_agent:ECHO", "no function 'ECHO'"),
    ],
)
def test_what_is_not_there_is_named(settings: Settings, path: str, why: str) -> None:
    with pytest.raises(ServiceUnavailable, match=why):
        check_agent(with_agent(path), settings)


def test_any_agent_will_do(settings: Settings) -> None:
    check_agent(with_agent(ECHO), settings)
    check_agent(load_bot("sandwich", settings), settings)
    check_agent(load_bot("receptionist", settings), settings)


@pytest.mark.parametrize("package", ["langchain", "langchain_openai", "langgraph"])
def test_a_missing_package_is_named_with_what_to_do(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    for name in [name for name in sys.modules if name.startswith((package, "bots.agents.chat"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ServiceUnavailable, match=r"uv pip install -e '\.\[langgraph\]'"):
        check_agent(load_bot("sandwich", settings), settings)


def test_a_provider_that_langchain_is_not_told_of_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test")
    settings = load_settings(DEFAULT_CONFIG)
    with pytest.raises(ServiceUnavailable, match="openai, azure, local"):
        check_agent(load_bot("sandwich", settings), settings)


def test_a_small_model_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(DEFAULT_CONFIG)
    with pytest.raises(ServiceUnavailable, match="too small"):
        check_agent(load_bot("sandwich", settings), settings)


def test_langgraph_is_not_imported_before_it_is_used() -> None:
    code = (
        "import sys, bots.sandwich, bots.pipeline\n"
        "print([m for m in sys.modules if m.startswith(('langchain', 'langgraph', 'psycopg'))])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [
        ("https://x.openai.azure.com", "/openai/deployments/gpt/"),
        ("https://x.openai.azure.com/openai/v1", "/openai/v1/"),
    ],
)
def test_azures_addresses_old_and_new(endpoint: str, path: str) -> None:
    from bots.agents.chat_model import make_chat_model
    from bots.cloud_clients import CloudClients
    from bots.config import ServiceConfig

    class Shared:
        cloud_clients = CloudClients()

    config = ServiceConfig(model="gpt", api_key="k", options={"endpoint": endpoint})
    shared: Any = Shared()
    model: Any = make_chat_model("azure", config, with_agent(ECHO), shared)
    assert model.root_async_client.base_url.path == path
