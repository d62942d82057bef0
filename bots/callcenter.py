"""Technical support: leads callers through what helps, opens tickets, hands over to people."""

from pipecat.runner.types import RunnerArguments

from bots.registry import Bot
from bots.standalone import run_bot
from bots.tools.support import SUPPORT_TOOLS

BOT = Bot(
    description="Technical support of a software company: step by step, tickets, handing over.",
    prompt="callcenter.md",
    offline_prompt="callcenter_offline.md",
    offline_knowledge="callcenter_offline.md",
    nothing_known=(
        "I am sorry, I do not know that. Our support can tell you, by mail to support at "
        "quillworks dot example."
    ),
    greeting="Quillworks support, this is Sam, what does not work?",
    knowledge="callcenter.md",
    tools=SUPPORT_TOOLS,
    voice_profile="callcenter",
)


async def bot(runner_args: RunnerArguments) -> None:
    """Start technical support for Pipecat's own runner and Pipecat Cloud."""
    await run_bot(__file__, runner_args)


if __name__ == "__main__":
    from pipecat.runner.run import main

    main()
