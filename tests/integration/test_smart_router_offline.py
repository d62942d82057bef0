"""One number for all without any key: who knows the answer is found by its meaning."""

from pathlib import Path

import pytest

from bots.facts import load_encoder, read_directory
from bots.registry import load_bot
from bots.settings import DEFAULT_CONFIG, load_settings
from processors.directory import Directory
from runner.peer import Peer, connect
from tests.integration.test_call import REPLY_SECS
from tests.integration.test_transcript import read_when
from tests.service import run_service
from tests.speech import Speaker

pytestmark = pytest.mark.long

ANNOUNCEMENT = "One moment, I will put you through."

BUSINESS = {
    "receptionist": [
        "I would like to make an appointment.",
        "Can I come in on Tuesday at ten?",
        "My knee hurts, can a doctor look at it?",
        "Are you open on Saturday mornings?",
        "What does a visit cost without insurance?",
        "Is there parking?",
        "Do you have a children's doctor?",
        "I need to see a doctor.",
        "How much is a flu shot?",
        "I have to cancel my appointment.",
        "Where is the clinic?",
    ],
    "sales": [
        "What does Quill cost?",
        "Which plan is right for ten people?",
        "Can I try it for free?",
        "I want to buy your software.",
        "Does it work with my bank?",
        "How much is the team plan per month?",
        "Can I pay yearly?",
    ],
    "callcenter": [
        "I cannot log in.",
        "My password doesn't work any more.",
        "The app crashes when I add a photo.",
        "I forgot my password.",
        "My invoice shows the wrong date.",
        "I am locked out of my account.",
        "The customer did not get the mail with the invoice.",
        "I can't print.",
    ],
    None: [
        "Hello.",
        "Good morning, who is this?",
        "Thank you.",
        "Okay.",
        "Goodbye.",
        "Can you help me?",
        "What is the weather like?",
        "Are you a robot?",
        "Yes, please.",
        "My name is Dana Whitfield.",
        "I have a question.",
        "No, that is all.",
        "Tell me a joke.",
        "How are you?",
        "Can you say that again?",
        "What are your prices?",
    ],
}


@pytest.fixture(scope="module")
def directory() -> Directory:
    settings = load_settings(DEFAULT_CONFIG, {"profile": "offline"})
    bot = load_bot("smart_router", settings)
    directory = read_directory(bot, settings, load_encoder(settings))
    assert directory
    return directory


@pytest.mark.parametrize(
    ("name", "question"), [(name, it) for name, some in BUSINESS.items() for it in some]
)
async def test_a_question_is_the_business_of_who_knows_about_it(
    directory: Directory, name: str | None, question: str
) -> None:
    assert await directory.find(question) == name


async def hear(peer: Peer, words: str, after: int) -> None:
    """Wait until the bot says something with these words in it, and has finished."""

    def is_said(_: object) -> bool:
        said = [m["data"]["text"] for m in peer.messages[after:] if m["type"] == "bot-tts-text"]
        return words in " ".join(" ".join(said).split())

    await peer.wait_for(is_said, timeout=REPLY_SECS, after=after)
    await peer.hear_out(timeout=REPLY_SECS, after=after)


async def test_who_knows_the_answer_takes_over(tmp_path: Path, speaker: Speaker) -> None:
    with run_service(tmp_path, "--profile", "offline") as service:
        async with connect(service.url, bot="smart_router") as peer:
            await peer.hear_out(timeout=REPLY_SECS)
            seen = len(peer.messages)
            await peer.microphone.say(await speaker.say("Is there somewhere to leave my car?"))
            await hear(peer, "behind the building", seen)
            for question, answer in (
                ("I forgot my password for Quill.", "forgotten password"),
                ("Good morning.", "What does not work?"),
                ("What does the team plan cost?", "nineteen dollars"),
            ):
                seen = len(peer.messages)
                peer.send("send-text", {"content": question})
                await hear(peer, answer, seen)
        whole = await read_when(service.url, peer.session_id, lambda whole: whole["ended_at"])
    put = [it["arguments"]["to"] for it in whole["entries"] if it.get("tool") == "put_through"]
    assert put == ["receptionist", "callcenter", "sales"], "and by a greeting to nobody"
    heard = [it["heard"] for it in whole["entries"] if it.get("speaker") == "bot"]
    assert heard.count(ANNOUNCEMENT) == 3
