"""The paper's Figure 4 as a picture, and as a table."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from rich.table import Table

from xemap.files import write_bytes
from xemap.preparation.reports.histograms import HISTOGRAMS

WORDS_A_BAR = 5
"""Width of the bars of the last histogram, as in the paper."""
MIN_BARS, MAX_BARS, MAX_LETTERS = 6, 24, 36
COLOR = '#3b6ea5'
LABELS = {
    'queries_per_image': ('queries per image', 'images'),
    'multi_hop_per_image': ('multi-hop queries per image', 'images'),
    'multi_ref_per_image': ('multi-ref queries per image', 'images'),
    'words_per_query': ('words per query', 'queries'),
}


def save_histograms(path: str | Path, described: Sequence[dict[str, Any]]) -> None:
    """Write the histograms of several annotation files as one PNG, one row per file.

    Args:
        path: path of the picture; it appears only when complete.
        described: what :func:`~xemap.preparation.reports.histograms.count_histograms` returned for each file.
    """
    figure = Figure(figsize=(15, 3.2 * len(described)), dpi=100, layout='constrained')
    rows = figure.subplots(len(described), len(HISTOGRAMS), squeeze=False)
    for row, numbers in zip(rows, described):
        for axes, name in zip(row, HISTOGRAMS):
            _draw(axes, name, numbers[name])
        title = f'{numbers["file"]}: {numbers["images"]:,} images, {numbers["queries"]:,} queries'
        row[0].set_title(title, loc='left', fontsize=10, parse_math=False)
    picture = io.BytesIO()
    figure.savefig(picture, format='png')
    write_bytes(path, picture.getvalue())


def bars(name: str, counts: dict[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Edges and heights of the bars of a histogram; a bar holds the values from its left edge to before its right.

    Args:
        name: one of :data:`~xemap.preparation.reports.histograms.HISTOGRAMS`.
        counts: number at each value; not empty.

    Returns:
        (n + 1,) and (n,) int64; values further out than :data:`MAX_BARS` bars share wider ones.
    """
    values, heights = (np.array(list(part)) for part in (counts.keys(), counts.values()))
    step = WORDS_A_BAR if name == 'words_per_query' else 1
    step *= -(-(int(values.max()) + 1) // (step * MAX_BARS))
    totals = np.bincount(values // step, heights).astype(np.int64)
    return np.arange(len(totals) + 1) * step, totals


def format_histograms(described: Sequence[dict[str, Any]]) -> Table:
    """The numbers behind the picture: one column per file."""
    caption = 'multi-hop, multi-ref: yes / no / unknown; the last four rows: mean / median / max'
    table = Table('', *(numbers['file'] for numbers in described), caption=caption)
    for column in table.columns[1:]:
        column.justify, column.overflow = 'right', 'fold'

    def add(name: str, cells: Iterable[Iterable[float | None]]) -> None:
        table.add_row(name, *(' / '.join('-' if n is None else f'{n:,g}' for n in cell) for cell in cells))

    for name in ('images', 'queries'):
        add(name, ([numbers[name]] for numbers in described))
    for name in ('multi_hop', 'multi_ref'):
        add(f'{name.replace("_", "-")} queries', (numbers[name].values() for numbers in described))
    for name in HISTOGRAMS:
        spread = ([numbers[name][key] for key in ('mean', 'median', 'max')] for numbers in described)
        add(LABELS[name][0], spread)
    return table


def _draw(axes: Axes, name: str, numbers: dict[str, Any]) -> None:
    label, counted = LABELS[name]
    axes.set_xlabel(label)
    axes.set_ylabel(counted)
    axes.spines[['top', 'right']].set_visible(False)
    if not numbers['counts']:
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, 'unknown', ha='center', va='center', color='gray', transform=axes.transAxes)
        return
    edges, heights = bars(name, numbers['counts'])
    ranges = zip(edges[:-1], edges[1:] - 1)
    labels = [f'{low}' if low == high else f'{low}–{high}' for low, high in ranges]
    axes.bar(np.arange(len(heights)), heights, color=COLOR)
    axes.set_xlim(-0.6, max(len(heights), MIN_BARS) - 0.4)
    axes.set_xticks(np.arange(len(heights)), labels, rotation=90 if len(''.join(labels)) > MAX_LETTERS else 0)
    axes.yaxis.set_major_locator(MaxNLocator('auto', integer=True))
