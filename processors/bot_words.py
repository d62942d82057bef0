"""Which of the words that a bot has made belong to which of its turns, which end later."""

from dataclasses import dataclass, field


@dataclass
class BotWords:
    """What was made for one reply, or for words that are the bot's own.

    Attributes:
        text: As it was written, for a voice to say.
        is_generated: Whether a language model wrote it.
        spoken: What was given to the voice.
    """

    text: str = ""
    is_generated: bool = True
    spoken: list[str] = field(default_factory=list)


class BotWordsQueue:
    """Keeps what was made until it has been heard, since the next reply is made meanwhile."""

    def __init__(self) -> None:
        self._waiting: list[BotWords] = []
        self._is_cut_off = False

    def begin(self) -> None:
        """Note that a language model begins a reply."""
        self._add(BotWords())

    def write(self, text: str) -> None:
        """Note what it writes."""
        if not self._waiting or not self._waiting[-1].is_generated:
            self.begin()
        self._waiting[-1].text += text

    def say(self, text: str) -> None:
        """Note that the bot says something of its own."""
        self._add(BotWords(text, is_generated=False))

    def speak(self, text: str) -> None:
        """Note what the voice is given."""
        if not self._waiting:
            self.say(text)
        of = (it for it in self._waiting if _letters(text) in _letters(it.text))
        next(of, self._waiting[-1]).spoken.append(text.strip())

    def cut_off(self) -> None:
        """Note that nothing will be heard of what there is: it ends no turn, unless one is open."""
        self._is_cut_off = True

    def take(self, heard: str, *, interrupted: bool) -> tuple[str, str]:
        """Return what was generated and what was spoken of the turn that is over.

        Args:
            heard: What was heard of it.
            interrupted: Whether it was spoken over: then there is nothing left to be heard.
        """
        self._is_cut_off = False
        count = len(self._waiting) if interrupted else self._count_in(_letters(heard))
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        generated = "".join(it.text for it in taken if it.is_generated)
        return generated.strip(), " ".join(words for it in taken for words in it.spoken)

    def _add(self, words: BotWords) -> None:
        if self._is_cut_off:
            self._waiting, self._is_cut_off = [], False
        self._waiting.append(words)

    def _count_in(self, heard: str) -> int:
        """Return how many of those that wait are in a turn.

        One that says something is, though something else was heard, as where its voice fails.
        """
        count, has_words = 0, False
        for it in self._waiting:
            letters = _letters(it.text)
            if has_words and letters not in heard:
                break
            has_words = has_words or bool(letters)
            count += 1
            if not heard:
                break
        return count


def _letters(text: str) -> str:
    return "".join(text.split())
