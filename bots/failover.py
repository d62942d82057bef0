"""Which services stand in for which, and what calls share about their failures."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, cast

from pipecat.pipeline.service_switcher import ServiceSwitcher
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService

from bots.config import AnnouncementConfig, FailoverConfig, Kind, ServiceConfig, TimeoutConfig
from bots.meter import Meter
from bots.sounds import no_voice
from processors.circuit import Circuit, CircuitRecord
from processors.failover import FailoverSwitcher, Failure, Watch
from processors.hearing_failover import WatchedSTT
from processors.llm_failover import WatchedLLM, Words
from processors.speech_failover import Hears
from processors.streamed_hearing import StreamedSTT
from processors.voice_failover import Voice
from processors.watched_voice import WatchedTTS

Report = Callable[[Failure], Awaitable[None]]
Service = TypeVar("Service", bound=FrameProcessor)


CircuitKey = tuple[Kind, str, int, float]
"""What a circuit is of, its provider, and `failures` and `rest` of its settings."""


@dataclass
class Circuits:
    """One circuit for each service of each provider; all calls of a process share them."""

    _circuits: dict[CircuitKey, Circuit] = field(default_factory=dict)

    @property
    def records(self) -> dict[CircuitKey, CircuitRecord]:
        """What is known of the services that were asked for."""
        return {key: circuit.record for key, circuit in self._circuits.items()}

    def of(self, kind: Kind, provider: str, config: FailoverConfig) -> Circuit:
        """Return the circuit of a provider's service, closed if nobody has asked for it yet."""
        return self._of((kind, provider, config.failures, config.rest))

    def recall(self, records: Mapping[CircuitKey, CircuitRecord]) -> None:
        """Go by what calls of other processes have found."""
        for key, record in records.items():
            self._of(key).recall(record)

    def _of(self, key: CircuitKey) -> Circuit:
        *_, failures, rest_secs = key
        return self._circuits.setdefault(key, Circuit(failures=failures, rest_secs=rest_secs))


@dataclass(frozen=True)
class Supervision:
    """How the services of a call are watched.

    Attributes:
        config: What the settings say about it.
        announcements: What is said where they fail.
        circuits: What all calls know of them.
        report: Told of their failures.
        meter: Told whose they are.
    """

    config: FailoverConfig
    announcements: AnnouncementConfig
    circuits: Circuits
    report: Report
    meter: Meter

    def in_order(
        self,
        kind: Kind,
        choices: Sequence[tuple[str, ServiceConfig]],
        make: Callable[[str, ServiceConfig], Service],
    ) -> list[Service]:
        """Make the service that is used, and behind it those that stand in for it when it fails.

        Args:
            kind: What they are for.
            choices: Providers and configurations in order of preference.
            make: Makes one.
        """
        services = []
        for provider, config in choices:
            service = make(provider, config)
            self.watch(kind, provider, service)
            self.meter.watch(kind, provider, config, service)
            services.append(service)
        return services

    def watch(self, kind: Kind, provider: str, service: FrameProcessor) -> None:
        """Watch a service, if it can be; one on this machine has all the time that it takes."""
        if not isinstance(service, WatchedLLM | WatchedTTS | WatchedSTT | StreamedSTT):
            return
        timeouts: TimeoutConfig = getattr(self.config, kind)
        is_local = provider == "local"
        service.watch = Watch(
            kind,
            provider,
            self.circuits.of(kind, provider, self.config),
            first_output_secs=None if is_local else timeouts.first_output,
            idle_secs=None if is_local else timeouts.idle,
            report=self.report,
        )
        match service:
            case WatchedLLM():
                words = Words(self.announcements.lost_thread, self.announcements.cannot_answer)
                service.words = words
            case WatchedSTT() | StreamedSTT():
                service.cannot_hear = self.announcements.cannot_hear


def voice_by(services: Sequence[TTSService]) -> TTSService:
    """Return what says a reply by services for it: the only one itself, if it is not watched.

    Args:
        services: In order of preference.
    """
    first = services[0]
    return Voice(cast(Sequence[WatchedTTS], services), no_voice) if _is_watched(first) else first


def hearing_by(services: Sequence[STTService]) -> STTService:
    """Return what recognises speech by services for it: the first, which asks the others.

    Args:
        services: In order of preference.
    """
    first, *others = services
    if isinstance(first, WatchedSTT | StreamedSTT):
        first.successors = cast(Sequence[Hears], others)
    if isinstance(first, StreamedSTT):
        first.has_microphone = True
    return first


def with_help(speech: FrameProcessor, services: Sequence[FrameProcessor]) -> FrameProcessor:
    """Return what stands in the pipeline for one that has its work done by services.

    Args:
        speech: The one; may be one of the services.
        services: They are set up and ended with it.
    """
    others = [service for service in services if service is not speech]
    return ServiceSwitcher([speech, *others]) if others else speech


def _is_watched(service: FrameProcessor) -> bool:
    return isinstance(service, WatchedTTS) and service.watch is not None


def in_turn(services: Sequence[Service]) -> Service | FailoverSwitcher:
    """Return what stands in the pipeline for services of one purpose: the only one as it is.

    Args:
        services: In order of preference.
    """
    return services[0] if len(services) == 1 else FailoverSwitcher(list(services))
