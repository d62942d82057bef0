"""What is kept of sound that comes faster than it is heard."""

from hypothesis import given
from hypothesis import strategies as st

from processors.protocols.waiting_sound import WaitingSound

MAX_BYTES = 12
PIECE_BYTES = 4


def taken(sound: WaitingSound) -> list[tuple[bytes, bool]]:
    """Take all that waits."""
    pieces = []
    while sound:
        pieces.append(sound.take(PIECE_BYTES))
    return pieces


def test_sound_comes_out_in_pieces_as_it_came_in() -> None:
    sound = WaitingSound(MAX_BYTES)
    assert not sound.put(b"abcdef", is_final=False)
    assert not sound.put(b"gh", is_final=False)
    assert taken(sound) == [(b"abcd", False), (b"efgh", False)]


def test_the_end_of_an_utterance_stays_behind_its_sound() -> None:
    sound = WaitingSound(MAX_BYTES)
    sound.put(b"abcdef", is_final=True)
    sound.put(b"ghij", is_final=True)
    assert taken(sound) == [(b"abcd", False), (b"ef", True), (b"ghij", True)]


def test_the_oldest_is_dropped_first() -> None:
    sound = WaitingSound(MAX_BYTES)
    assert sound.put(b"abcdefgh", is_final=False) == 0
    assert sound.put(b"ijklmn", is_final=False) == 2
    assert sound.put(b"opq", is_final=False) == 3
    assert taken(sound) == [(b"fghi", False), (b"jklm", False), (b"nopq", False)]


def test_what_comes_at_once_is_kept_though_it_is_more_than_may_wait() -> None:
    sound = WaitingSound(MAX_BYTES)
    assert sound.put(b"abcdefgh", is_final=False) == 0
    assert sound.put(b"ijklmnopqrstuvwx", is_final=False) == 8
    assert [pcm for pcm, _ in taken(sound)] == [b"ijkl", b"mnop", b"qrst", b"uvwx"]


def test_the_end_of_an_utterance_outlives_its_sound() -> None:
    sound = WaitingSound(MAX_BYTES)
    sound.put(b"abcd", is_final=True)
    sound.put(b"efgh", is_final=True)
    sound.put(b"ijklmnopqrst", is_final=True)
    assert taken(sound) == [(b"ijkl", True), (b"mnop", False), (b"qrst", True)]


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=40), st.booleans()), max_size=20))
def test_it_is_the_end_of_what_came_and_ends_as_that_did(pieces: list[tuple[bytes, bool]]) -> None:
    sound = WaitingSound(MAX_BYTES)
    dropped = sum(sound.put(pcm, is_final=is_final) for pcm, is_final in pieces)
    whole = b"".join(pcm for pcm, _ in pieces)
    heard = taken(sound)
    assert b"".join(pcm for pcm, _ in heard) == whole[dropped:]
    last = len(pieces[-1][0]) if pieces else 0
    assert len(whole) - dropped == max(min(len(whole), MAX_BYTES), last)
    if pieces:
        _, ends = heard[-1]
        assert ends or not pieces[-1][1]
