"""How fast llama.cpp reads and writes with a model as it came, and with its weights made fast.

    .venv/bin/python tests/bench/weights.py [--llm qwen2.5-coder-0.5b]

The two take turns, in the order A-B-B-A. A request has a long beginning that the server keeps, as
the prompt of a bot, and words at its end that are new.
"""

import argparse
import random
import statistics
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import httpx  # noqa: E402

from bots.models import ModelStore, default_models_dir, load_manifest  # noqa: E402
from engines.fast_weights import fast_weights  # noqa: E402
from engines.llama import LlamaServer  # noqa: E402

BEGINNING = "You are the receptionist of a clinic and answer the phone. " * 25
WORDS = ("parking", "monday", "open", "close", "doctor", "card", "price", "bus", "street", "floor")
NEW_WORDS = (2, 6, 12, 24, 48)
TIMES = 6
WRITTEN_TOKENS = 40


class Model:
    """One of the two."""

    def __init__(self, name: str, server: LlamaServer) -> None:
        self.name = name
        self._server = server
        self._client = httpx.Client(
            base_url=server.base_url.removesuffix("/v1"),
            headers={"Authorization": f"Bearer {server.key}"},
            timeout=60,
        )
        self.reading_ms: dict[int, list[float]] = defaultdict(list)
        self.writing_ms: list[float] = []
        self._complete("", 1)

    def measure(self, seed: int) -> None:
        words = random.Random(seed)
        for count in NEW_WORDS:
            timings = self._complete(" ".join(words.choices(WORDS, k=count)), 1)
            self.reading_ms[count].append(timings["prompt_ms"])
        timings = self._complete("The", WRITTEN_TOKENS)
        self.writing_ms.append(timings["predicted_per_token_ms"])

    def _complete(self, text: str, tokens: int) -> Any:
        reply = self._client.post(
            "/completion",
            json={
                "prompt": BEGINNING + text,
                "n_predict": tokens,
                "temperature": 0,
                "ignore_eos": True,
            },
        )
        return reply.raise_for_status().json()["timings"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--llm", default="qwen2.5-coder-0.5b", help="a model of the manifest")
    args = parser.parse_args()
    path = ModelStore(default_models_dir(), load_manifest()).file(args.llm)
    kept = default_models_dir() / "kept"
    fast = Model("fast", LlamaServer(path, kept=kept, threads=2))
    # A folder that cannot be made: the model serves as it is.
    as_it_came = Model("as it came", LlamaServer(path, kept=path / "kept", threads=2))
    for seed in range(TIMES):
        for model in (fast, as_it_came) if seed % 2 else (as_it_came, fast):
            model.measure(seed)
    print(f"{fast_weights(path, kept).name}, median ms")
    print(f"{'':12}" + "".join(f"{f'{n} words':>10}" for n in NEW_WORDS) + f"{'a token':>10}")
    rows = {
        model.name: [statistics.median(model.reading_ms[n]) for n in NEW_WORDS]
        + [statistics.median(model.writing_ms)]
        for model in (as_it_came, fast)
    }
    rows["ratio"] = [b / a for a, b in zip(*rows.values(), strict=True)]
    for name, values in rows.items():
        digits = 2 if name == "ratio" else 1
        print(f"{name:12}" + "".join(f"{value:10.{digits}f}" for value in values))


if __name__ == "__main__":
    main()
