"""The connections to services in the cloud that speak OpenAI's protocol; all calls share them."""

from contextlib import suppress
from typing import Any

import httpx
from openai import DefaultAsyncHttpxClient, OpenAIError
from pipecat.services.openai.base_llm import BaseOpenAILLMService

CONNECT_SECS = 10.0
"""How long a provider may take to answer before anything is asked of it."""


class CloudClients:
    """One client for each provider's language models, and one for whatever recognises or speaks.

    Pipecat makes one for each service of each session, and closes none: each holds all calls up
    for 20 to 155 ms, and has the first request of a session wait for a new connection.
    """

    def __init__(self) -> None:
        self._services: dict[tuple[str, bool], type[Any]] = {}
        self._clients: dict[str, Any] = {}
        self._http: DefaultAsyncHttpxClient | None = None

    @property
    def http(self) -> DefaultAsyncHttpxClient:
        """What speech services of any provider take as `http_client`."""
        if self._http is None:
            self._http = DefaultAsyncHttpxClient()
        return self._http

    def sharing(self, service: type[Any], provider: str, *, retries: bool = True) -> type[Any]:
        """Return a class that is `service`, but for its client, which is that of `provider`.

        Args:
            service: The one of Pipecat's that the settings choose for `provider`; it is returned
                as it is if it has no such client.
            provider: A provider of the settings.
            retries: Whether the client tries again what fails: not where another provider can be
                asked meanwhile.
        """
        if not issubclass(service, BaseOpenAILLMService):
            return service

        def create_client(session: BaseOpenAILLMService, *args: Any, **kwargs: Any) -> Any:
            # The settings of a provider may have changed since the last session.
            key = f"{provider} {args} {sorted(kwargs.items())}"
            if key not in self._clients:
                self._clients[key] = service.create_client(session, *args, **kwargs)
            client = self._clients[key]
            return client if retries else client.with_options(max_retries=0)

        if (provider, retries) not in self._services:
            members = {"create_client": create_client}
            made = type(service.__name__, (service,), members)
            self._services[provider, retries] = made
        return self._services[provider, retries]

    async def open_connections(self) -> None:
        """Connect to the providers of language models, so that no first answer waits for that.

        Their models are asked for, because every server answers to that in some way.
        """
        for client in list(self._clients.values()):
            with suppress(OpenAIError):
                await client.with_options(max_retries=0, timeout=CONNECT_SECS).get(
                    "/models", cast_to=httpx.Response
                )

    async def close(self) -> None:
        """Close the connections; sessions must have ended."""
        for client in self._clients.values():
            await client.close()
        if self._http:
            await self._http.aclose()
