"""Fixtures of several unit tests."""

from tests.model_hub import dead_hub, hub, index

__all__ = ["dead_hub", "hub", "index"]
