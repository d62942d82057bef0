"""Where models are kept unless the settings or the command line say otherwise."""

import os
from pathlib import Path


def default_models_dir() -> Path:
    """Return where models are kept if the settings do not say."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "parlante" / "models"
