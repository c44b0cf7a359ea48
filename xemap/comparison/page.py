"""Pictures of the same queries by all methods, side by side: one figure, and one page for a browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from xemap.comparison.method import Outcome
from xemap.datasets.mcmg import correlation_map
from xemap.files import write_text
from xemap.raster.image_io import read_image
from xemap.raster.resize import fit_size, resize
from xemap.structures import Query
from xemap.visualization import query_panel, save_panels, scale_polygons
from xemap.visualization.contact_sheet import data_uri

FIGURE_SIDE = 256

STYLE = """
:root { color-scheme: light dark; font: 15px/1.4 system-ui, sans-serif; }
body { margin: 1rem; }
h2 { font-size: 1.05rem; margin: 1.2rem 0 .3rem; }
div { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .6rem; text-align: right; white-space: nowrap; font-weight: normal; }
th:first-child { text-align: left; }
tr:first-child th { border-bottom: 1px solid GrayText; color: GrayText; }
.best { font-weight: bold; }
figure { margin: 1rem 0; overflow-x: auto; }
figure img { max-width: max(100%, 60rem); height: auto; }
figcaption { color: GrayText; }
"""


def write_page(
    path: str | Path,
    outcomes: Sequence[Outcome],
    infos: Sequence[dict],
    tables: str,
    target_options: Mapping[str, Any],
) -> None:
    """Write ``path`` (self-contained HTML) and beside it ``figure.png``, as the paper's Figures 5 to 8.

    Args:
        path: path of the page.
        outcomes: one of each method, with the same kept maps.
        infos: the test set's images, each with ``img_path``, ``ori_shape``, ``sample_idx``, ``query_ids``, ``queries``.
        tables: HTML to put above the pictures.
        target_options: options of :func:`~xemap.datasets.mcmg.correlation_map`.
    """
    panels, figures = [], []
    for info in infos:
        kept = [i for i, query_id in enumerate(info['query_ids']) if (info['sample_idx'], query_id) in outcomes[0].maps]
        if not kept:
            continue
        size = tuple(info['ori_shape'])
        image = _shrunk(read_image(Path(info['img_path'])), FIGURE_SIDE)
        for i in kept:
            query, key = info['queries'][i], (info['sample_idx'], info['query_ids'][i])
            shown = [_panel(image, size, query, key, outcomes, target_options), *_part_panels(image, key, outcomes)]
            panels += shown
            caption = f'{Path(info["img_path"]).name}, {info["source"]}, {query.kind or "kind unknown"}'
            figures.append(
                '<figure>'
                + '<br>'.join(f'<img src="{data_uri(panel)}" alt="{escape(query.text)}">' for panel in shown)
                + f'<figcaption>{escape(caption)}</figcaption></figure>'
            )
    save_panels(Path(path).with_name('figure.png'), panels)
    write_text(
        path,
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n"
        f'<title>Comparison</title>\n<style>{STYLE}</style>\n<h1>Comparison</h1>\n{tables}'
        + '\n'.join(figures)
        + '\n</html>\n',
    )


def _part_panels(image: np.ndarray, key: tuple[int, int], outcomes: Sequence[Outcome]) -> list[np.ndarray]:
    """A panel for each part of a query, by all methods."""
    return [
        query_panel(
            image,
            f'part: {text}',
            {outcome.method.name: outcome.parts[key][text] for outcome in outcomes},
            max_side=FIGURE_SIDE,
        )
        for text in outcomes[0].parts.get(key, {})
    ]


def _panel(
    image: np.ndarray,
    size: tuple[int, int],
    query: Query,
    key: tuple[int, int],
    outcomes: Sequence[Outcome],
    target_options: Mapping[str, Any],
) -> np.ndarray:
    target = correlation_map(query.region.coverage(size, image.shape[:2]), **target_options)
    predictions = {}
    for outcome in outcomes:
        value, _ = outcome.values[key]
        score = '' if value is None else f' ({value:.2f})'
        predictions[f'{outcome.method.name}{score}'] = outcome.maps[key]
    # The image is drawn at the size it was shrunk to, so outlines are brought to that.
    outlines = scale_polygons(query.region.polygons(size), size, image.shape[:2])
    return query_panel(image, query.text, predictions, target, outlines, max_side=FIGURE_SIDE)


def _shrunk(image: np.ndarray, side: int) -> np.ndarray:
    return resize(image, fit_size(image.shape[:2], side, enlarge=True))
