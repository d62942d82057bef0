"""The sales desk of a software company: advises callers, and writes down who is interested."""

from pipecat.runner.types import RunnerArguments

from bots.registry import Bot
from bots.standalone import run_bot
from bots.tools.sales import SALES_TOOLS

BOT = Bot(
    description="Advises callers of a software company: features, plans, prices, quotes.",
    prompt="sales.md",
    offline_prompt="sales_offline.md",
    offline_knowledge="sales_offline.md",
    nothing_known=(
        "I am sorry, I do not know that. My colleagues can tell you, by mail to sales at "
        "quillworks dot example."
    ),
    greeting="Quillworks, this is Max, what can I do for you?",
    knowledge="sales.md",
    tools=SALES_TOOLS,
    voice_profile="sales",
)


async def bot(runner_args: RunnerArguments) -> None:
    """Start the sales desk for Pipecat's own runner and Pipecat Cloud."""
    await run_bot(__file__, runner_args)


if __name__ == "__main__":
    from pipecat.runner.run import main

    main()
