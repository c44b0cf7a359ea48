"""What a data set asks of its readers: which queries need which words, and what maps of a resolution can score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np
from rich.table import Table

from xemap.evaluation.functional.selo import ceiling_map, score_map, to_gray8, united_target
from xemap.structures import ImageRecord
from xemap.terminal import PlainConsole

CONDITION = {'position': ('place', 'superlative'), 'multi-hop': ('relation',)}
"""Kind to the conditions that make it; those of an attribute have many names and are all that remain."""


def needed_shares(records: Iterable[ImageRecord]) -> dict[str, dict[str, Any]]:
    """By kind: ``queries``, the share ``with_distractors``, and the share that is lost without its ``condition``.

    The condition of a multi-hop query is its relation, that of a position query its place, that of an attribute query
    any attribute. Without it such a query would mean other objects too; the rest can be answered without reading it.
    """
    counts: dict[str, Counter[str]] = {}
    for record in records:
        for query in record.queries:
            if query.kind is None or query.needed is None:
                continue
            count = counts.setdefault(query.kind, Counter())
            needed = {name for name, _ in query.needed}
            count['queries'] += 1
            count['with_distractors'] += query.distractors is not None and not query.distractors.is_empty
            count['condition'] += bool(needed & set(CONDITION[query.kind]) if query.kind in CONDITION else needed)
    return {
        kind: {'queries': count['queries']}
        | {name: count[name] / count['queries'] for name in ('with_distractors', 'condition')}
        for kind, count in counts.items()
    }


def resolution_scores(records: Iterable[ImageRecord], grids: Sequence[int]) -> dict[str, float]:
    """Mean Rmi of the true mask after it was averaged over cells and brought back bilinearly.

    Args:
        records: images with queries.
        grids: cells along each side, those of a network's feature levels.

    Returns:
        by grid, such as ``'16'``; of the mean of all grids, ``'mean'``; and of the mask itself, ``'mask'``.
    """
    scores: dict[str, list[float]] = {}
    for record in records:
        for query in record.queries:
            target = united_target(query.region.polygons(record.size), record.size)
            if target.problem:
                continue
            mask = ceiling_map(target).astype(np.float32) / 255
            maps = {str(grid): _at_resolution(mask, grid) for grid in grids}
            maps |= {'mean': np.mean(list(maps.values()), 0), 'mask': mask}
            for name, values in maps.items():
                scores.setdefault(name, []).append(score_map(to_gray8(values), target)['rmi'])
    return {name: float(np.mean(values)) for name, values in scores.items()}


def _at_resolution(mask: np.ndarray, grid: int) -> np.ndarray:
    cells = cv2.resize(mask, (grid, grid), interpolation=cv2.INTER_AREA)
    return cv2.resize(cells, mask.shape[::-1], interpolation=cv2.INTER_LINEAR).clip(0, 1)


def print_report(report: dict[str, Any]) -> None:
    """Print ``needed``, ``text`` (accuracy of a linear probe, by aspect) and ``resolution`` as tables."""
    console = PlainConsole()
    needed = Table('kind', 'queries', 'with distractors', 'lost without its condition', title='training queries')
    for kind, entry in report['needed'].items():
        shares = [f'{entry[name]:.3f}' for name in ('with_distractors', 'condition')]
        needed.add_row(kind, str(entry['queries']), *shares)
    text = Table('words', 'accuracy', 'majority class', 'classes', 'test queries', title='read from the text encoder')
    for aspect, entry in report['text'].items():
        shares = [f'{entry[name]:.3f}' for name in ('accuracy', 'majority')]
        text.add_row(aspect, *shares, str(entry['classes']), str(entry['queries']))
    resolution = Table('cells per side', 'Rmi of the true mask', title='resolution')
    for grid, score in report['resolution'].items():
        resolution.add_row(grid, f'{score:.4f}')
    for table in (needed, text, resolution):
        console.print(table)
