"""How fast a voice is to speak, in the words of its service."""

from typing import Any

SPEEDS = {
    "cartesia": (0.6, 1.5),
    "deepgram": (0.7, 1.5),
    "deepgram.flux": (0.5, 1.5),
    "elevenlabs": (0.7, 1.2),
    "soniox": (0.7, 1.3),
    "xai": (0.7, 1.5),
}
"""The slowest and the fastest that a service takes, where that is less than what a bot may want."""

FLUX_STEP = 0.05

RIME_LENGTHS = ("mist", "mistv2")
"""Models of Rime that are told how long speech takes; the others, how fast it is."""


def pace(protocol: str, model: str | None, speed: float) -> dict[str, Any]:
    """Return the settings that tell a service how fast to speak.

    A service may have some of them only, as Google's do, or none.

    Args:
        protocol: The service's name, as in `pipecat.services`.
        model: Of the service; None for its own choice.
        speed: 1 for as fast as the voice is; a service is told the nearest that it takes.
    """
    slowest, fastest = SPEEDS.get(protocol, (speed, speed))
    speed = min(max(speed, slowest), fastest)
    match protocol:
        case "aws":
            return {"rate": f"{speed:.0%}"}
        case "azure":
            # It would add a percentage to 100.
            return {"rate": f"{speed:g}"}
        case "cartesia":
            from pipecat.services.cartesia.tts import GenerationConfig

            return {"generation_config": GenerationConfig(speed=speed)}
        case "deepgram.flux":
            return {"speed": round(round(speed / FLUX_STEP) * FLUX_STEP, 2)}
        case "fish":
            return {"prosody_speed": speed}
        case "google":
            # Of voices that read markup, and of the others.
            return {"rate": f"{speed:.0%}", "speaking_rate": speed}
        case "groq":
            # It refuses any but 1.
            return {}
        case "rime":
            return {"speedAlpha": round(1 / speed, 2) if model in RIME_LENGTHS else speed}
        case "sarvam":
            return {"pace": speed}
    return {"speed": speed, "speaking_rate": speed}
