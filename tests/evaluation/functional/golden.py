"""Golden cases of our own: maps by rule, and the values that :mod:`slow_selo`, written from the protocol alone, gives.

python -m tests.evaluation.functional.golden      (writes golden.json anew, half a minute)
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.evaluation.functional import slow_selo

PATH = Path(__file__).with_name('golden.json')

TRIANGLE, SQUARE, FAR = (
    [[20, 15], [70, 20], [40, 60]],
    [[60, 40], [110, 40], [110, 80], [60, 80]],
    [[5, 70], [25, 70], [15, 88]],
)

CASES = {
    # name: blobs of (x, y, spread, height), background, polygons
    'one peak in the region': ([(45, 32, 12, 230)], 0, [TRIANGLE]),
    'one peak elsewhere': ([(100, 70, 10, 250)], 10, [TRIANGLE]),
    'a peak too low to count': ([(45, 32, 12, 90)], 0, [TRIANGLE]),
    'two regions, peak in one': ([(85, 60, 15, 240)], 20, [SQUARE, FAR]),
    'overlapping polygons': ([(60, 45, 25, 255)], 5, [TRIANGLE, SQUARE]),
    'uniform': ([], 200, [SQUARE]),
}


def case(name: str) -> tuple[np.ndarray, list[np.ndarray]]:
    """Map (96, 128) uint8 and polygons of a case."""
    blobs, background, polygons = CASES[name]
    y, x = np.mgrid[:96, :128]
    gray = np.full((96, 128), float(background))
    for cx, cy, spread, height in blobs:
        # Whole numbers only: the same on every machine.
        gray = np.maximum(gray, height - (((x - cx) ** 2 + (y - cy) ** 2) * 20) // spread**2)
    return gray.clip(0, 255).astype(np.uint8), [np.array(polygon, float) for polygon in polygons]


def values(name: str, protocol: str) -> dict[str, float]:
    gray, polygons = case(name)
    smooth = gray
    for _ in range(5):
        smooth = slow_selo.box_filter(smooth, 50)
    centers = slow_selo.centers_of(gray, smooth, 500, 499)
    return {key: float(value) for key, value in slow_selo.metrics(gray, polygons, centers, protocol).items()}


if __name__ == '__main__':
    scores = {name: {protocol: values(name, protocol) for protocol in ('reference', 'paper')} for name in CASES}
    PATH.write_text(json.dumps(scores, indent=1) + '\n')
