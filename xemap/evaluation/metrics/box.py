"""meanIoU, cumIoU and Pr@X of boxes as an mmengine metric."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xemap.datasets.mean_box import mean_box_of
from xemap.errors import ConfigError
from xemap.evaluation.functional.overlap import BOX_PROTOCOLS, THRESHOLDS
from xemap.evaluation.metrics.base import QueryMetric
from xemap.evaluation.scores import Score
from xemap.evaluation.scoring import BoxScorer
from xemap.registry import METRICS


@METRICS.register_module()
class BoxMetric(QueryMetric):
    """The metrics of visual grounding, see :func:`~xemap.evaluation.box_metrics`, of any localizer's answers.

    A query without a referent has no box and is not scored.

    Args:
        protocol: ``'default'`` or ``'legacy'``, see :func:`~xemap.evaluation.box_metrics`.
        threshold: pixels of at least this value belong to the box of a map.
        mean_box: mean box of the training queries, x0, y0, x1, y1 as shares of width and height, or the annotation file
            of the training set; None leaves this reference out.
        with_bounds: score the box of the whole image (key ``floor``) and the mean box (``mean``) on the same queries.
        kwargs: ``outfile_prefix``, ``prefix``, ``workers``, see :class:`QueryMetric`.
    """

    name = 'box'
    title = 'Boxes'
    form = 'box'
    main = 'pr@0.5'
    protocols = BOX_PROTOCOLS
    scores = (
        Score('meaniou', 'meanIoU', 'box_iou'),
        Score('cumiou', 'cumIoU', 'box_intersection', over='box_union'),
        *(Score(f'pr@{x:g}', f'Pr@{x:g}', 'box_iou', above=x) for x in THRESHOLDS),
    )
    references = {'floor': 'whole image', 'mean': 'mean training box'}

    def __init__(
        self,
        protocol: str = 'default',
        threshold: float = 0.5,
        mean_box: Sequence[float] | str | Path | None = None,
        with_bounds: bool = True,
        **kwargs: Any,
    ) -> None:
        if protocol not in BOX_PROTOCOLS:
            raise ConfigError(f'BoxMetric: protocol "{protocol}" is unknown; use one of {", ".join(BOX_PROTOCOLS)}')
        if not 0 < threshold <= 1:
            raise ConfigError(f'BoxMetric: threshold is {threshold}; give a number in (0, 1]')
        if isinstance(mean_box, (str, Path)):
            mean_box = mean_box_of(mean_box)
        if mean_box is not None and (len(mean_box) != 4 or not all(0 <= value <= 1 for value in mean_box)):
            raise ConfigError(
                f'BoxMetric: mean_box is {mean_box}; give x0, y0, x1, y1 as shares of width and height, or a file'
            )
        box = None if mean_box is None else (mean_box[0], mean_box[1], mean_box[2], mean_box[3])
        super().__init__(BoxScorer(protocol, threshold, box), with_references=with_bounds, **kwargs)
        self.protocol = protocol

    @property
    def heading(self) -> str:
        return f'{self.title}, protocol {self.protocol}'
