import importlib.util
import os
import sys
from typing import Any
from unittest.mock import patch

import pytest
from pipecat.services.cartesia.tts import CartesiaTTSService
from pipecat.services.elevenlabs.stt import ElevenLabsRealtimeSTTService
from pipecat.services.neuphonic.tts import NeuphonicTTSService
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.openai.stt import OpenAISTTService

from bots import providers
from bots.cloud_clients import CloudClients
from bots.config import (
    KINDS,
    BotChanges,
    Kind,
    ServerVadConfig,
    ServiceConfig,
    SpeechToSpeechConfig,
)
from bots.errors import ConfigError, ServiceUnavailable
from bots.registry import load_bot, with_changes
from bots.settings import DEFAULT_CONFIG, load_settings
from bots.speeds import pace
from bots.tools.desk import TOOL_SECS
from processors.realtime_session import RealtimeSession
from processors.watched_voice import watched_tts

KEY = "sk-test"
OPENAI = {"OPENAI_API_KEY": KEY}
ELEVENLABS = {"ELEVENLABS_API_KEY": KEY}
AZURE = "wss://it.openai.azure.com"


def wanted(kind: Kind, keys: dict[str, str], **wishes: Any) -> ServiceConfig:
    """Return the service that a bot gets which differs, where these keys are set."""
    profile = {"provider": "elevenlabs", "voice_id": "rachel", "model_id": "turbo"}
    with patch.dict(os.environ, keys):
        settings = load_settings(DEFAULT_CONFIG, {"voice": {"voice_profiles": {"clear": profile}}})
        bot = with_changes(load_bot("receptionist", settings), BotChanges(**wishes))
        return providers.service_for(kind, bot, settings)[1]


def standing_in(kind: Kind, keys: dict[str, str]) -> list[str]:
    """Return the providers that the receptionist has for something, where these keys are set."""
    with patch.dict(os.environ, keys):
        settings = load_settings(DEFAULT_CONFIG)
        bot = load_bot("receptionist", settings)
        return [name for name, _ in providers.services_for(kind, bot, settings)]


def make_stt(provider: str, config: ServiceConfig) -> object:
    return providers.make_stt(provider, config, None, clients=CloudClients())


def make_llm(provider: str, config: ServiceConfig) -> object:
    return providers.make_llm(
        provider,
        config,
        None,
        clients=CloudClients(),
        instructions="Be brief.",
        max_tokens=150,
    )


class TestCloudServices:
    def test_a_bots_wishes_reach_the_language_model(self) -> None:
        config = ServiceConfig(model="gpt-4.1-mini", api_key=KEY, temperature=0.7)
        llm = make_llm("openai", config)
        assert isinstance(llm, OpenAILLMService)
        assert llm._settings.model == "gpt-4.1-mini"
        assert llm._settings.temperature == 0.7
        assert llm._settings.max_tokens == 150
        assert llm._settings.system_instruction == "Be brief."

    def test_a_temperature_that_is_wanted_goes_before_that_of_the_provider(self) -> None:
        assert wanted("llm", {}).temperature == 0.0, "the offline model's"
        assert wanted("llm", {}, temperature=0.4).temperature == 0.4
        assert wanted("llm", OPENAI).temperature == 0.7
        assert wanted("llm", OPENAI, temperature=0.0).temperature == 0.0

    @pytest.mark.parametrize(
        ("options", "secs"), [({}, TOOL_SECS), ({"function_call_timeout_secs": 3}, 3)]
    )
    def test_tools_have_their_time_unless_the_settings_say_otherwise(
        self, options: dict[str, Any], secs: float
    ) -> None:
        llm = make_llm("openai", ServiceConfig(model="m", api_key=KEY, options=options))
        assert isinstance(llm, OpenAILLMService)
        assert llm._function_call_timeout_secs == secs

    def test_any_compatible_server_can_be_given_by_its_address(self) -> None:
        url = "http://127.0.0.1:1/v1"
        config = ServiceConfig(model="m", api_key=KEY, base_url=url)
        llm = make_llm("openai", config)
        assert isinstance(llm, OpenAILLMService)
        assert str(llm._client.base_url).startswith(url)
        assert isinstance(make_stt("openai", config), OpenAISTTService)

    def test_a_voice_profile_is_used_by_the_provider_that_has_the_voice(self) -> None:
        config = wanted("tts", ELEVENLABS, voice_profile="clear")
        assert (config.voice, config.model) == ("rachel", "turbo")

    def test_a_voice_profile_of_another_provider_leaves_the_voice_alone(self) -> None:
        config = wanted("tts", OPENAI, voice_profile="clear")
        assert (config.voice, config.model) == ("alloy", "gpt-4o-mini-tts")

    def test_what_a_bot_wants_goes_before_its_profile(self) -> None:
        wishes = {"tts_voice": "adam", "tts_model": "flash", "voice_profile": "clear"}
        config = wanted("tts", ELEVENLABS, **wishes)
        assert (config.voice, config.model) == ("adam", "flash")
        assert wanted("llm", OPENAI, llm_model="gpt-5").model == "gpt-5"
        assert wanted("stt", OPENAI, stt_model="whisper-1").model == "whisper-1"
        assert wanted("llm", OPENAI).model == "gpt-4.1-mini"
        realtime = wanted("realtime", OPENAI, realtime_model="mini", realtime_voice="marin")
        assert (realtime.model, realtime.voice) == ("mini", "marin")

    def test_the_language_of_a_bot_reaches_all_that_hear_and_speak(self) -> None:
        assert wanted("stt", OPENAI, language="de").language == "de"
        assert wanted("tts", OPENAI, language="de").language == "de"
        assert wanted("llm", OPENAI, language="de").language is None
        with patch.dict(os.environ, {**OPENAI, **ELEVENLABS}):
            settings = load_settings(DEFAULT_CONFIG)
            bot = with_changes(load_bot("receptionist", settings), BotChanges(language="de"))
            for kind in ("stt", "tts"):
                choices = providers.services_for(kind, bot, settings)  # type: ignore[arg-type]
                assert [it.language for _, it in choices] == ["de", "de"], "who stands in, too"

    def test_a_service_is_told_the_language_in_its_own_words(self) -> None:
        ear = make_stt("openai", ServiceConfig(api_key=KEY, language="de"))
        assert isinstance(ear, OpenAISTTService)
        assert ear._settings.language == "de"
        config = ServiceConfig(api_key=KEY, voice="v", language="de-AT")
        voice = providers.make_tts("cartesia", config, None, clients=CloudClients(), speed=1.0)
        assert isinstance(voice, CartesiaTTSService)
        assert voice._settings.language == "de-AT"

    @pytest.mark.parametrize(
        ("provider", "speed", "told"),
        [
            ("openai", 2.0, 2.0),
            ("elevenlabs", 1.1, 1.1),
            ("elevenlabs", 2.0, 1.2),
            ("elevenlabs", 0.5, 0.7),
            ("elevenlabs", 1.0, None),
        ],
    )
    def test_a_voice_speaks_as_fast_as_it_is_wanted_or_as_it_can(
        self, provider: str, speed: float, told: float | None
    ) -> None:
        config = ServiceConfig(api_key=KEY, voice="v")
        voice = providers.make_tts(provider, config, None, clients=CloudClients(), speed=speed)
        assert voice._settings.speed == told

    def test_cartesia_is_told_the_speed_in_its_own_way(self) -> None:
        config = ServiceConfig(api_key=KEY, voice="v")
        voice = providers.make_tts("cartesia", config, None, clients=CloudClients(), speed=2.0)
        assert isinstance(voice, CartesiaTTSService)
        assert voice._settings.generation_config.model_dump(exclude_none=True) == {"speed": 1.5}

    def test_a_speed_of_its_own_goes_before_that_of_the_profile(self) -> None:
        settings = load_settings(DEFAULT_CONFIG)
        professional = BotChanges(voice_profile="professional")
        bot = with_changes(load_bot("receptionist", settings), professional)
        assert bot.speed_in(settings) == 0.95
        assert with_changes(bot, BotChanges(speed=1.5)).speed_in(settings) == 1.5

    @pytest.mark.parametrize(
        ("provider", "model", "told"),
        [
            ("rime", "coda", {"speedAlpha": 1.25}),
            ("rime", "mistv2", {"speedAlpha": 0.8}),
            ("sarvam", "bulbul:v3", {"pace": 1.25}),
            ("deepgram.flux", None, {"speed": 1.25}),
            ("fish", None, {"prosody_speed": 1.25}),
            ("inworld", None, {"speaking_rate": 1.25}),
        ],
    )
    def test_a_voice_is_told_the_speed_in_its_own_words(
        self, provider: str, model: str | None, told: dict[str, float]
    ) -> None:
        config = ServiceConfig(api_key=KEY, voice="v", model=model)
        voice = providers.make_tts(provider, config, None, clients=CloudClients(), speed=1.25)
        assert {name: getattr(voice._settings, name) for name in told} == told

    @pytest.mark.parametrize(
        ("service", "speed", "told"),
        [
            ("aws", 1.25, {"rate": "125%"}),
            ("azure", 1.25, {"rate": "1.25"}),
            ("google", 1.25, {"rate": "125%", "speaking_rate": 1.25}),
            ("deepgram.flux", 1.22, {"speed": 1.2}),
            ("deepgram.flux", 2.0, {"speed": 1.5}),
            ("groq", 1.25, {}),
        ],
    )
    def test_a_service_is_told_a_speed_that_it_takes(
        self, service: str, speed: float, told: dict[str, Any]
    ) -> None:
        assert pace(service, None, speed) == told

    def test_a_voice_without_a_speed_is_refused_before_any_call(self) -> None:
        bland = {"bland": {"tts": {"api_key": KEY, "voice": "v"}}}
        profiles = {"one": {"tts": ["bland"]}}
        settings = load_settings(
            DEFAULT_CONFIG,
            {"profile": "one", "profiles": profiles, "voice": {"providers": bland}},
        )
        bot = load_bot("receptionist", settings)
        providers.check_bot(bot, settings)
        providers.check_bot(with_changes(bot, BotChanges(speed=1.0)), settings)
        with pytest.raises(ServiceUnavailable, match="bland has no speed"):
            providers.check_bot(with_changes(bot, BotChanges(speed=1.2)), settings)

    def test_an_offline_model_can_only_be_the_one_that_is_loaded(self) -> None:
        assert wanted("llm", {}, llm_model="qwen2.5-coder-0.5b").model == "qwen2.5-coder-0.5b"
        for wish in ("stt_model", "llm_model", "tts_model", "tts_voice"):
            with pytest.raises(ServiceUnavailable, match="is loaded on this machine"):
                wanted(wish[:3], {}, **{wish: "another"})  # type: ignore[arg-type]

    def test_those_whose_keys_are_set_stand_in_in_the_order_of_the_profile(self) -> None:
        keys = {"AZURE_OPENAI_API_KEY": KEY, "AZURE_OPENAI_DEPLOYMENT": "d"}
        keys["AZURE_OPENAI_ENDPOINT"] = "https://azure.example"
        assert standing_in("llm", {**OPENAI, **keys}) == ["openai", "azure"]

    def test_voices_with_and_without_a_connection_of_their_own_stand_in_for_each_other(
        self,
    ) -> None:
        assert standing_in("tts", {**OPENAI, **ELEVENLABS}) == ["elevenlabs", "openai"]

    def test_a_voice_that_does_not_tell_where_a_sentence_ends_is_not_watched(self) -> None:
        assert watched_tts(NeuphonicTTSService) is NeuphonicTTSService
        assert watched_tts(CartesiaTTSService) is not CartesiaTTSService

    def test_an_offline_model_does_not_stand_in(self) -> None:
        assert standing_in("llm", OPENAI) == ["openai"]
        assert standing_in("llm", {}) == ["local"]

    def test_one_whose_package_is_missing_does_not_stand_in(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # As it is where the package is not installed.
        monkeypatch.setitem(sys.modules, "pipecat.services.anthropic.llm", None)
        assert standing_in("llm", {**OPENAI, "ANTHROPIC_API_KEY": KEY}) == ["openai"]

    async def test_a_client_leaves_it_to_others_to_try_again(self) -> None:
        clients, config = CloudClients(), ServiceConfig(model="m", api_key=KEY)
        wishes = {"instructions": "", "max_tokens": 150, "clients": clients}
        patient = providers.make_llm("openai", config, None, **wishes)
        hasty = providers.make_llm("openai", config, None, retries=False, **wishes)
        assert (patient._client.max_retries, hasty._client.max_retries) == (2, 0)
        assert patient._client._client is hasty._client._client, "the same connections"
        await clients.close()

    async def test_the_speech_services_of_all_sessions_share_their_connections(self) -> None:
        clients, config = CloudClients(), ServiceConfig(api_key=KEY)
        ears = [providers.make_stt("openai", config, None, clients=clients) for _ in range(2)]
        voice = providers.make_tts("openai", config, None, clients=clients, speed=1.0)
        assert {id(service._client._client) for service in (*ears, voice)} == {id(clients.http)}
        await clients.close()
        assert clients.http.is_closed

    def test_a_class_can_be_chosen_where_a_provider_has_several(self) -> None:
        config = ServiceConfig(api_key=KEY, service="ElevenLabsRealtimeSTTService")
        assert isinstance(make_stt("elevenlabs", config), ElevenLabsRealtimeSTTService)

    def test_a_provider_that_is_nowhere_named_in_the_code_works_by_its_name(self) -> None:
        config = ServiceConfig(model="llama-3.3-70b", api_key=KEY)
        assert type(make_llm("groq", config)).__name__ == "GroqLLMService"


class TestProblems:
    @pytest.mark.parametrize(
        ("provider", "config", "message"),
        [
            ("nosuch", ServiceConfig(), "Pipecat has no such service"),
            ("openai", ServiceConfig(service="X"), "X is none of"),
            ("openai", ServiceConfig(voice="alloy"), "has no setting 'voice'"),
            ("openai", ServiceConfig(settings={"speed": 2}), "has no setting 'speed'"),
            ("azure", ServiceConfig(model="m", api_key=KEY), "endpoint"),
        ],
    )
    def test_what_cannot_be_made_says_where_and_why(
        self, provider: str, config: ServiceConfig, message: str
    ) -> None:
        with pytest.raises(ServiceUnavailable, match=message) as caught:
            make_llm(provider, config)
        assert provider in caught.value.message

    def test_a_missing_extra_says_how_to_get_it(self) -> None:
        with pytest.raises(ServiceUnavailable, match=r'uv pip install "pipecat-ai\[google\]"'):
            make_llm("google", ServiceConfig(model="gemini", api_key=KEY))

    def test_an_unknown_language_is_told(self) -> None:
        with pytest.raises(
            ServiceUnavailable, match=r"stt: language 'klingon' is not known: .*'en-GB'"
        ):
            providers.check("stt", "openai", ServiceConfig(api_key=KEY, language="klingon"))

    @pytest.mark.parametrize("kind", KINDS)
    def test_every_provider_of_the_projects_settings_is_one_of_pipecats(self, kind: Kind) -> None:
        settings = load_settings(DEFAULT_CONFIG)
        for name, provider in settings.voice.providers.items():
            config: ServiceConfig | None = getattr(provider, kind)
            if config and name != "local":
                assert importlib.util.find_spec(f"pipecat.services.{name}.{kind}")


def make_realtime(
    provider: str,
    config: ServiceConfig,
    rules: SpeechToSpeechConfig | None = None,
    *,
    max_tokens: int | None = None,
    speed: float = 1.0,
) -> RealtimeSession:
    return providers.make_realtime(
        provider,
        config,
        rules or SpeechToSpeechConfig(),
        instructions="Be brief.",
        tools=[],
        max_tokens=max_tokens,
        speed=speed,
    )


class TestSpeechToSpeech:
    def test_it_is_told_who_it_is_and_when_turns_end(self) -> None:
        rules = SpeechToSpeechConfig(
            server_vad=ServerVadConfig(threshold=0.6, prefix_padding=0.2, silence=0.7),
            transcription="whisper-1",
        )
        config = ServiceConfig(model="gpt-realtime", voice="marin", api_key=KEY, language="en-GB")
        session = make_realtime("openai", config, rules)._settings.session_properties
        assert session.instructions == "Be brief."
        assert session.model == "gpt-realtime"
        assert session.audio.output.voice == "marin"
        sound = session.audio.input
        assert (sound.transcription.model, sound.transcription.language) == ("whisper-1", "en")
        vad = sound.turn_detection
        assert (vad.threshold, vad.prefix_padding_ms, vad.silence_duration_ms) == (0.6, 200, 700)

    @pytest.mark.parametrize(
        ("wanted", "told"),
        [((None, 1.0), (None, None)), ((500, 0.8), (500, 0.8)), ((9000, 2.0), (4096, 1.5))],
    )
    def test_it_says_as_much_and_as_fast_as_it_is_wanted_or_as_it_can(
        self, wanted: tuple[int | None, float], told: tuple[int | None, float | None]
    ) -> None:
        max_tokens, speed = wanted
        config = ServiceConfig(model="m", api_key=KEY)
        service = make_realtime("openai", config, max_tokens=max_tokens, speed=speed)
        session = service._settings.session_properties
        assert (session.max_output_tokens, session.audio.output.speed) == told

    @pytest.mark.parametrize(
        ("provider", "given", "used"),
        [
            ("openai", None, "wss://api.openai.com/v1/realtime?model=m"),
            ("openai", "http://127.0.0.1:1/v1/", "ws://127.0.0.1:1/v1/realtime?model=m"),
            ("azure", "https://it.openai.azure.com/", f"{AZURE}/openai/v1/realtime?model=m"),
            ("azure", f"{AZURE}/openai/v1/realtime", f"{AZURE}/openai/v1/realtime?model=m"),
        ],
    )
    def test_it_is_where_the_settings_say(
        self, provider: str, given: str | None, used: str
    ) -> None:
        config = ServiceConfig(model="m", api_key=KEY, base_url=given)
        assert make_realtime(provider, config).base_url == used

    def test_a_setting_that_it_does_not_have_is_named(self) -> None:
        config = ServiceConfig(model="m", api_key=KEY, settings={"stability": 1})
        with pytest.raises(ServiceUnavailable, match=r"openai\.realtime.*'stability'"):
            make_realtime("openai", config)

    def test_of_a_bot_that_wants_it_it_is_looked_at_before_any_call(self) -> None:
        wrong = {"openai": {"realtime": {"settings": {"stability": 1}}}}
        with patch.dict(os.environ, OPENAI):
            settings = load_settings(DEFAULT_CONFIG, {"voice": {"providers": wrong}})
            providers.check_bot(load_bot("receptionist", settings), settings)
            with pytest.raises(ServiceUnavailable, match="stability"):
                providers.check_bot(load_bot("realtime", settings), settings)

    def test_without_a_key_for_it_the_others_do(self) -> None:
        settings = load_settings(DEFAULT_CONFIG)
        with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
            settings.service("realtime")
        providers.check_bot(load_bot("realtime", settings), settings)
