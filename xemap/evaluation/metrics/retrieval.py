"""Recall of image-text retrieval, as a function and as an mmengine metric."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from rich.console import Console
from rich.table import Table

from xemap.errors import ConfigError, DataError
from xemap.files import write_text
from xemap.registry import METRICS

KS = (1, 5, 10)
DIRECTIONS = ('i2t', 't2i')
"""Texts found for an image; images found for a text."""


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
    similarity, owner = np.asarray(similarity), np.asarray(owners)
    images, texts = similarity.shape
    if owner.shape != (texts,) or not np.array_equal(np.unique(owner), np.arange(images)):
        raise DataError(f'similarities of {images} images and {texts} texts: every text needs an image and vice versa')
    if np.isnan(similarity).any():
        raise DataError('a similarity is NaN: the model diverged; lower the learning rate or clip gradients')
    own = np.equal.outer(np.arange(images), owner)
    # The best own text of an image; argmax takes the first of equal ones.
    best = np.where(own, similarity, -np.inf).argmax(1)
    ranks = {
        'i2t': _ranks(similarity, best),
        't2i': _ranks(similarity.T, owner),
    }
    recalls = {f'{d}_R@{k}': 100 * float((ranks[d] < k).mean()) for d in DIRECTIONS for k in ks}
    return {**recalls, 'mR': sum(recalls.values()) / len(recalls)}


def _ranks(scores: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Place of one wanted item in each row, from 0: items with a higher score, or the same and a lower index."""
    value = np.take_along_axis(scores, wanted[:, None], 1)
    earlier = np.arange(scores.shape[1]) < wanted[:, None]
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


@METRICS.register_module()
class RetrievalMetric(BaseMetric):
    """R@K of both directions over a whole data set, and mR.

    Results: ``i2t_R@1`` … ``t2i_R@10``, ``mR`` (percent), ``images``, ``texts``. A table, with what chance
    gives, goes to the log. Over several ranks every image counts once.

    Args:
        ks: numbers of results.
        outfile_prefix: where to write ``<prefix>.summary.json``; None writes nothing.
        prefix: put before the names of the results.
    """

    default_prefix = ''

    def __init__(
        self,
        ks: Sequence[int] = KS,
        outfile_prefix: str | None = None,
        prefix: str | None = None,
    ) -> None:
        super().__init__(prefix=prefix)
        if not ks or min(ks) < 1:
            raise ConfigError(f'RetrievalMetric: ks={tuple(ks)}; give numbers of results from 1 on')
        self.ks = tuple(ks)
        self._compare: Callable[[torch.Tensor, list[torch.Tensor]], torch.Tensor] | None = None
        self.outfile_prefix = outfile_prefix

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep the features of predicted samples.

        Args:
            data_batch: not used.
            data_samples: dicts with ``sample_idx``, ``image_features``, ``text_features`` and, unless they are
                compared by dot products, ``compare``; see :class:`~xemap.models.retrieval.RetrievalModel`.

        Raises:
            DataError: a sample has no features.
        """
        for sample in data_samples:
            if 'image_features' not in sample or 'text_features' not in sample:
                raise DataError(
                    f'RetrievalMetric: sample {sample.get("img_path", "")} has no features; it scores retrieval models'
                )
            self._compare = sample.get('compare')
            texts = [text.detach().float().cpu() for text in sample['text_features']]
            self.results.append((int(sample['sample_idx']), sample['image_features'].detach().float().cpu(), texts))

    def evaluate(self, size: int) -> dict[str, float]:
        """Gather the features of all ranks and compute the results, on every rank the same."""
        rows = [row for part in all_gather_object(self.results) for row in part]
        self.results.clear()
        metrics = self.compute_metrics(rows)
        return {f'{self.prefix}/{name}': value for name, value in metrics.items()} if self.prefix else metrics

    def compute_metrics(self, results: list[tuple[int, torch.Tensor, list[torch.Tensor]]]) -> dict[str, float]:
        """Recalls over rows in any order, with or without duplicates.

        Raises:
            DataError: there is nothing to score, or a similarity is no number.
        """
        rows = [row for _, row in sorted({row[0]: row for row in results}.items())]
        if not rows:
            raise DataError('RetrievalMetric: no image was evaluated; the data set is empty')
        texts = [text for _, _, own in rows for text in own]
        owners = [i for i, (_, _, own) in enumerate(rows) for _ in own]
        images = torch.stack([image for _, image, _ in rows])
        table = images @ torch.stack(texts).T if self._compare is None else self._compare(images, texts)
        recalls = recall_at_k(table.numpy(), owners, self.ks)
        if is_main_process():
            self._report(recalls, [len(own) for _, _, own in rows])
        return {**recalls, 'images': len(rows), 'texts': len(texts)}

    def _report(self, recalls: dict[str, float], counts: list[int]) -> None:
        chance = chance_recall(counts, self.ks)
        table = Table('', *recalls, title=f'Retrieval, {len(counts)} images, {sum(counts)} texts, percent')
        for name, values in (('model', recalls), ('chance', chance)):
            table.add_row(name, *(f'{values[key]:.2f}' for key in recalls))
        console = Console(file=io.StringIO(), width=120)
        console.print(table)
        print_log(f'\n{console.file.getvalue()}', logger='current')  # type: ignore[attr-defined]
        if self.outfile_prefix is not None:
            content = {'recall': recalls, 'chance': chance, 'images': len(counts), 'texts': sum(counts)}
            write_text(f'{self.outfile_prefix}.summary.json', json.dumps(content, indent=1))
            print_log(f'wrote {self.outfile_prefix}.summary.json', logger='current')
