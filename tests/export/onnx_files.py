"""Running the ONNX files of an export."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest


def onnx_runner(folder: Path) -> Callable[[str, dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """``run('model.onnx', inputs)`` gives the outputs by name; a file is loaded once."""
    onnxruntime = pytest.importorskip('onnxruntime', reason='onnxruntime runs the ONNX files')

    @cache
    def session(name: str):
        return onnxruntime.InferenceSession(folder / name, providers=['CPUExecutionProvider'])

    def run(name: str, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        outputs = [output.name for output in session(name).get_outputs()]
        return dict(zip(outputs, session(name).run(None, given)))

    return run
