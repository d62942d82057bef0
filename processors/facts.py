"""Facts in markdown: how a bot's knowledge is written down."""

import re
from dataclasses import dataclass
from itertools import pairwise

_HEADING = re.compile(r"^(?P<level>#+)\s+(?P<title>[^(]+)(?:\((?P<words>[^)]*)\))?\s*$")
_BULLET = re.compile(r"^\s*[-*+]\s+")
_SENTENCE_END = re.compile(r"(?<=[.?!])\s+")


@dataclass(frozen=True)
class Fact:
    """One fact, and by what it is found.

    Attributes:
        text: What is known, one paragraph or bullet of the file.
        about: The headings above it, outermost first, each with its words in brackets.
        title: The nearest heading without the words in brackets.
        asked: What callers say who want to hear it.
        fixed: Whether it is to be said as it stands; in the file it is in quotation marks.
    """

    text: str
    about: tuple[str, ...] = ()
    title: str = ""
    asked: tuple[str, ...] = ()
    fixed: bool = False


def parse_facts(markdown: str) -> list[Fact]:
    """Split a markdown text into facts: each paragraph or bullet under a second-level heading.

    `## Parking (car, garage)` gives every fact under it the search words car and garage, and a
    quote, `> Where can I park? Is there a garage?`, the sentences that callers say. Neither is ever
    shown. What stands before the first such heading is for the reader of the file.
    """
    facts: list[Fact] = []
    headings: dict[int, str] = {}
    lines: list[str] = []
    asked: list[str] = []
    title = ""

    def end_fact() -> None:
        about = tuple(headings[level] for level in sorted(headings) if level > 1)
        if lines and about:
            text = " ".join(lines)
            fixed = len(text) > 1 and text[0] == text[-1] == '"'
            facts.append(Fact(text.strip('"') if fixed else text, about, title, (*asked,), fixed))
        lines.clear()

    for line in markdown.splitlines():
        if heading := _HEADING.match(line):
            end_fact()
            asked.clear()
            level, title = len(heading["level"]), heading["title"].strip()
            headings = {above: text for above, text in headings.items() if above < level}
            headings[level] = f"{title} {heading['words'] or ''}".strip()
        elif line.startswith("> "):
            asked += split_sentences(line.removeprefix("> "))
        elif not line.strip():
            end_fact()
        else:
            if _BULLET.match(line):
                end_fact()
            lines.append(_BULLET.sub("", line).strip())
    end_fact()
    return facts


@dataclass(frozen=True)
class Example:
    """A question and the answer a bot should give to it."""

    question: str
    answer: str


def parse_examples(markdown: str) -> list[Example]:
    """Return the examples of a markdown text: a quoted question, then a paragraph to answer it.

    They stand below the heading `# Examples`.
    """
    _, _, examples = markdown.partition("\n# Examples\n")
    blocks = [" ".join(block.split()) for block in examples.split("\n\n")]
    return [
        Example(question.removeprefix("> "), answer)
        for question, answer in pairwise(blocks)
        if question.startswith("> ")
    ]


def split_sentences(text: str) -> list[str]:
    """Split a text behind full stops, question marks and exclamation marks."""
    return [sentence for sentence in _SENTENCE_END.split(text.strip()) if sentence]
