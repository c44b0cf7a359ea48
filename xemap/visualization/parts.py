"""The picture of a multi-hop query with its parts (paper Fig. 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from xemap.visualization.panel import query_panel

PICTURE_SIDE = 448
"""Longer side of each image in the picture, pixels."""


def parts_picture(
    image: np.ndarray,
    query: str,
    whole: np.ndarray,
    parts: Mapping[str, np.ndarray],
    polygons: Sequence[np.ndarray] = (),
) -> np.ndarray:
    """Picture "image | whole | part | part …" under the query's text, with a 0..1 color bar.

    Args:
        image: (H, W, 3) uint8 RGB.
        query: the text.
        whole: its map, (h, w) float in [0, 1], of any size.
        parts: text of each part to its map.
        polygons: outlines of the regions that were found, (V, 2) x, y pixels of ``image``.

    Returns:
        (H', W', 3) uint8 RGB.
    """
    return query_panel(image, query, {'whole': whole, **parts}, polygons=polygons, max_side=PICTURE_SIDE)
