"""Recall of image-text retrieval as an mmengine metric."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.dist import all_gather_object

from xemap.errors import ConfigError, DataError
from xemap.evaluation.functional.retrieval import DIRECTIONS, KS, chance_recall, retrieval_ranks
from xemap.evaluation.metrics.base import QueryMetric
from xemap.evaluation.report import query_row
from xemap.evaluation.scores import Row, Score
from xemap.registry import METRICS

Features = tuple[Row, list[Row], torch.Tensor, list[torch.Tensor]]


@METRICS.register_module()
class RetrievalMetric(QueryMetric):
    """R@K of both directions over a whole data set, and mR, in percent; what chance gives stands beside.

    A text is a query. An image's own rank is in the row of its first text.

    Args:
        ks: numbers of results.
        kwargs: ``outfile_prefix`` and ``prefix``, see :class:`QueryMetric`.
    """

    name = 'retrieval'
    title = 'Retrieval, percent'
    form = 'features'
    main = 'mR'
    references = {'chance': 'chance'}

    def __init__(self, ks: Sequence[int] = KS, **kwargs: Any) -> None:
        if not ks or min(ks) < 1:
            raise ConfigError(f'RetrievalMetric: ks={tuple(ks)}; give numbers of results from 1 on')
        super().__init__(scorer=None, with_references=False, **kwargs)
        self.ks = tuple(ks)
        self._compare: Callable[[torch.Tensor, list[torch.Tensor]], torch.Tensor] | None = None
        recalls = [
            Score(f'{way}_R@{k}', f'{way} R@{k}', f'{way}_rank', below=k, scale=100) for way in DIRECTIONS for k in ks
        ]
        self.scores = (*recalls, Score('mR', 'mR', '', average_of=tuple(score.name for score in recalls)))

    def gather(self) -> list[Row]:
        """Compare the features of all ranks; each text once."""
        parts: list[list[Features]] = all_gather_object(self.results)
        kept = {item[0]['sample_idx']: item for part in parts for item in part}
        self.results.clear()
        items = [item for _, item in sorted(kept.items())]
        if not items:
            raise DataError('RetrievalMetric: no image was evaluated; the data set is empty')
        texts = [text for *_, part in items for text in part]
        owners = [i for i, (*_, part) in enumerate(items) for _ in part]
        images = torch.stack([image for _, _, image, _ in items])
        with torch.no_grad():
            table = images @ torch.stack(texts).T if self._compare is None else self._compare(images, texts)
        ranks = retrieval_ranks(table.numpy(), owners)
        rows = [row for _, part, _, _ in items for row in part]
        before = f'{self.prefix}_' if self.prefix else ''
        for row, image, rank in zip(rows, owners, ranks['t2i']):
            row[f'{before}t2i_rank'] = int(rank)
            row[f'{before}i2t_rank'] = int(ranks['i2t'][image]) if row['query_id'] == 0 else None
        self.rows = rows
        return rows

    def summarize(self, rows: Sequence[Row], scores: Sequence[Score]) -> dict[str, Any]:
        summary = super().summarize(rows, scores)
        counts: dict[int, int] = {}
        for row in rows:
            counts[row['sample_idx']] = counts.get(row['sample_idx'], 0) + 1
        chance = chance_recall(list(counts.values()), self.ks)
        summary['overall'] |= {'images': len(counts), 'texts': len(rows)}
        named = {new.name: chance[score.name] for new, score in zip(scores, self.scores)}
        summary['chance'] = {**named, 'queries': len(rows), 'intervals': {}}
        return summary

    def _process(self, sample: dict) -> None:
        """Keep ``image_features`` and ``text_features`` of a predicted sample, and how ``compare`` compares them; dot
        products where it is absent. See :class:`~xemap.models.retrieval.RetrievalModel`."""
        if 'image_features' not in sample or 'text_features' not in sample:
            raise DataError(
                f'RetrievalMetric: sample {sample.get("img_path", "")} has no features; it scores retrieval models'
            )
        self._compare = sample.get('compare')
        texts = [text.detach().float().cpu() for text in sample['text_features']]
        rows = [{**query_row(sample, i, query), 'problem': None} for i, query in enumerate(sample['queries'])]
        self.results.append((rows[0], rows, sample['image_features'].detach().float().cpu(), texts))
