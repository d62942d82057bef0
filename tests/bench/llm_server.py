"""llama.cpp's server with its defaults, as one runs `llama-server` beside a bot.

python tests/bench/llm_server.py FILE.gguf
"""

import signal
import sys

import xllamacpp

CONTEXT_TOKENS = 4096


def main() -> None:
    params = xllamacpp.CommonParams()
    params.model.path = sys.argv[1]
    params.n_ctx = CONTEXT_TOKENS
    server = xllamacpp.Server(params)
    print(f"the language model is ready: {server.listening_address}/v1", flush=True)
    signal.sigwait([signal.SIGTERM, signal.SIGINT])


if __name__ == "__main__":
    # Before llama.cpp starts its threads, which else would take the signals.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
    main()
