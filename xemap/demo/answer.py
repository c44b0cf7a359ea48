"""From a chosen image and typed queries to what the page shows and offers for download."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from xemap.demo import figures
from xemap.demo.uploads import opened
from xemap.errors import ConfigError, XeMapError
from xemap.inference.job import slug
from xemap.inference.result import Result
from xemap.inference.vectorize import MapRegion
from xemap.inference.writers import small_map
from xemap.language.decompose import whole_and_parts
from xemap.raster.raster_file import open_raster
from xemap.raster.resize import fit_size

SIDE = 900
"""Pixels of the longer side of shown pictures."""

MAX_QUERIES = 12
MAX_LETTERS = 300


@dataclass
class Answer:
    """What a request comes to.

    Args:
        html: for the page; a message where something is wrong.
        files: GeoTIFF and GeoJSON of each query.
        ok: nothing was wrong.
    """

    html: str
    files: list[str] = field(default_factory=list)
    ok: bool = True


class Answerer:
    """Answers requests of the page; a problem becomes a message, and no exception leaves it.

    Args:
        inferencer: see :class:`~xemap.inference.XeMapInferencer`.
        max_pixels: of an image.
    """

    def __init__(self, inferencer: Any, max_pixels: int) -> None:
        self.inferencer, self.max_pixels = inferencer, max_pixels

    def preview(self, path: str | Path) -> Answer:
        """The image itself."""
        return _guarded(path, lambda: Answer(figures.photo(self._see(path).rgb)))

    def answer(
        self,
        path: str | Path | None,
        text: str,
        out: str | Path,
        mode: str = 'resize',
        threshold: str = 'otsu',
        parts: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> Answer:
        """Maps of queries.

        Args:
            path: an image; None = none was chosen.
            text: queries, one a line.
            out: folder for files.
            mode, threshold: see :class:`~xemap.inference.XeMapInferencer`.
            parts: show the one-hop parts of multi-hop queries beside them.
            progress: called with (windows done, windows in all).
        """
        return _guarded(path, lambda: self._answer(path, text, Path(out), mode, threshold, parts, progress))

    def _see(self, path: str | Path) -> Any:
        with opened(path, self.max_pixels) as source, open_raster(source) as raster:
            return raster.read(None, fit_size(raster.size, SIDE))

    def _answer(self, path, text, out, mode, threshold, parts, progress) -> Answer:
        if path is None:
            raise ConfigError('no image; choose a sample or upload one')
        queries = read_queries(text)
        asked, own = whole_and_parts(queries) if parts else (queries, {})
        with opened(path, self.max_pixels) as source:
            result: Result = self.inferencer(source, asked, mode, threshold=threshold, progress=progress)
            with open_raster(source) as raster:
                seen = raster.read(None, fit_size(raster.size, SIDE))
        result.name = Path(path).name
        found = zip(asked, result.thresholds or (), result.regions or ())
        shown = {
            query: _figure(query, threshold, regions, small_map(result.store, i, SIDE))
            for i, (query, threshold, regions) in enumerate(found)
        }
        cards, files = [], []
        for i, query in enumerate(queries):
            row = [shown[text] for text in (query, *(part.text for part in own.get(query, ())))]
            cards.append(figures.card(seen.rgb, seen.valid, result.store.size, row))
            for suffix in ('.tif', '.geojson'):
                file = out / f'{slug(Path(path).stem)}_{i + 1:02d}_{slug(query)}{suffix}'
                result.save(file, i)
                files.append(str(file))
        note = figures.note(f'Coordinates of the files: {result.georeference.unit}.')
        return Answer(figures.cards(cards) + note, files)


def read_queries(text: str) -> list[str]:
    """Queries, one a line.

    Raises:
        ConfigError: none, too many, or too long.
    """
    queries = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    if not queries:
        raise ConfigError('no query; type at least one, as "the lake"')
    if len(queries) > MAX_QUERIES:
        raise ConfigError(f'{len(queries)} queries; ask at most {MAX_QUERIES} at a time')
    if longest := next((query for query in queries if len(query) > MAX_LETTERS), None):
        raise ConfigError(f'query "{longest[:40]}…" has {len(longest)} letters; use at most {MAX_LETTERS}')
    return queries


def _figure(query: str, threshold: float, regions: list[MapRegion], map: np.ndarray) -> figures.MapFigure:
    number = f'{len(regions)} region{"" if len(regions) == 1 else "s"} at or above {threshold:.2f}'
    fact = f'{number}, best score {regions[0].score:.2f}' if regions else number
    return figures.MapFigure(query, fact, map, regions)


def _guarded(path: str | Path | None, work: Callable[[], Answer]) -> Answer:
    try:
        return work()
    except XeMapError as error:
        message = str(error).replace(f'{Path(path).parent}{os.sep}', '') if path else str(error)
        return Answer(figures.error(message), ok=False)
    except Exception as error:  # whatever a broken file does to a library
        logging.getLogger(__name__).exception('a request failed')
        message = f'this did not work ({type(error).__name__}); the log of the server says more'
        return Answer(figures.error(message), ok=False)
