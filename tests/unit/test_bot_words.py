"""Which words belong to which turn, where the next reply is made while one is heard."""

from processors.bot_words import BotWordsQueue

ANNOUNCED = "I will put you through."
ANSWER = "It costs nineteen dollars. And more."


def made(*replies: str) -> BotWordsQueue:
    """Return what there is when a language model has written these, and a voice has them to say."""
    words = BotWordsQueue()
    for reply in replies:
        words.begin()
        words.write(reply)
        words.speak(reply)
    return words


def test_a_turn_has_its_own_words_though_the_next_are_there() -> None:
    words = BotWordsQueue()
    words.say(ANNOUNCED)
    words.begin()
    for word in ANSWER.split():
        words.write(f"{word} ")
    words.speak(ANNOUNCED)
    words.speak("It costs nineteen dollars.")
    words.speak("And more.")
    assert words.take(ANNOUNCED, interrupted=False) == ("", ANNOUNCED)
    assert words.take(ANSWER, interrupted=False) == (ANSWER, ANSWER)


def test_a_turn_may_be_several_replies_in_one() -> None:
    words = made(ANNOUNCED, "", ANSWER)
    heard = f"{ANNOUNCED} {ANSWER}"
    assert words.take(heard, interrupted=False)[1].split() == heard.split()


def test_a_reply_that_only_calls_a_tool_ends_a_turn_without_words() -> None:
    words = made("", ANSWER)
    assert words.take("", interrupted=False) == ("", "")
    assert words.take(ANSWER, interrupted=False) == (ANSWER, ANSWER)


def test_what_was_said_in_the_place_of_a_reply_does_not_leave_it_to_the_next_turn() -> None:
    words = made(ANSWER)
    assert words.take("My voice does not work.", interrupted=False)[0] == ANSWER
    words.begin()
    words.write("Better now.")
    assert words.take("Better now.", interrupted=False)[0] == "Better now."


def test_an_interruption_ends_all_that_there_is() -> None:
    words = made(ANNOUNCED, ANSWER)
    words.cut_off()
    generated, _ = words.take("I will", interrupted=True)
    assert generated == f"{ANNOUNCED}{ANSWER}"
    assert words.take("", interrupted=False) == ("", "")


def test_what_was_cut_off_before_it_was_heard_is_nobodys() -> None:
    words = made(ANNOUNCED)
    words.cut_off()
    words.begin()
    words.write(ANSWER)
    assert words.take(ANSWER, interrupted=False)[0] == ANSWER
