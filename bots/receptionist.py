"""The receptionist of a medical clinic: answers questions, books appointments."""

from pipecat.runner.types import RunnerArguments

from bots.registry import Bot
from bots.standalone import run_bot
from bots.tools.appointments import APPOINTMENT_TOOLS

BOT = Bot(
    description="Answers the phone of a medical clinic: hours, prices, parking, appointments.",
    prompt="receptionist.md",
    offline_prompt="receptionist_offline.md",
    offline_knowledge="receptionist_offline.md",
    nothing_known=(
        "I am sorry, I do not know that. The front desk can tell you, on five five five, "
        "zero one four two."
    ),
    greeting="Willowbrook Family Clinic, this is Grace, how can I help you?",
    knowledge="receptionist.md",
    tools=APPOINTMENT_TOOLS,
)


async def bot(runner_args: RunnerArguments) -> None:
    """Start the receptionist for Pipecat's own runner and Pipecat Cloud."""
    await run_bot(__file__, runner_args)


if __name__ == "__main__":
    from pipecat.runner.run import main

    main()
