"""The bots, and what they share."""

import os

# ONNX Runtime keeps a database of what it runs, and a thread that would send it to its makers. It
# reads this when it is imported first.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
