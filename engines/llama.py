"""llama.cpp's own OpenAI-compatible server, in this process."""

import os
import secrets
from importlib.metadata import version
from pathlib import Path
from typing import Any

# GNU OpenMP, which llama.cpp's threads wait with, reads it when it is loaded. By default they spin
# for milliseconds, on the very core that the other one waits for: beside one busy process, reading
# 45 tokens took 3.5 s instead of 0.5.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import xllamacpp

from engines.fast_weights import fast_weights
from engines.kept import open_folder

CONTEXT_TOKENS = 4096
"""What one session can have read at once, with the reply."""

PARALLEL_SESSIONS = 4
"""Sessions whose prompt cache is kept; more of them still work, with a slower first word."""


class LlamaServer:
    """A language model behind llama.cpp's server, on a loopback port.

    Other users of the machine cannot use it: it asks for a key that only this object knows.

    Args:
        path: Any GGUF file.
        kept: Directory where the same model with faster weights is kept for the next start, and
            what was read with it, if it can be written; it may be deleted at any time.
        threads: CPU threads for reading a prompt; one less writes the reply.
        chat_template: Jinja that replaces the one inside the file; None to use that. llama.cpp
            learns from it how the model writes a tool call.

    Attributes:
        model: The name to ask for.
        slots: How many conversations it remembers.
        words_slot: The number of one slot more, for words without a conversation.
        context_tokens: How long each can be, instructions and reply included.
        read: Directory of what was read and is kept; None if nothing can be.
        base_url: Where OpenAI's API is, as OpenAI's clients want it.
        key: The API key that it asks for.

    Raises:
        RuntimeError: If llama.cpp cannot load the file.
        OSError: If a file cannot be read.
        ValueError: If it is no GGUF file.
    """

    def __init__(
        self, path: Path, *, kept: Path, threads: int, chat_template: Path | None = None
    ) -> None:
        self.key = secrets.token_urlsafe()
        self.slots = self.words_slot = PARALLEL_SESSIONS
        self.context_tokens = CONTEXT_TOKENS
        weights = fast_weights(path, kept)
        params = xllamacpp.CommonParams()
        params.model.path = str(weights)
        if chat_template:
            params.chat_template = chat_template.read_text("utf-8")
        params.n_parallel = PARALLEL_SESSIONS + 1
        params.n_ctx = CONTEXT_TOKENS * params.n_parallel
        # A server with other slots cannot load what this one saves.
        maker = f"{version('xllamacpp')}-{params.n_parallel}"
        self.read = open_folder(kept, weights, "read", maker)
        if self.read:
            params.slot_save_path = f"{self.read}{os.sep}"
        # Threads that write a word together wait for each other: with one for every core, any
        # other work brings 40 words a second down to one. Reading a prompt can bear it.
        params.cpuparams.n_threads = max(1, threads - 1)
        params.cpuparams_batch.n_threads = threads
        # Prompts of ended sessions would be kept, in up to 8 GB.
        params.cache_ram_mib = 0
        # A few dozen tokens behind a long prompt are read in three quarters of the time without it.
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        # These two read the whole model once more each: it need not be fitted to a GPU, and
        # `warm_up` does what is left.
        params.fit_params = False
        params.warmup = False
        params.api_keys = [self.key]
        params.verbosity = 0
        self._server: Any = xllamacpp.Server(params)
        self.model = path.stem
        self.base_url = f"{self._server.listening_address}/v1"

    def warm_up(self) -> None:
        """Answer once, so that the first user does not wait for lazy set-up."""
        self._server.handle_chat_completions(
            {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}
        )

    def close(self) -> None:
        """Stop the server and free the model."""
        self._server = None
