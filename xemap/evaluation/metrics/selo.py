"""The SeLo metrics, and beside them measures that a false peak cannot please, as an mmengine metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xemap.errors import ConfigError
from xemap.evaluation.functional.selo import PROTOCOLS
from xemap.evaluation.metrics.base import QueryMetric
from xemap.evaluation.scores import Score
from xemap.evaluation.scoring import MEASURES, SeloScorer
from xemap.registry import METRICS


@METRICS.register_module()
class SeLoMetric(QueryMetric):
    """Rmi, Rsu, Ras and Rda of the SeLo paper, pointing accuracy, pixel average precision, soft IoU with the MCMG
    target, and the share of the map's mass on distractors, where a query records these.

    Args:
        protocol: ``'reference'`` or ``'paper'``, see :mod:`xemap.evaluation.functional.selo`.
        with_bounds: score a uniform map (key ``floor``), the true mask (``ceiling``) and the MCMG target (``target``)
            on the same queries, too. They bound nothing: a map may well score above or below them.
        min_region_area: share of the image. Smaller components of a region that is a mask are no regions of their own
            in Ras and Rda (they stay in the mask of Rsu), so that speckles of a segmentation need no centers of
            attention. Where all are smaller, the largest counts.
        normalize: stretch every map to [0, 1] before it is scored, as the SeLo systems do with theirs. For both, give
            two metrics, one of them with a ``prefix``.
        measures: score all pixels, too: ``pointing``, ``pixel_ap``, ``soft_iou``, ``distractor_mass`` and the MCMG
            target. False leaves these out, for validation on large images (docs/performance.md).
        kwargs: ``outfile_prefix``, ``prefix``, ``workers``, see :class:`QueryMetric`.
    """

    name = 'selo'
    title = 'SeLo metrics'
    form = 'map'
    protocols = PROTOCOLS
    scores: tuple[Score, ...] = (
        Score('rmi', 'Rmi', 'rmi'),
        Score('rsu', 'Rsu', 'rsu'),
        Score('ras', 'Ras', 'ras', higher_is_better=False),
        Score('rda', 'Rda', 'rda'),
        Score('pointing', 'pointing', 'pointing'),
        Score('pixel_ap', 'pixel AP', 'pixel_ap'),
        Score('soft_iou', 'soft IoU', 'soft_iou'),
        Score('distractor_mass', 'on distractors', 'distractor_mass', higher_is_better=False),
    )
    references: Mapping[str, str] = {'floor': 'uniform map', 'ceiling': 'true mask', 'target': 'MCMG target'}

    def __init__(
        self,
        protocol: str = 'reference',
        with_bounds: bool = True,
        min_region_area: float = 1e-5,
        normalize: bool = False,
        measures: bool = True,
        **kwargs: Any,
    ) -> None:
        if protocol not in PROTOCOLS:
            raise ConfigError(f'SeLoMetric: protocol "{protocol}" is unknown; use one of {", ".join(PROTOCOLS)}')
        if not 0 <= min_region_area <= 1:
            raise ConfigError(f'SeLoMetric: min_region_area is {min_region_area}; give a share of the image in [0, 1]')
        scorer = SeloScorer(protocol, min_region_area, normalize, measures)
        super().__init__(scorer, with_references=with_bounds, **kwargs)
        if not measures:
            self.scores = tuple(score for score in self.scores if score.column not in MEASURES)
            self.references = {key: name for key, name in self.references.items() if key != 'target'}
        self.protocol = protocol
        self.normalize = normalize

    @property
    def heading(self) -> str:
        return f'{self.title}, protocol {self.protocol}' + (', maps stretched to [0, 1]' if self.normalize else '')
