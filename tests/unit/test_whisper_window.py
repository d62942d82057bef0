from engines.whisper import MAX_FRAMES, MIN_FRAMES, plausible_tokens, window_frames


def test_a_short_question_is_encoded_in_the_shortest_window() -> None:
    assert window_frames(200) == MIN_FRAMES


def test_a_longer_one_has_silence_behind_it() -> None:
    assert window_frames(1500) > 1500


def test_no_window_is_longer_than_the_model_can_take() -> None:
    assert window_frames(10_000) == MAX_FRAMES


def test_two_seconds_of_speech_do_not_hold_thirty_words() -> None:
    assert plausible_tokens(200) < 30


def test_ten_seconds_of_fast_speech_are_plausible() -> None:
    assert plausible_tokens(1000) > 40
