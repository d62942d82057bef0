"""The receptionist, speech to speech: one service hears, thinks and speaks."""

from dataclasses import replace

from pipecat.runner.types import RunnerArguments

from bots import receptionist
from bots.standalone import run_bot

BOT = replace(
    receptionist.BOT,
    description="The receptionist, speech to speech, where a service for that is there.",
    mode="speech_to_speech",
)


async def bot(runner_args: RunnerArguments) -> None:
    """Start the bot for Pipecat's own runner and Pipecat Cloud."""
    await run_bot(__file__, runner_args)


if __name__ == "__main__":
    from pipecat.runner.run import main

    main()
