"""One number for all: finds out what a caller wants, and puts them through to who can help."""

from pipecat.runner.types import RunnerArguments

from bots.registry import Bot
from bots.standalone import run_bot

BOT = Bot(
    description="Finds out what a caller wants, and puts them through to who can help.",
    prompt="smart_router.md",
    offline_knowledge="smart_router_offline.md",
    nothing_known=(
        "Is it about the clinic, about buying Quill, or about something that does not work?"
    ),
    greeting="Hello, this is Robin, for Willowbrook and Quillworks. What can I do for you?",
    specialists=("receptionist", "sales", "callcenter"),
)


async def bot(runner_args: RunnerArguments) -> None:
    """Start the router for Pipecat's own runner and Pipecat Cloud."""
    await run_bot(__file__, runner_args)


if __name__ == "__main__":
    from pipecat.runner.run import main

    main()
