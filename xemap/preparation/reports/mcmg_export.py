"""Writing the MCMG maps of a whole data set as pictures."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from xemap.datasets.annotations import AnnotationFile
from xemap.datasets.mcmg import GRIDS, SIGMA, correlation_maps
from xemap.errors import ConfigError, DataError
from xemap.files import replacing, write_bytes, write_text
from xemap.structures import ImageRecord


def export_maps(
    ann_file: str | Path,
    out_dir: str | Path,
    size: int = 512,
    grids: Sequence[int] = GRIDS,
    sigma: float = SIGMA,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, int]:
    """Write the map of every query as an 8-bit gray PNG, ``OUT/IMAGE/QUERY.png``.

    ``OUT/index.csv`` lists the maps with their image and text. Every file appears complete or not at
    all, and maps that are there are kept: after an interruption the same call goes on.

    Args:
        ann_file: an annotation file; the images themselves are not needed.
        out_dir: folder to write to, new or left by a call with the same settings.
        size: height and width of the maps.
        grids, sigma: see :func:`~xemap.datasets.mcmg.correlation_map`.
        progress: called with (images done, images in all).

    Returns:
        ``{'written': …, 'kept': …}``, numbers of maps.

    Raises:
        ConfigError: ``out_dir`` holds maps of other settings, or a setting does not fit.
        DataError: the annotation file is broken, or an image path in it leads out of ``out_dir``.
    """
    if size < 1:
        raise ConfigError(f'size={size}; give a positive number of pixels')
    annotations, out_dir = AnnotationFile(ann_file), Path(out_dir)
    correlation_maps(np.zeros((0, size, size)), grids, sigma)  # rejects bad settings before anything is written
    queries = int(annotations.query_counts().sum())
    settings = {'size': size, 'grids': list(grids), 'sigma': sigma, 'images': len(annotations), 'queries': queries}
    _claim(out_dir, settings)
    counts = {'written': 0, 'kept': 0}
    with replacing(out_dir / 'index.csv') as part, part.open('w', newline='', encoding='utf-8') as file:
        index = csv.writer(file)
        index.writerow(['map', 'image', 'query', 'text'])
        for done, record in enumerate(annotations, start=1):
            paths = [_map_path(record, i) for i in range(len(record.queries))]
            index.writerows([p, record.image, i, q.text] for i, (p, q) in enumerate(zip(paths, record.queries)))
            missing = [i for i, path in enumerate(paths) if not (out_dir / path).exists()]
            maps = record_maps(record, missing, size, grids, sigma)
            for i, pixels in zip(missing, maps):
                _write_png(out_dir / paths[i], pixels)
            counts['written'] += len(missing)
            counts['kept'] += len(paths) - len(missing)
            if progress:
                progress(done, len(annotations))
    return counts


def record_maps(record: ImageRecord, ids: list[int], size: int, grids: Sequence[int], sigma: float) -> np.ndarray:
    """Maps of some queries of an image, (len(ids), size, size) uint8."""
    coverage = np.zeros((len(ids), size, size), np.float32)
    for out, i in zip(coverage, ids):
        out[...] = record.queries[i].region.coverage(record.size, (size, size))
    return np.round(correlation_maps(coverage, grids, sigma) * 255).astype(np.uint8)


def _map_path(record: ImageRecord, query: int) -> str:
    path = PurePosixPath(record.image)
    if path.is_absolute() or '..' in path.parts:
        raise DataError(f'image path "{record.image}" leads out of the output folder; use paths relative to the root')
    return str(path / f'{query:03d}.png')


def _claim(out_dir: Path, settings: dict) -> None:
    path = out_dir / 'settings.json'
    out_dir.mkdir(parents=True, exist_ok=True)
    if path.exists():
        try:
            before = json.loads(path.read_text())
        except ValueError as error:
            raise ConfigError(f'{path} is no settings file ({error}); choose another folder or delete it') from error
        if before != settings:
            raise ConfigError(f'{out_dir} holds maps of {before}, not {settings}; choose another folder or delete it')
        return
    write_text(path, json.dumps(settings))


def _write_png(path: Path, pixels: np.ndarray) -> None:
    write_bytes(path, cv2.imencode('.png', pixels)[1].tobytes())
