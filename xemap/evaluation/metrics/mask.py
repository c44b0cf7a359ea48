"""oIoU, mIoU and Pr@X of masks as an mmengine metric."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from xemap.errors import ConfigError
from xemap.evaluation.functional.overlap import THRESHOLDS
from xemap.evaluation.metrics.base import QueryMetric
from xemap.evaluation.scores import Score
from xemap.evaluation.scoring import MaskScorer
from xemap.registry import METRICS


@METRICS.register_module()
class MaskMetric(QueryMetric):
    """The metrics of referring segmentation, see :func:`~xemap.evaluation.mask_metrics`, of any localizer's answers.

    A query without a referent is answered right by an empty mask.

    Args:
        threshold: pixels of at least this value belong to the mask of a map.
        strict, empty: see :func:`~xemap.evaluation.mask_metrics`.
        size: (height, width) to which answer and region are brought, the region by its nearest pixels; None = that of
            the original image. The code behind the published tables of referring segmentation compares at the size of
            the network's input, with ``strict=False, empty=0``.
        with_bounds: score the mask of the whole image (key ``floor``) on the same queries, too.
        kwargs: ``outfile_prefix``, ``prefix``, ``workers``, see :class:`QueryMetric`.
    """

    name = 'mask'
    title = 'Masks'
    form = 'mask'
    main = 'oiou'
    scores = (
        Score('oiou', 'oIoU', 'mask_intersection', over='mask_union'),
        Score('miou', 'mIoU', 'mask_iou'),
        *(Score(f'pr@{x:g}', f'Pr@{x:g}', 'mask_iou', above=x) for x in THRESHOLDS),
    )
    references = {'floor': 'whole image'}

    def __init__(
        self,
        threshold: float = 0.5,
        strict: bool = True,
        empty: int = 1,
        size: tuple[int, int] | None = None,
        with_bounds: bool = True,
        **kwargs: Any,
    ) -> None:
        if not 0 < threshold <= 1:
            raise ConfigError(f'MaskMetric: threshold is {threshold}; give a number in (0, 1]')
        if empty not in (0, 1):
            raise ConfigError(f'MaskMetric: empty is {empty!r}; give the IoU of two empty masks, 0 or 1')
        if size is not None and (len(size) != 2 or min(size) < 1):
            raise ConfigError(f'MaskMetric: size is {size}; give (height, width) in pixels')
        scorer = MaskScorer(threshold, empty, None if size is None else (size[0], size[1]))
        super().__init__(scorer, with_references=with_bounds, **kwargs)
        self.threshold, self.size = threshold, size
        self.scores = tuple(replace(score, strict=strict) for score in self.scores)

    @property
    def heading(self) -> str:
        place = '' if self.size is None else f', at {self.size[0]} x {self.size[1]}'
        return f'{self.title}, threshold {self.threshold:g}{place}'
