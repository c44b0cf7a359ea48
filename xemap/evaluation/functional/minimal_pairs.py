"""Scoring minimal pairs: two queries about one image that differ in one word or phrase and mean different objects."""

from __future__ import annotations

import numpy as np

CHANCE = 0.25
"""Share of pairs that come out right where each query's map shows one of the two referents at random. Maps that do
not depend on the word that differs are never right for both: their maximum is in one place."""


def minimal_pair_right(maps: np.ndarray, masks: np.ndarray) -> tuple[bool, bool]:
    """Which queries of a minimal pair the maps answer rightly.

    A map is right if its maximum lies in the query's referents, and more of its sum in them than in those of the
    other query. Where several pixels share the maximum, as in a mask, most of them must lie in the referents.

    Args:
        maps: (2, H, W) float in [0, 1], the map of each query.
        masks: (2, H, W) bool, the referents of each query; they have no pixel in common.

    Raises:
        ValueError: shapes that differ, or masks that overlap or are empty.
    """
    maps, masks = np.asarray(maps), np.asarray(masks, bool)
    if maps.shape != masks.shape or maps.ndim != 3 or len(maps) != 2:
        raise ValueError(f'maps of shape {maps.shape} and masks of shape {masks.shape}; give two of each, of one size')
    if not masks.any(axis=(1, 2)).all() or (masks[0] & masks[1]).any():
        raise ValueError('the referents of a minimal pair must each have pixels, and none in common')
    first, second = (bool(_is_right(maps[i], masks[i], masks[1 - i])) for i in (0, 1))
    return first, second


def _is_right(values: np.ndarray, referents: np.ndarray, others: np.ndarray) -> bool:
    highest = values == values.max()
    inside, outside = values[referents].sum(dtype=np.float64), values[others].sum(dtype=np.float64)
    return bool(2 * (highest & referents).sum() > highest.sum() and inside > outside)
