"""Report pictures: one query, its image, target and prediction side by side."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from math import ceil
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from xemap.files import replacing
from xemap.visualization.overlay import colorize, draw_outlines, overlay, scale_polygons, shrink

GAP, BAR_WIDTH, TICKS_WIDTH = 8, 14, 30
MIN_SIDE, MIN_COLUMN = 128, 72
TITLE_SIZE, CAPTION_SIZE, MAX_TITLE_LINES = 15, 12, 6
PAPER, INK, FAINT = (255, 255, 255), (20, 20, 20), (110, 110, 110)


def query_panel(
    image: np.ndarray,
    query: str,
    prediction: np.ndarray | Mapping[str, np.ndarray] | None = None,
    target: np.ndarray | None = None,
    polygons: Sequence[np.ndarray] = (),
    max_side: int = 384,
) -> np.ndarray:
    """Picture "image with outline | target | prediction" under the query's text, with a 0..1 color bar.

    Args:
        image: (H, W, 3) uint8 RGB of any size; shrunk before anything is drawn.
        query: its text, as the title; long ones are wrapped.
        prediction, target: (h, w) float in [0, 1] or uint8, any size; None leaves the column out. Several
            predictions by name make a column each.
        polygons: outlines of the referent, (V, 2) x, y pixels of ``image``.
        max_side: pixels of the longer side of each of the columns; very small images are enlarged.

    Returns:
        (H', W', 3) uint8 RGB.
    """
    small = shrink(image, max_side)
    if max(small.shape[:2]) < MIN_SIDE:
        scale = -(-MIN_SIDE // max(small.shape[:2]))
        small = small.repeat(scale, 0).repeat(scale, 1)
    outlines = scale_polygons(polygons, image.shape[:2], small.shape[:2])
    columns = [('image', draw_outlines(small, outlines))]
    predictions = prediction if isinstance(prediction, Mapping) else {'prediction': prediction}
    maps = [('target', target), *predictions.items()]
    columns += [(name, overlay(small, map)) for name, map in maps if map is not None]

    height, width = small.shape[0], max(small.shape[1], MIN_COLUMN)
    total = len(columns) * (width + GAP) + GAP + BAR_WIDTH + TICKS_WIDTH
    lines = wrap(query, total - 2 * GAP, TITLE_SIZE)
    captions = [wrap(name, width, CAPTION_SIZE) for name, _ in columns]
    line_height, caption_line = TITLE_SIZE + 5, CAPTION_SIZE + 6
    caption_height = max(map(len, captions)) * caption_line
    top = GAP + len(lines) * line_height + caption_height
    canvas = Image.new('RGB', (total, top + height + GAP), PAPER)
    draw = ImageDraw.Draw(canvas)
    for i, line in enumerate(lines):
        draw.text((GAP, GAP + i * line_height), line, INK, font(TITLE_SIZE))
    x = GAP
    for caption, (_, picture) in zip(captions, columns):
        for i, line in enumerate(caption, start=-len(caption)):
            draw.text((x, top + i * caption_line), line, FAINT, font(CAPTION_SIZE))
        canvas.paste(Image.fromarray(picture), (x, top))
        x += width + GAP
    ramp = np.repeat(np.linspace(1, 0, height, dtype=np.float32)[:, None], BAR_WIDTH, 1)
    canvas.paste(Image.fromarray(colorize(ramp)), (x, top))
    for value in (0.0, 0.5, 1.0):
        y = top + round((1 - value) * (height - CAPTION_SIZE)) - 1
        draw.text((x + BAR_WIDTH + 4, y), f'{value:g}', INK, font(CAPTION_SIZE))
    return np.asarray(canvas)


def save_panels(path: str | Path, panels: Iterable[np.ndarray]) -> None:
    """Write several panels below each other as one PNG; narrower ones are filled up with white."""
    panels = list(panels)
    width = max(panel.shape[1] for panel in panels)
    padded = [np.pad(p, ((0, 0), (0, width - p.shape[1]), (0, 0)), constant_values=255) for p in panels]
    save_picture(path, np.concatenate(padded))


def save_picture(path: str | Path, picture: np.ndarray) -> None:
    """Write an (H, W, 3) uint8 RGB picture as PNG; it appears under its name only when complete."""
    with replacing(path) as part:
        Image.fromarray(picture).save(part, 'PNG')


def wrap(text: str, width: int, size: int) -> list[str]:
    """Lines of at most ``width`` pixels; words longer than a line are broken, the rest is cut with …"""
    lines: list[str] = []
    line = ''
    for word in text.split():
        while word and len(lines) <= MAX_TITLE_LINES:
            candidate = f'{line} {word}'.strip()
            if _length(candidate, size) <= width:
                line, word = candidate, ''
            elif line:
                lines.append(line)
                line = ''
            else:
                fits = bisect_right(range(len(word)), width, key=lambda n: ceil(_length(word[:n], size))) - 1
                fits = max(1, fits)
                lines.append(word[:fits])
                word = word[fits:]
    lines += [line] if line or not lines else []
    if len(lines) > MAX_TITLE_LINES:
        last = lines[MAX_TITLE_LINES - 1]
        while last and _length(last + ' …', size) > width:
            last = last[:-1]
        lines = [*lines[: MAX_TITLE_LINES - 1], last + ' …']
    return lines


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib and covers Latin, Greek, Cyrillic, Arabic and more."""
    import matplotlib

    return ImageFont.truetype(os.path.join(matplotlib.get_data_path(), 'fonts', 'ttf', 'DejaVuSans.ttf'), size)


def _length(text: str, size: int) -> float:
    return font(size).getlength(text)
