"""Tools that other programs have: MCP servers."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from bots.config.section import Section

McpName = Annotated[str, Field(pattern=r"^[a-z0-9]+(_[a-z0-9]+)*$")]
"""Names a server, and stands before the names of its tools, parted from them by `__`."""


class McpServerConfig(Section):
    """An MCP server: a program that is started here, or one elsewhere by streamable HTTP.

    Attributes:
        command: What is started, in each process that holds calls; None for a server elsewhere.
        args: Its arguments.
        env: Its environment, beside PATH, HOME and the like: no other variable of ours.
        url: Where the server is; None for one that is started here.
        headers: What each request carries (`Authorization: Bearer ${TOKEN}`).
        tools: Those of its tools that bots are given, by the names that it has for them; None for
            all.
        timeout: How long a tool may take before the language model is told that nothing came; no
            longer than the bot's own, so that no agent is given up for it.
    """

    command: str | None = None
    args: list[str] = Field(default=[])
    env: dict[str, str] = Field(default={}, repr=False)
    url: Annotated[str, Field(pattern=r"^https?://")] | None = None
    headers: dict[str, str] = Field(default={}, repr=False)
    tools: Annotated[list[str], Field(min_length=1)] | None = None
    timeout: Annotated[float, Field(gt=0, le=15)] = 10

    @model_validator(mode="after")
    def _is_here_or_elsewhere(self) -> Self:
        if (self.command is None) == (self.url is None):
            raise ValueError("expected either command or url")
        if self.url is None and self.headers:
            raise ValueError("headers are for a server with a url")
        if self.command is None and (self.args or self.env):
            raise ValueError("args and env are for a server with a command")
        return self
