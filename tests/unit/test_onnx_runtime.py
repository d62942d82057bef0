"""What ONNX Runtime does beside running models."""

import os
import subprocess
import sys
from pathlib import Path


def test_it_keeps_nothing_to_tell_its_makers(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    program = "import bots, onnxruntime; print('imported')"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, check=True, text=True
    )
    assert "imported" in done.stdout
    assert not list(tmp_path.rglob("*onnxruntime*"))
