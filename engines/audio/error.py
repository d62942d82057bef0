"""What is wrong with sound that somebody sends.

AudioError
├── UnknownFormat    it is coded in a way that is not understood here
├── UnsupportedRate  it has too many or too few samples a second
├── Damaged          it cannot be decoded
├── Truncated        it ends in the middle of something
└── TooDense         it would become more sound than anybody has recorded
"""


class AudioError(Exception):
    """Sound cannot be decoded, or not any further.

    Attributes:
        code: SCREAMING_SNAKE_CASE, stable.
        message: What is wrong and, where that helps, what to send instead.
    """

    code = "AUDIO_INVALID"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class UnknownFormat(AudioError):
    """It is coded in a way that is not understood here."""

    code = "AUDIO_FORMAT_UNKNOWN"


class UnsupportedRate(AudioError):
    """It has too many or too few samples a second."""

    code = "AUDIO_RATE_UNSUPPORTED"


class Damaged(AudioError):
    """It cannot be decoded."""

    code = "AUDIO_DAMAGED"


class Truncated(AudioError):
    """It ends in the middle of something."""

    code = "AUDIO_TRUNCATED"


class TooDense(AudioError):
    """It would become more sound than anybody has recorded."""

    code = "AUDIO_TOO_DENSE"
