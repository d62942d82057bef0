from dataclasses import fields
from pathlib import Path

import pytest

from bots.agents.remote import open_post
from bots.config import BotChanges, ServiceWishes
from bots.errors import ConfigError, ServiceUnavailable
from bots.registry import Bot, UnknownBot, load_bot, with_changes
from bots.settings import DEFAULT_CONFIG, load_settings
from bots.specialist import only

KEYS = ["OPENAI_API_KEY", "ELEVENLABS_API_KEY", "DEEPGRAM_API_KEY", "AZURE_OPENAI_API_KEY"]


@pytest.fixture(autouse=True)
def no_variables(any_load_is_taken: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in (*KEYS, "PARLANTE_VOICE__REALTIME__WORKER__LOAD_THRESHOLD"):
        monkeypatch.delenv(key, raising=False)


def problems_of(tmp_path: Path, text: str) -> str:
    path = tmp_path / "voice.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_settings(path)
    assert str(path) in caught.value.message
    return caught.value.message


class TestChoiceOfServices:
    def test_without_any_key_everything_is_offline(self) -> None:
        settings = load_settings(DEFAULT_CONFIG)
        assert {settings.service(kind)[0] for kind in ("stt", "llm", "tts")} == {"local"}
        assert settings.has_small_llm

    def test_a_key_brings_in_the_services_that_it_opens(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        settings = load_settings(DEFAULT_CONFIG)
        provider, config = settings.service("llm")
        assert (provider, config.api_key) == ("openai", "sk-test")
        assert not settings.has_small_llm

    def test_a_large_local_model_is_not_treated_as_a_small_one(self) -> None:
        large = {"voice": {"providers": {"local": {"llm": {"model": "/m.gguf", "small": False}}}}}
        settings = load_settings(DEFAULT_CONFIG, large)
        assert settings.service("llm")[0] == "local"
        assert not settings.has_small_llm

    def test_a_provider_with_one_of_two_keys_is_not_used(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", "test")
        assert load_settings(DEFAULT_CONFIG).service("llm")[0] == "local"

    def test_a_profile_that_needs_a_missing_key_names_it(self, tmp_path: Path) -> None:
        path = tmp_path / "voice.yaml"
        path.write_text(
            "profiles: {auto: {llm: [cloud]}}\n"
            'voice: {providers: {local: {}, cloud: {llm: {api_key: "${CLOUD_KEY}"}}}}\n'
        )
        with pytest.raises(ConfigError, match=r"providers\.cloud\.llm: set CLOUD_KEY"):
            load_settings(path).service("llm")

    def test_a_key_never_shows_in_a_printout(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
        assert "sk-secret" not in repr(load_settings(DEFAULT_CONFIG))


class TestOverrides:
    def test_an_environment_variable_wins_over_the_file(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PARLANTE_VOICE__REALTIME__VAD__THRESHOLD", "0.7")
        assert load_settings(DEFAULT_CONFIG).voice.realtime.vad.threshold == 0.7
        assert load_settings(DEFAULT_CONFIG).voice.realtime.vad.min_speech_duration == 0.1

    def test_the_command_line_wins_over_the_file(self) -> None:
        settings = load_settings(DEFAULT_CONFIG, {"server": {"port": 1, "host": None}})
        assert (settings.server.host, settings.server.port) == ("127.0.0.1", 1)

    def test_the_port_of_the_service_is_for_no_other_purpose(self) -> None:
        ports = {"server": {"port": 7000}, "voice": {"realtime": {"worker": {"port": 7000}}}}
        with pytest.raises(ConfigError, match=r"worker\.port: is that of the service"):
            load_settings(DEFAULT_CONFIG, ports)


class TestAProfile:
    def test_changes_settings_of_voices_where_it_is_in_use(self) -> None:
        tiny = load_settings(DEFAULT_CONFIG, {"profile": "tiny"})
        assert tiny.service("llm")[1].model == "smollm2-135m"
        assert tiny.has_small_llm
        assert (tiny.turn_detection.preset, tiny.turn_detection.min_delay) == ("snappy", 0.25)
        offline = load_settings(DEFAULT_CONFIG, {"profile": "offline"})
        assert offline.service("llm")[1].model == "qwen2.5-coder-0.5b"
        assert offline.turn_detection.preset == "balanced"

    def test_is_chosen_by_the_environment_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PARLANTE_PROFILE", "tiny")
        settings = load_settings(DEFAULT_CONFIG, {"profile": "offline"})
        assert settings.profile == "tiny"
        assert settings.service("llm")[1].model == "smollm2-135m"

    def test_gives_way_to_the_command_line_and_the_environment(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PARLANTE_VOICE__PROVIDERS__LOCAL__LLM__MODEL", "/other.gguf")
        turns = {"voice": {"providers": {"local": {"turn_detection": {"preset": "patient"}}}}}
        settings = load_settings(DEFAULT_CONFIG, {"profile": "tiny", **turns})
        assert settings.service("llm")[1].model == "/other.gguf"
        assert settings.turn_detection.preset == "patient"


class TestProblems:
    def test_a_wrong_key_names_file_and_path(self, tmp_path: Path) -> None:
        message = problems_of(tmp_path, "voice: {realtime: {vad: {treshold: 0.5}}}")
        assert "voice.realtime.vad.treshold: there is no such setting" in message

    def test_a_wrong_range_says_what_was_expected(self, tmp_path: Path) -> None:
        message = problems_of(tmp_path, "voice: {realtime: {vad: {threshold: 7}}}")
        assert "voice.realtime.vad.threshold: input should be less than or equal to 1" in message

    def test_a_wrong_key_of_a_profile_is_told(self, tmp_path: Path) -> None:
        text = "profiles: {auto: {voice: {realtime: {vad: {treshold: 0.5}}}}}"
        message = problems_of(tmp_path, text)
        assert "voice.realtime.vad.treshold: there is no such setting" in message

    def test_what_a_profile_cannot_change_is_told(self, tmp_path: Path) -> None:
        text = "profiles: {auto: {voice: {realtime: {vad: {threshold: 0.5}}}}}"
        message = problems_of(tmp_path, f"{text}\nvoice: {{realtime: 3}}")
        assert "voice.realtime: input should be a valid dictionary" in message

    def test_all_problems_are_told_together(self, tmp_path: Path) -> None:
        message = problems_of(
            tmp_path, "voice: {realtime: {vad: {threshold: high}, limits: {sessions: 0}}}\nbots: 3"
        )
        assert message.count("\n  - ") == 3

    def test_a_name_that_points_nowhere_is_told_with_the_choices(self, tmp_path: Path) -> None:
        prices = "voice: {prices: {providers: {opnai: {}}}}"
        message = problems_of(tmp_path, f"profile: cloud\ndefault_bot: nobody\n{prices}")
        assert "profile: 'cloud' is none of ['auto']" in message
        assert "default_bot: 'nobody' is none of ['receptionist']" in message
        assert "voice.prices.providers: 'opnai' is none of ['local']" in message

    def test_a_minimum_above_its_maximum_is_refused(self, tmp_path: Path) -> None:
        text = "voice: {realtime: {turn_detection: {min_delay: 2, max_delay: 1}}}"
        assert "min_delay must not be above max_delay" in problems_of(tmp_path, text)

    def test_broken_yaml_tells_the_line(self, tmp_path: Path) -> None:
        assert "line 2" in problems_of(tmp_path, "voice:\n  - [")

    def test_a_list_at_the_top_is_refused(self, tmp_path: Path) -> None:
        assert "expected a mapping" in problems_of(tmp_path, "- voice")

    def test_a_secret_in_the_file_is_refused_and_not_shown(self, tmp_path: Path) -> None:
        text = (
            "voice: {providers: {openai: {llm: {model: m, api_key: sk-live-1}}}}\n"
            "server: {webhooks: [{url: 'https://x', secret: '${HOOK:-whsec_live}'}]}\n"
        )
        message = problems_of(tmp_path, text)
        assert "voice.providers.openai.llm.api_key: a secret must not be in the file" in message
        assert "server.webhooks[0].secret: a secret must not be in the file" in message
        assert "live" not in message

    def test_so_is_one_that_is_for_an_mcp_server(self, tmp_path: Path) -> None:
        text = (
            "mcp:\n"
            "  crm: {url: 'https://x', headers: {Authorization: Bearer live-1, X-Key: 4711}}\n"
            "  notes: {command: x, env: {KEY: '${NOTES_KEY:-live-2}'}}\n"
            "  mail: {url: 'https://x', headers: {Authorization: 'Bearer ${HOME}'}}\n"
        )
        message = problems_of(tmp_path, text)
        for place in ("crm.headers.Authorization", "crm.headers.X-Key", "notes.env.KEY"):
            assert f"mcp.{place}: a secret must not be in the file" in message
        assert "mcp.mail" not in message
        assert "live" not in message
        assert "4711" not in message

    def test_an_unset_variable_outside_of_providers_is_told(self, tmp_path: Path) -> None:
        message = problems_of(tmp_path, 'server: {host: "${NO_SUCH_HOST}"}')
        assert "server.host: environment variable NO_SUCH_HOST is not set" in message

    def test_a_misspelt_environment_variable_is_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PARLANTE_VOICES__X", "1")
        assert "PARLANTE_VOICES__X: there is no such setting" in problems_of(tmp_path, "")

    def test_a_missing_file_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="cannot be read: No such file"):
            load_settings(tmp_path / "nowhere.yaml")


class TestBotsInOtherProcesses:
    REMOTE = "bots: {receptionist: {module: bots.receptionist, remote: true}}\n"

    def test_they_need_a_bus(self, tmp_path: Path) -> None:
        wrong = problems_of(tmp_path, self.REMOTE)
        assert "bus.redis_url: is required, because bots.receptionist.remote is true" in wrong

    def test_a_bus_whose_address_is_not_set_is_named(self, tmp_path: Path) -> None:
        wrong = problems_of(tmp_path, 'bus: {redis_url: "${REDIS_OF_TESTS}"}\n')
        assert "bus.redis_url: environment variable REDIS_OF_TESTS is not set" in wrong

    def test_its_password_is_neither_taken_from_the_file_nor_shown(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wrong = problems_of(tmp_path, "bus: {redis_url: redis://:hunter2@localhost}\n")
        assert "bus.redis_url: a secret must not be in the file" in wrong
        monkeypatch.setenv("PARLANTE_BUS__REDIS_URL", "http://:hunter2@localhost")
        wrong += problems_of(tmp_path, "")
        assert "bus.redis_url: expected redis://" in wrong
        monkeypatch.setenv("PARLANTE_BUS__REDIS_URL", "redis://:hunter2/x@localhost")
        broken = problems_of(tmp_path, "")
        assert "bus.redis_url: expected redis://" in broken
        assert "hunter2" not in wrong + broken
        monkeypatch.setenv("PARLANTE_BUS__REDIS_URL", "redis://:hunter2@localhost?db=x")
        with pytest.raises(ServiceUnavailable, match=r"bus\.redis_url"):
            open_post(load_settings(DEFAULT_CONFIG))

    def test_they_are_reached_by_their_name_and_never_speech_to_speech(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PARLANTE_BUS__REDIS_URL", "redis://localhost")
        (tmp_path / "voice.yaml").write_text(self.REMOTE)
        settings = load_settings(tmp_path / "voice.yaml")
        bot = with_changes(load_bot("receptionist", settings), BotChanges(mode="speech_to_speech"))
        assert bot.remote == "receptionist"
        assert bot.mode_in(settings) == "chained"
        assert load_bot("receptionist", only("receptionist", settings)).remote is None
        with pytest.raises(UnknownBot):
            only("nobody", settings)


def test_all_that_may_be_changed_about_a_bot_is_something_that_bots_have() -> None:
    of_bots = {field.name: field.default for field in fields(Bot)}
    assert set(BotChanges.model_fields) <= set(of_bots)
    assert {of_bots[name] for name in ServiceWishes.model_fields} == {None}, "as voice.yaml has it"
