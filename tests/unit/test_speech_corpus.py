import numpy as np
import pytest

from tests.bench import sounds
from tests.bench.accuracy import bootstrap, evaluate, spelled
from tests.bench.speech_corpus import (
    SAMPLE_RATE_HZ,
    SPEECH_RMS,
    Pcm,
    Sound,
    Take,
    Voice,
    boundary,
    load,
    load_words,
    parse,
    quietest,
    room_tone,
    with_pause,
)
from tests.bench.turn_features import Moment
from tests.bench.turn_signals import auc, fit, score
from tests.speech import words, words_wrong

MS = SAMPLE_RATE_HZ // 1000


def tone(ms: int) -> Pcm:
    """Something voiced."""
    at = np.arange(ms * MS) / SAMPLE_RATE_HZ
    return (SPEECH_RMS * 1.4 * np.sin(2 * np.pi * 200 * at)).astype(np.int16)


def two_words() -> Take:
    """300 ms of a word, 40 ms of silence in which the cut is, 300 ms of a word."""
    pcm = np.concatenate([tone(300), room_tone(0.04), tone(300)])
    return Take(pcm, len(pcm), (320 * MS,))


def test_the_corpus_is_large_enough() -> None:
    assert len(load("tuning")) >= 120
    assert len(load("held_out")) >= 80
    assert len(load_words()) == 60


def test_nothing_held_out_is_also_tuned_on() -> None:
    tuned = {" ".join(words(utterance.text)) for utterance in load("tuning")}
    assert not tuned & {" ".join(words(utterance.text)) for utterance in load("held_out")}


@pytest.mark.parametrize("name", ["tuning", "held_out"])
def test_utterances_are_said_once_and_hardly_ever_without_a_place(name: str) -> None:
    utterances = load(name)
    assert len({utterance.text for utterance in utterances}) == len(utterances)
    assert all(len(utterance.places) <= 3 for utterance in utterances)
    assert sum(not utterance.places for utterance in utterances) <= len(utterances) // 20
    assert not any("|" in utterance.text for utterance in utterances)
    assert sum(p.hard for u in utterances for p in u.places) >= len(utterances) // 2


def test_marks_become_places() -> None:
    utterance = parse("I want to see a doctor || on | Friday.")
    assert utterance.text == "I want to see a doctor on Friday."
    assert [(place.before, place.hard) for place in utterance.places] == [
        ("I want to see a doctor", True),
        ("I want to see a doctor on", False),
    ]


def test_the_boundary_is_after_the_sounds_of_the_first_words() -> None:
    sounds_said = [Sound("dh", 0.0, 0.1), Sound("iy", 0.1, 0.2), Sound("ae", 0.25, 0.4)]
    assert boundary(sounds_said, ["dh", "ax"]) == (0.2, 0.25)


def test_there_is_no_boundary_if_the_sounds_are_others() -> None:
    assert boundary([Sound(p, 0, 1) for p in "abcd"], ["x", "y", "z"]) is None
    assert boundary([Sound(p, 0, 1) for p in "ab"], ["a", "b"]) is None


def test_the_quietest_sample_is_in_the_silence() -> None:
    take = two_words()
    assert 300 * MS <= quietest(take.pcm, 280 * MS, 360 * MS) <= 340 * MS


@pytest.mark.parametrize("pause_ms", [400, 700, 1000])
def test_a_pause_is_as_long_as_was_asked_for(pause_ms: int) -> None:
    take = two_words()
    pcm, begins, goes_on = with_pause(take, 320 * MS, pause_ms)
    assert begins == pytest.approx(300 * MS, abs=5 * MS)
    assert goes_on - begins == pytest.approx(pause_ms * MS, abs=10 * MS)
    assert np.abs(pcm[begins + 5 * MS : goes_on - 5 * MS]).max() < 100
    assert len(pcm) == len(take.pcm) + (pause_ms - 40) * MS


def test_what_is_heard_until_a_pause_ends_in_silence() -> None:
    pcm, begins, _ = with_pause(two_words(), 320 * MS, 1000)
    moment = Moment(Voice("", ""), pcm, begins, "", False, False)
    heard = moment.heard(0.2)
    assert len(heard) == pytest.approx(500 * MS, abs=5 * MS)
    assert np.abs(heard[-190 * MS :]).max() < 0.003 < np.abs(heard[: 290 * MS]).max()


@pytest.mark.parametrize("snr_db", [20, 10])
def test_noise_is_as_loud_as_was_asked_for(snr_db: int) -> None:
    pcm = tone(1000)
    noise = sounds.with_noise(pcm, sounds.pink(len(pcm)), snr_db).astype(float) - pcm
    ratio = np.mean(np.square(pcm.astype(float))) / np.mean(np.square(noise))
    assert 10 * np.log10(ratio) == pytest.approx(snr_db, abs=0.1)


def test_pink_noise_is_as_loud_in_each_octave() -> None:
    power = np.abs(np.fft.rfft(sounds.pink(10 * SAMPLE_RATE_HZ))) ** 2
    low, high = power[10 * 200 : 10 * 400].sum(), power[10 * 1600 : 10 * 3200].sum()
    assert low == pytest.approx(high, rel=0.1)


def test_opus_leaves_the_speech_as_it_was_but_for_a_delay() -> None:
    pcm = tone(500)
    heard = sounds.through_opus(pcm)
    assert len(heard) == len(pcm)
    middle = slice(100 * MS, 400 * MS)
    assert np.std(heard[middle]) == pytest.approx(np.std(pcm[middle]), rel=0.1)


def test_an_echo_is_20_db_below_the_voice() -> None:
    pcm = tone(100)
    assert np.std(sounds.echo(pcm)) == pytest.approx(np.std(pcm) / 10, rel=0.01)


def test_a_cough_and_a_door_are_always_the_same() -> None:
    assert np.array_equal(sounds.cough(), sounds.cough())
    assert np.array_equal(sounds.door(), sounds.door())


@pytest.mark.parametrize(
    ("heard", "said"),
    [
        ("at 9:30", "at nine thirty"),
        ("at 9.30.", "at nine thirty."),
        ("about $4 here", "about four dollars here"),
        ("the 3rd floor", "the third floor"),
        ("2 years", "two years"),
        ("42", "forty two"),
    ],
)
def test_numbers_count_as_they_are_said(heard: str, said: str) -> None:
    assert words_wrong(spelled(said), spelled(heard)) == 0


def test_the_interval_of_no_difference_is_around_nothing() -> None:
    lengths = np.full(60, 8)
    low, high = bootstrap(np.array([1, -1] * 30), lengths)
    assert low < 0 < high
    assert bootstrap(np.ones(60, np.int64), lengths) == (0.125, 0.125)


def test_a_hold_that_is_shorter_than_a_pause_answers_into_it() -> None:
    rows = [
        {"kind": "cut", "hard": 0.0, "hold": 500.0},
        {"kind": "cut", "hard": 1.0, "hold": 900.0},
        {"kind": "end", "hard": 0.0, "hold": 300.0},
        {"kind": "end", "hard": 0.0, "hold": 500.0},
    ]
    verdict = evaluate(lambda row: float(row["hold"]), rows)
    assert verdict.half_way == {400: 0.0, 700: 0.5, 1000: 1.0}
    assert verdict.half_way_hard == {400: 0.0, 700: 0.0, 1000: 1.0}
    assert verdict.hold_p50_ms == 400
    assert verdict.hold_p95_ms == pytest.approx(490)


def test_the_auc_tells_a_signal_from_chance() -> None:
    is_end = np.array([True, True, False, False])
    assert auc(np.array([3.0, 2.0, 1.0, 0.0]), is_end) == 1.0
    assert auc(np.zeros(4), is_end) == 0.5


def test_a_regression_leaves_out_what_says_nothing() -> None:
    random = np.random.default_rng(1)
    is_end = random.random(400) < 0.5
    values = np.stack([is_end + random.normal(size=400), random.normal(size=400)], axis=1)
    useful, useless, _ = fit(values, is_end)
    assert useful > 3 * abs(useless)
    assert auc(score(values, fit(values, is_end)), is_end) > 0.7
