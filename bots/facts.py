"""What a bot knows: the files of facts that it names, read and indexed once for all calls."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bots.errors import ServiceUnavailable
from bots.local import LocalServices
from bots.local_files import find_local_files
from bots.registry import BOTS_DIR, Bot, specialists_of
from bots.settings import Settings
from processors.directory import Directory
from processors.facts import parse_examples, parse_facts
from processors.knowledge import Encoder, Knowledge, KnowledgeProcessor
from processors.local_llm import MAX_KEPT
from processors.offline_knowledge import OfflineKnowledgeProcessor

if TYPE_CHECKING:
    # Its package is an extra.
    from processors.piper_tts import PiperTTS


def load_encoder(settings: Settings) -> Encoder | None:
    """Load what finds facts by their meaning; None if the language model is not small and local.

    Raises:
        ServiceUnavailable: If it cannot be loaded.
        ModelError: If it is not on this machine.
    """
    path = find_local_files(settings).encoder
    if not path:
        return None
    from engines.minilm import MiniLM

    try:
        return MiniLM(path, kept=settings.data_dir / path.name, threads=1)
    except (RuntimeError, ValueError, OSError) as error:
        raise ServiceUnavailable(f"an offline model cannot be loaded: {error}") from error


def read_knowledge(bot: Bot, encoder: Encoder | None) -> Knowledge | None:
    """Return a bot's facts. The first time, they are indexed, which takes up to a second.

    Args:
        bot: Whose facts.
        encoder: Of the offline profile; None if the language model is not a small local one.

    Returns:
        What all calls share; None for a bot without facts.

    Raises:
        OSError: If a file cannot be read.
        ValueError: If a file holds no fact.
    """
    names = [bot.knowledge, bot.offline_knowledge if encoder else None]
    files = [_path(name) for name in names if name]
    return _read(encoder, *files) if files else None


def make_knowledge(
    bot: Bot, encoder: Encoder | None
) -> KnowledgeProcessor | OfflineKnowledgeProcessor | None:
    """Make what gives a bot its facts in one call; see `read_knowledge`.

    Returns:
        A processor to put before the language model; None for a bot without facts.
    """
    knowledge = read_knowledge(bot, encoder)
    if not knowledge or not encoder:
        return KnowledgeProcessor(knowledge) if knowledge else None
    file = bot.offline_knowledge or bot.knowledge
    examples = _path(file).read_text("utf-8") if file else ""
    return OfflineKnowledgeProcessor(
        knowledge, examples=parse_examples(examples), nothing_known=bot.nothing_known
    )


def read_directory(bot: Bot, settings: Settings, encoder: Encoder | None) -> Directory | None:
    """Return what tells whose business a question is, where a small local model cannot.

    The first time, facts are indexed, as by `read_knowledge`. What a bot knows only because it is
    small (`offline_knowledge`), such as how to greet, is nobody's business.

    Args:
        bot: Whose specialists.
        settings: Where they are.
        encoder: Of the offline profile; None elsewhere.

    Returns:
        What all calls share; None for a bot without specialists, and elsewhere.

    Raises:
        OSError: If a file cannot be read.
        UnknownBot: If there is no such specialist.
    """
    if not encoder or not bot.specialists:
        return None
    specialists = specialists_of(bot, settings)
    return _index(
        encoder,
        tuple((name, _path(it.knowledge)) for name, it in specialists.items() if it.knowledge),
    )


async def study_facts(bot: Bot, encoder: Encoder | None, local: LocalServices) -> None:
    """Have a small local model read a bot's facts, so that it need not in a call.

    They are read once, for some 0.2 s each, and kept on disk for the next start.
    """
    knowledge = make_knowledge(bot, encoder)
    if isinstance(knowledge, OfflineKnowledgeProcessor):
        llm = local.make_llm(system_instruction=bot.system_instruction(small=True))
        try:
            for opening in knowledge.openings[:MAX_KEPT]:
                await llm.study(opening)
        finally:
            await llm.cleanup()


async def study_sounds(bot: Bot, encoder: Encoder | None, voice: "PiperTTS") -> None:
    """Have a local voice say what a bot's replies begin with, so that it need not in a call.

    Each greeting or fact takes some 0.1 s once, and 50 to 150 kB on disk.
    """
    knowledge = read_knowledge(bot, encoder)
    facts = knowledge.facts[:MAX_KEPT] if knowledge else []
    for reply in filter(None, (bot.greeting, *(fact.text for fact in facts))):
        await voice.study(reply)


def _path(name: str) -> Path:
    return BOTS_DIR / "knowledge" / name


@cache
def _read(encoder: Encoder | None, *files: Path) -> Knowledge:
    return Knowledge.from_files(*files, encoder=encoder)


@cache
def _index(encoder: Encoder, files: tuple[tuple[str, Path], ...]) -> Directory:
    return Directory({name: parse_facts(file.read_text("utf-8")) for name, file in files}, encoder)
