"""HTML of maps over images: the browser blends them, so that opacity changes without asking the server."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from xemap.visualization.overlay import OUTLINE, colorize

if TYPE_CHECKING:
    from xemap.inference.vectorize import MapRegion

OPACITY = 0.6
MAX_OUTLINES = 300
"""Most outlines that are drawn: those of the regions with the highest scores."""

CSS = f"""
/* Titles of one and of two lines stand side by side: the pictures are what is aligned. */
.xm-cards, .xm-row {{ align-items: end; }}
.xm-cards {{ display: grid; gap: .4rem 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr)); }}
.xm-card {{ min-width: 0; max-width: 46rem; }}
.xm-wide {{ grid-column: 1 / -1; max-width: none; }}
.xm-card h3 {{ margin: .8rem 0 .3rem; font-size: 1.05rem; overflow-wrap: anywhere; }}
.xm-row {{ display: grid; gap: .8rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 15rem), 1fr)); }}
.xm-row figure {{ margin: 0; min-width: 0; max-width: 46rem; }}
.xm-row figcaption {{ margin-bottom: .25rem; font-size: .85rem; overflow-wrap: anywhere; opacity: .8; }}
.xm-row b {{ font-weight: 600; }}
.xm-stack {{ position: relative; line-height: 0; border-radius: .3rem; overflow: hidden; }}
.xm-stack img, .xm-stack svg {{ width: 100%; height: auto; margin: 0; display: block; }}
.xm-stack .xm-map, .xm-stack svg {{ position: absolute; inset: 0; height: 100%; }}
.xm-map {{ opacity: var(--xm-opacity, {OPACITY}); }}
.xm-stack path {{ fill: none; stroke-linejoin: round; vector-effect: non-scaling-stroke; }}
.xm-rim {{ stroke: #000; stroke-width: 4px; }}
.xm-line {{ stroke: rgb{OUTLINE}; stroke-width: 2px; }}
.xm-no-outlines svg {{ display: none !important; }}
.xm-bar {{ display: grid; max-width: 22rem; font-size: .8rem; }}
.xm-bar img {{ width: 100%; height: .8rem; margin: .1rem 0; display: block; border-radius: .2rem; }}
.xm-bar div {{ display: flex; justify-content: space-between; }}
.xm-error {{ padding: .7rem .9rem; border-radius: .4rem; border: 1px solid #c62828; color: #c62828;
  background: #c6282814; overflow-wrap: anywhere; }}
.dark .xm-error {{ color: #ff8a80; border-color: #ff8a80; }}
.xm-note {{ margin-top: .8rem; font-size: .9rem; overflow-wrap: anywhere; }}
#samples .grid-container {{ grid-template-columns: repeat(3, minmax(0, 1fr)) !important; }}
#samples .grid-container button {{ min-width: 0; width: 100%; height: auto; aspect-ratio: 1; }}
#files .filename {{ display: table-cell; max-width: none; overflow-wrap: anywhere; white-space: normal; }}
#files .stem, #files .ext {{ display: inline; white-space: normal; overflow: visible; }}
#files .ext {{ margin-left: -.3em; }}
#files td:last-child {{ display: none; }}
"""


@dataclass(frozen=True)
class MapFigure:
    """One map to show.

    Args:
        title: query or part.
        fact: a few words on what was found.
        map: (h, w) float in [0, 1].
        regions: to outline.
    """

    title: str
    fact: str
    map: np.ndarray
    regions: Sequence[MapRegion] = ()


def photo(rgb: np.ndarray) -> str:
    """An image as it is, (H, W, 3) uint8 RGB."""
    return f'<div class="xm-row"><figure><div class="xm-stack">{_img(rgb, "the chosen image")}</div></figure></div>'


def card(rgb: np.ndarray, valid: np.ndarray | None, size: tuple[int, int], figures: Sequence[MapFigure]) -> str:
    """A query: its map over the gray image and, if more figures are given, those of its parts beside it.

    Args:
        rgb: (H, W, 3) uint8 RGB.
        valid: (H, W) bool; elsewhere no map is shown.
        size: (height, width) of the image in whose pixels regions are.
    """
    gray = _img(np.asarray(Image.fromarray(rgb).convert('L')), '')
    drawn = []
    for i, figure in enumerate(figures):
        colors = colorize(figure.map)
        if valid is not None:
            alpha = Image.fromarray(valid.view(np.uint8) * 255).resize(colors.shape[1::-1])
            colors = np.dstack([colors, np.asarray(alpha)])
        over = _img(colors, f'map of “{figure.title}” over the image', 'xm-map')
        part = f'part: <b>{escape(figure.title)}</b> · ' if i else ''
        drawn.append(
            f'<figure><figcaption>{part}{escape(figure.fact)}</figcaption>'
            f'<div class="xm-stack">{gray}{over}{_outlines(figure.regions, size)}</div></figure>'
        )
    kind = 'xm-card xm-wide' if len(figures) > 1 else 'xm-card'
    title = escape(figures[0].title)
    return f'<section class="{kind}"><h3>{title}</h3><div class="xm-row">{"".join(drawn)}</div></section>'


def cards(parts: Sequence[str]) -> str:
    """Several of :func:`card`."""
    return f'<div class="xm-cards">{"".join(parts)}</div>'


def color_bar() -> str:
    """The scale of all maps, 0 to 1."""
    ramp = colorize(np.linspace(0, 1, 256, dtype=np.float32)[None].repeat(8, 0))
    meaning = 'correlation with the query (mask: probability, box: score)'
    return (
        f'<div class="xm-bar"><div><span>{meaning}</span></div>{_img(ramp, "from dark to bright")}'
        '<div><span>0</span><span>0.5</span><span>1</span></div></div>'
    )


def error(message: str) -> str:
    """A message instead of a result."""
    return f'<div class="xm-error" role="alert">{escape(message)}</div>'


def note(message: str) -> str:
    """A remark under the results."""
    return f'<div class="xm-note">{escape(message)}</div>'


def _img(pixels: np.ndarray, alt: str, kind: str = '') -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, 'WEBP', quality=88)
    content = base64.b64encode(buffer.getvalue()).decode()
    return f'<img class="{kind}" alt="{escape(alt)}" src="data:image/webp;base64,{content}">'


def _outlines(regions: Sequence[MapRegion], size: tuple[int, int]) -> str:
    if not regions:
        return ''
    rings = (ring for region in regions[:MAX_OUTLINES] for ring in (region.polygon.exterior, *region.polygon.interiors))
    way = ''.join('M' + 'L'.join(f'{x:g},{y:g}' for x, y in np.round(ring.coords, 1)[:-1]) + 'Z' for ring in rings)
    paths = ''.join(f'<path class="{kind}" d="{way}"/>' for kind in ('xm-rim', 'xm-line'))
    return f'<svg viewBox="0 0 {size[1]} {size[0]}" preserveAspectRatio="none" aria-hidden="true">{paths}</svg>'
