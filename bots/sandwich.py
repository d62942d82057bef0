"""The sales desk once more, with a LangGraph agent between the ears and the mouth."""

from dataclasses import replace

from pipecat.runner.types import RunnerArguments

from bots import sales
from bots.standalone import run_bot

BOT = replace(
    sales.BOT,
    description="The sales desk with a LangGraph agent as its brain, for a larger language model.",
    agent="bots.agents.langgraph_agent:make_agent",
)


async def bot(runner_args: RunnerArguments) -> None:
    """Start the sandwich for Pipecat's own runner and Pipecat Cloud."""
    await run_bot(__file__, runner_args)


if __name__ == "__main__":
    from pipecat.runner.run import main

    main()
