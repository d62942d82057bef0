"""Bots as they are looked at before any call."""

import re
import sys
from functools import partial
from types import ModuleType
from typing import Any

import pytest

from bots.errors import ConfigError
from bots.registry import Bot
from bots.resources import check_bots
from bots.settings import DEFAULT_CONFIG, load_settings
from tests.editing_bot import spelt, without_card_numbers


def check(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Check a bot among the others that has functions of its own."""
    module = ModuleType("odd_bot")
    module.BOT = Bot(description="For tests.", instructions="Be odd.", **changes)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "odd_bot", module)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    check_bots(load_settings(DEFAULT_CONFIG, {"bots": {"odd": {"module": "odd_bot"}}}))


def test_functions_that_other_processes_do_not_find_are_named_before_any_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def without_names(text: str) -> str:
        return text

    with pytest.raises(ConfigError) as caught:
        check(
            monkeypatch,
            text_transforms=(spelt, lambda text, _: text),
            transcript_filters=(without_names,),
        )
    transform, transcript = caught.value.problems
    assert transform.startswith("odd: text_transforms: test_functions")
    assert "<lambda> must be a function of a module" in transform
    assert "odd: transcript_filters" in transcript
    assert "without_names" in transcript


def test_functions_of_modules_can_be_given_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    check(
        monkeypatch,
        text_transforms=(spelt,),
        transcript_filters=(without_card_numbers, partial(re.sub, r"\d", "#")),
    )
