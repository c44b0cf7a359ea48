"""The share of minimal pairs that come out right, as an mmengine metric."""

from __future__ import annotations

from typing import Any

import numpy as np

from xemap.errors import DataError
from xemap.evaluation.functional.minimal_pairs import CHANCE, minimal_pair_right
from xemap.evaluation.metrics.base import QueryMetric
from xemap.evaluation.scores import Row, Score
from xemap.registry import METRICS
from xemap.structures import Query
from xemap.structures.answers import Answers

CHANGES = ('attribute', 'size', 'place', 'direction', 'distance', 'anchor', 'between')
"""What the two sentences of a pair may differ in, as ``Query.pair`` begins."""
UNSEEN = ' in unseen words'


@METRICS.register_module()
class MinimalPairMetric(QueryMetric):
    """Both queries of a pair right, see :func:`~xemap.evaluation.functional.minimal_pairs.minimal_pair_right`.

    For annotation files of minimal pairs (``make_synthetic.py --minimal-pairs``, ``convert_dataset.py --expressions
    --minimal-pairs only``). A row per query says whether it is right and whether both of its pair are; its column
    ``change`` says what the pair differs in.

    ``both`` and ``one`` are shares of all pairs. ``both_unseen`` is over the pairs in words and orders that no training
    text has; ``both_seen`` and the shares of each change are over the others.

    Args:
        kwargs: ``outfile_prefix`` and ``prefix``, see :class:`QueryMetric`.
    """

    name = 'pairs'
    title = f'Minimal pairs, share right; by chance {CHANCE:g} of both'
    form = 'map'
    main = 'both'
    scores = (
        Score('both', 'both right', 'pair_right'),
        Score('one', 'query right', 'query_right'),
        Score('both_seen', 'in words of training', 'pair_right_seen'),
        Score('both_unseen', 'in unseen words', 'pair_right_unseen'),
        *(Score(f'both_{change}', change, f'pair_right_{change}') for change in CHANGES),
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(scorer=None, with_references=False, **kwargs)

    def _process(self, sample: dict) -> None:
        waiting: dict[str | None, tuple[Row, Query, np.ndarray]] = {}
        self._waiting = waiting
        super()._process(sample)
        if waiting:
            raise DataError(
                f'{sample["img_path"]}: {len(waiting)} queries are in no minimal pair, such as '
                f'"{next(iter(waiting.values()))[1].text}"; give an annotation file of minimal pairs'
            )

    def _score(self, known: Row, query: Query, answer: Answers, size: tuple[int, int]) -> None:
        item = known, query, answer.maps(size)[0]
        if query.pair is None or query.pair not in self._waiting:
            self._waiting[query.pair] = item
            return
        both = [self._waiting.pop(query.pair), item]
        masks = np.stack([query.region.mask(size) for _, query, _ in both])
        right = minimal_pair_right(np.stack([values for *_, values in both]), masks)
        change = query.pair.rpartition('/')[0]
        for (row, pair_query, _), mask, is_right in zip(both, masks, right):
            columns: Row = {'area_share': float(mask.mean()), 'change': change, 'query_right': int(is_right)}
            columns['pair_right'] = int(all(right))
            if change.endswith(UNSEEN):
                columns['pair_right_unseen'] = int(all(right))
            else:
                columns['pair_right_seen'] = columns[f'pair_right_{change}'] = int(all(right))
            self._add(row, pair_query, columns)
