"""From a chosen image and typed queries to what the page shows and offers for download."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from xemap.demo import figures
from xemap.demo.request import Answer, Request
from xemap.demo.uploads import opened
from xemap.errors import XeMapError
from xemap.inference.job import slug
from xemap.inference.result import Result
from xemap.language.decompose import whole_and_parts
from xemap.raster.raster_file import open_raster
from xemap.raster.resize import fit_size

SIDE = 900
"""Pixels of the longer side of shown pictures."""


class Answerer:
    """Answers requests of the page; a problem becomes a message, and no exception leaves it.

    Args:
        inferencer: see :class:`~xemap.inference.XeMapInferencer`.
        max_pixels: most pixels of an image.
    """

    def __init__(self, inferencer: Any, max_pixels: int) -> None:
        self.inferencer, self.max_pixels = inferencer, max_pixels

    def preview(self, path: str | Path) -> Answer:
        """The image itself."""
        return _guarded(path, lambda: Answer(figures.photo(self._see(path).rgb)))

    def answer(self, request: Request, out: str | Path, progress: Callable[[int, int], None] | None = None) -> Answer:
        """Maps of queries.

        Args:
            out: folder for files.
            progress: called with (windows done, windows in all).
        """
        return _guarded(request.path, lambda: self._answer(request, Path(out), progress))

    def _see(self, path: str | Path) -> Any:
        with opened(path, self.max_pixels) as source, open_raster(source) as raster:
            return raster.read(None, fit_size(raster.size, SIDE))

    def _answer(self, request: Request, out: Path, progress: Callable[[int, int], None] | None) -> Answer:
        queries, path = list(request.queries), request.path
        texts, parts = whole_and_parts(queries) if request.parts else (queries, {})
        with opened(path, self.max_pixels) as source:
            result: Result = self.inferencer(
                source, texts, request.mode, threshold=request.threshold, progress=progress
            )
            with open_raster(source) as raster:
                seen = raster.read(None, fit_size(raster.size, SIDE))
        result.name = Path(path).name
        shown = {
            query: figures.MapFigure(query, result.summary(i), result.shown_map(i, SIDE), regions)
            for i, (query, regions) in enumerate(zip(texts, result.regions or ()))
        }
        cards, files = [], []
        for i, query in enumerate(queries):
            row = [shown[text] for text in (query, *(part.text for part in parts.get(query, ())))]
            cards.append(figures.card(seen.rgb, seen.valid, result.store.size, row))
            for suffix in ('.tif', '.geojson'):
                file = out / f'{slug(Path(path).stem)}_{i + 1:02d}_{slug(query)}{suffix}'
                result.save(file, i)
                files.append(str(file))
        notes = [f'Coordinates of the files: {result.georeference.unit}.']
        if request.mode == 'resize' and (hint := shrink_hint(result.store.size, self.inferencer.localizer.input_size)):
            notes.insert(0, hint)
        return Answer(figures.cards(cards) + figures.note(' '.join(notes)), files)


def shrink_hint(size: tuple[int, int], input_size: tuple[int, int] | None) -> str | None:
    """What to do where a model sees an image at less than half its resolution; None where it does not.

    Args:
        size: (height, width) of the image.
        input_size: (height, width) of what the model sees; None = the image as it is.
    """
    if input_size is None or (size[0] <= 2 * input_size[0] and size[1] <= 2 * input_size[1]):
        return None
    return (
        f'The model saw this image of {size[1]} × {size[0]} pixels at {input_size[1]} × {input_size[0]}; to find small '
        'objects choose tiles under Options.'
    )


def _guarded(path: str | Path, work: Callable[[], Answer]) -> Answer:
    try:
        return work()
    except XeMapError as error:
        message = str(error).replace(f'{Path(path).parent}{os.sep}', '')
        return Answer(figures.error(message), ok=False)
    except Exception as error:  # whatever a broken file does to a library
        logging.getLogger(__name__).exception('a request failed')
        message = f'this did not work ({type(error).__name__}); the log of the server says more'
        return Answer(figures.error(message), ok=False)
