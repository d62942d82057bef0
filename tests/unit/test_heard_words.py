"""Which words of a sentence have been heard."""

from pipecat.frames.frames import TTSAudioRawFrame

from processors.heard_words import HeardWords

RATE_HZ = 1000
TEXT = "That is $5, sir."
SPOKEN = "That is five dollars, sir."


def heard(words: HeardWords, secs: float) -> list[str | int]:
    """Return what so much sound holds: texts, and pieces of sound by their samples."""
    frame = TTSAudioRawFrame(bytes(round(secs * RATE_HZ) * 2), RATE_HZ, 1)
    return [it if isinstance(it, str) else it.num_frames for it in words.sound(frame)]


class TestHeardWords:
    def test_stand_where_the_next_word_begins(self) -> None:
        words = HeardWords("One two three.", "One two three.")
        for word, begins_at in (("One", 0.0), ("two", 0.25), ("three.", 0.5)):
            words.word(word, begins_at)
        assert heard(words, 0.3) == [250, "One", 50]
        assert heard(words, 0.7) == [200, "two", 500]
        assert words.rest == "three."

    def test_are_those_of_the_conversation_whatever_is_spoken_for_them(self) -> None:
        words = HeardWords(TEXT, SPOKEN)
        for number, word in enumerate(SPOKEN.split()):
            words.word(word, number / 10)
        told = [it for it in heard(words, 1.0) if isinstance(it, str)]
        assert " ".join([*told, words.rest]) == TEXT

    def test_are_told_once_where_a_second_voice_begins_anew(self) -> None:
        words = HeardWords("One two three.", "One two three.")
        words.word("One", 0.0)
        words.word("two", 0.1)
        assert heard(words, 0.2) == [100, "One", 100]
        words.begin()
        for number, word in enumerate(("One", "two", "three.")):
            words.word(word, number / 10)
        assert heard(words, 0.3) == [100, 100, "two", 100]

    def test_that_are_none_of_the_sentence_are_left_out(self) -> None:
        words = HeardWords("One two.", "One two.")
        for number, word in enumerate(("Cough", "One", "two.")):
            words.word(word, number / 10)
        assert heard(words, 0.3) == [100, 100, "One", 100]
        assert words.rest == "two."

    def test_are_the_whole_sentence_where_a_voice_tells_none(self) -> None:
        words = HeardWords("One two.", "One two.")
        assert heard(words, 1.0) == [1000]
        assert words.rest == "One two."
