"""Recall of image-text retrieval, as pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from xemap.errors import DataError

KS = (1, 5, 10)
DIRECTIONS = ('t2i', 'i2t')
"""Images found for a text; texts found for an image."""


def recall_at_k(similarity: np.ndarray, owners: Sequence[int], ks: Sequence[int] = KS) -> dict[str, float]:
    """R@K of both directions and their mean mR.

    A text finds its image if that is among the K most similar images; an image finds a text if any of its
    own is among the K most similar texts. Of equally similar ones the one with the lower index comes
    first, so equal input gives equal output on every machine.

    Args:
        similarity: (I, T) of images and texts.
        owners: index of each text's image, (T,).
        ks: numbers of results.

    Returns:
        ``i2t_R@K`` and ``t2i_R@K`` for each K, and ``mR``, their mean; percent.

    Raises:
        DataError: shapes that do not fit, an image without a text, or a similarity that is no number.
    """
    ranks = retrieval_ranks(similarity, owners)
    recalls = {f'{d}_R@{k}': 100 * float((ranks[d] < k).mean()) for d in DIRECTIONS for k in ks}
    return {**recalls, 'mR': sum(recalls.values()) / len(recalls)}


def retrieval_ranks(similarity: np.ndarray, owners: Sequence[int]) -> dict[str, np.ndarray]:
    """Places, from 0, at which items are found; arguments, order of equal ones and errors as in :func:`recall_at_k`.

    Returns:
        ``i2t``: (I,) of each image's best own text; ``t2i``: (T,) of each text's image.
    """
    similarity, owner = np.asarray(similarity), np.asarray(owners)
    images, texts = similarity.shape
    if owner.shape != (texts,) or not np.array_equal(np.unique(owner), np.arange(images)):
        raise DataError(f'similarities of {images} images and {texts} texts: every text needs an image and vice versa')
    if np.isnan(similarity).any():
        raise DataError('a similarity is NaN: the model diverged; lower the learning rate or clip gradients')
    matching = np.equal.outer(np.arange(images), owner)
    # The best own text of an image; argmax takes the first of equal ones.
    best = np.where(matching, similarity, -np.inf).argmax(1)
    return {'i2t': _ranks(similarity, best), 't2i': _ranks(similarity.T, owner)}


def _ranks(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Place of one target item in each row, from 0: items with a higher score, or the same and a lower index."""
    value = np.take_along_axis(scores, targets[:, None], 1)
    earlier = np.arange(scores.shape[1]) < targets[:, None]
    return (scores > value).sum(1) + ((scores == value) & earlier).sum(1)


def chance_recall(texts_per_image: Sequence[int], ks: Sequence[int] = KS) -> dict[str, float]:
    """What :func:`recall_at_k` gives on average for random similarities; percent.

    Args:
        texts_per_image: (I,) at least 1.
        ks: numbers of results.
    """
    counts = np.asarray(texts_per_image)
    images, texts = len(counts), int(counts.sum())
    recalls = {}
    for k in ks:
        missed = [math.comb(texts - int(n), min(k, texts)) / math.comb(texts, min(k, texts)) for n in counts]
        recalls[f'i2t_R@{k}'] = 100 * (1 - float(np.mean(missed)))
    recalls.update({f't2i_R@{k}': 100 * min(k, images) / images for k in ks})
    return {**recalls, 'mR': sum(recalls.values()) / len(recalls)}
