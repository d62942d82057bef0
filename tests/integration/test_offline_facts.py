"""What the offline receptionist finds and says for what callers say, with the real encoder."""

from pathlib import Path

import numpy as np
import pytest

from bots.facts import read_knowledge
from bots.local_files import ENCODER
from bots.models import ModelStore, default_models_dir, load_manifest
from bots.receptionist import BOT
from engines.minilm import MiniLM
from processors.knowledge import Knowledge

EMERGENCY, CANNOT_BOOK = "nine one one", "cannot book"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> MiniLM:
    store = ModelStore(default_models_dir(), load_manifest())
    return MiniLM(store.path(ENCODER), kept=tmp_path_factory.mktemp("kept"), threads=1)


def test_what_took_long_is_kept_for_the_next_start(tmp_path: Path) -> None:
    path = ModelStore(default_models_dir(), load_manifest()).path(ENCODER)
    texts = [f"Sentence number {number}." for number in range(40)]
    first = MiniLM(path, kept=tmp_path, threads=1).encode(texts)
    kept = written(tmp_path)
    assert kept
    assert np.array_equal(MiniLM(path, kept=tmp_path, threads=1).encode(texts), first)
    assert written(tmp_path) == kept


def written(folder: Path) -> dict[Path, int]:
    """Return when each file was written."""
    return {file: file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def knowledge(encoder: MiniLM) -> Knowledge:
    knowledge = read_knowledge(BOT, encoder)
    assert knowledge
    return knowledge


def test_sentences_that_mean_the_same_lie_close_together(encoder: MiniLM) -> None:
    car, van, dog = encoder.encode(["Where is my car?", "Where's the van?", "I like dogs."])

    assert np.linalg.norm(car) == pytest.approx(1)
    assert car @ van > 0.5 > car @ dog


def test_a_sentence_has_the_same_vector_alone_and_in_company(encoder: MiniLM) -> None:
    texts = ["Hello.", "How much is it to have a mole looked at by the skin doctor?"]

    assert encoder.encode(texts)[0] @ encoder.encode(texts[:1])[0] > 0.99


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("My son swallowed some pills.", EMERGENCY),
        ("I can't breathe.", EMERGENCY),
        ("I have an appointment at ten, but now I have chest pain.", EMERGENCY),
        ("Someone just collapsed here.", EMERGENCY),
        ("He's bleeding a lot.", EMERGENCY),
        ("Could you put me down for Friday?", CANNOT_BOOK),
        ("So is that booked now?", CANNOT_BOOK),
        ("Thanks, see you on Thursday.", CANNOT_BOOK),
        ("Please cancel my appointment.", CANNOT_BOOK),
        ("Okay, great.", "You are welcome"),
        ("Bye bye.", "Goodbye"),
        ("Good morning.", "How can I help you"),
    ],
)
def test_what_must_be_said_for_sure_is_fixed(knowledge: Knowledge, said: str, answer: str) -> None:
    [fact] = knowledge.lookup(said, limit=1, hint="How much is a flu shot?")

    assert fact.fixed
    assert answer in fact.text


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("How much is a blood test?", "forty dollars"),
        ("Do I need an appointment, or can I walk in?", "by appointment only"),
        ("What happens if I cancel late?", "thirty dollars"),
        ("I have run out of my pills.", "renew prescriptions"),
        ("Who would see my daughter? She has a cough.", "Okoye"),
        ("Sorry, one moment, are you open on Sunday?", "closed"),
        ("Thank you. And where can I park?", "behind the building"),
    ],
)
def test_questions_are_left_to_the_model(knowledge: Knowledge, said: str, answer: str) -> None:
    [fact] = knowledge.lookup(said, limit=1)

    assert not fact.fixed
    assert answer in fact.text
