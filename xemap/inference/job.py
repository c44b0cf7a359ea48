"""Many images, files of each in a folder, and going on after an interruption."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from xemap.cli import printable
from xemap.errors import ConfigError, DataError, OutOfSpaceError
from xemap.files import space_needed, write_json
from xemap.inference.progress import JobProgress
from xemap.inference.result import FORMATS, Result
from xemap.inference.writers import require_writable
from xemap.raster.georeference import parse_crs, target_crs
from xemap.raster.raster_file import Header, is_gdal_name, open_raster, read_header

RECORD = 'result.json'
"""Written last: an image with it is finished."""

FAILED = 'failed.json'
"""In the output folder: images that could not be done, and why."""

SUFFIXES = {'png': '.png', 'tif': '.tif', 'geojson': '.geojson', 'npy': '.npy', 'mask': '.mask.png'}


class InferenceJob:
    """Runs an inferencer over images and writes ``OUT/IMAGE/01_QUERY.tif`` and so on.

    ``OUT/IMAGE/result.json`` says what was done and found; :meth:`run` returns them all.

    Args:
        out: folder to write to.
        formats: some of :data:`~xemap.inference.result.FORMATS`.
        crs: the CRS of polygons, see :func:`~xemap.raster.georeference.target_crs`.
        threshold: where regions begin; needed for ``geojson`` and ``mask``.
        existing: what to do with finished images: ``'refuse'``, ``'resume'`` (skip them, if they were made with the
            same settings from the same file), ``'overwrite'``.
        max_pixels: most pixels of an image; None = the limits of :mod:`xemap.raster.limits`.
        options: further arguments of the inferencer.

    Raises:
        ConfigError: a format, combination or CRS that does not exist.
        OSError: the folder cannot be written to.
    """

    def __init__(
        self,
        out: str | Path,
        formats: Sequence[str] = ('png', 'geojson'),
        crs: str = 'image',
        threshold: float | str | None = 'auto',
        existing: str = 'refuse',
        max_pixels: int | None = None,
        **options: Any,
    ) -> None:
        unknown = sorted(set(formats) - set(FORMATS))
        if unknown or not formats:
            raise ConfigError(f'format "{",".join(formats)}"; give some of {",".join(FORMATS)}')
        if threshold is None and {'geojson', 'mask'} & set(formats):
            raise ConfigError('geojson and mask need a threshold; give auto, 0.5, otsu or q0.95')
        self.out, self.formats, self.crs, self.existing = Path(out), list(dict.fromkeys(formats)), crs, existing
        self.max_pixels, self.options = max_pixels, {**options, 'threshold': threshold}
        if crs != 'image':
            parse_crs(crs)
        require_writable(self.out)

    def run(
        self,
        make_inferencer: Callable[[], Any],
        images: Sequence[str | Path],
        queries: Sequence[str],
        model: dict[str, Any],
        make_progress: Callable[[int, int], JobProgress] = JobProgress,
    ) -> dict[str, Any]:
        """Work through the images; one that cannot be done does not keep the others from being done.

        The headers of all images are read, and their places compared with ``crs``, before the inferencer is made.

        Args:
            make_inferencer: makes the inferencer, when the first image needs it.
            model: what the inferencer is made of; part of the settings that a resumed job compares.
            make_progress: called with the numbers of images and pixels to be done.

        Returns:
            ``{'images': [record…], 'written': n, 'kept': n, 'failed': [{'image': path, 'error': text}…],
            'megapixels': x, 'seconds': s}``; the failed ones are in :data:`FAILED`, too.

        Raises:
            ConfigError: finished images are there and ``existing`` is ``'refuse'``, or they are of other settings.
            OutOfSpaceError: the disk is full.
        """
        folders = self._folders(images)
        settings = {**model, **self.options, 'queries': list(queries), 'formats': self.formats, 'crs': self.crs}
        settings = json.loads(json.dumps(settings))
        records: list[Any] = [
            self._finished(folder, {**settings, 'image': _identity(path)}) for path, folder in zip(images, folders)
        ]
        kept = sum(record is not None for record in records)
        headers: dict[int, Header] = {}
        errors: dict[int, str] = {}
        for i, (path, record) in enumerate(zip(images, records)):
            if record is None:
                try:
                    headers[i] = self._header(path)
                except DataError as error:
                    errors[i] = str(error)
        progress = make_progress(len(headers), sum(header.pixels for header in headers.values()))
        inferencer = None
        for i, header in headers.items():
            inferencer = inferencer or make_inferencer()
            progress.image(folders[i].name, header.pixels)
            try:
                records[i] = self._infer(inferencer, images[i], folders[i], queries, settings, progress)
            except OutOfSpaceError:
                raise
            except DataError as error:
                errors[i] = str(error)
            else:
                progress.notes(folders[i].name, records[i]['notes'])
            progress.finished(i not in errors)
        failed = [{'image': printable(str(images[i])), 'error': printable(errors[i])} for i in sorted(errors)]
        if failed:
            write_json(self.out / FAILED, failed)
        else:
            (self.out / FAILED).unlink(missing_ok=True)
        done = [record for record in records if record is not None]
        return {
            'images': done, 'written': len(done) - kept, 'kept': kept, 'failed': failed,
            'megapixels': progress.done_pixels / 1e6, 'seconds': progress.seconds,
        }  # fmt: skip

    def _header(self, path: str | Path) -> Header:
        header = read_header(path, self.max_pixels)
        if self.crs != 'image' and 'geojson' in self.formats:  # before hours of work, not after
            try:
                target_crs(header.georeference, self.crs)
            except DataError as error:
                raise DataError(f'image {path}: {error}') from error
        return header

    def _infer(
        self,
        inferencer: Any,
        path: str | Path,
        folder: Path,
        queries: Sequence[str],
        settings: dict[str, Any],
        progress: JobProgress,
    ) -> dict[str, Any]:
        """One image: its files, its record, and nothing left of the answer before."""
        before = _recorded_files(folder)
        (folder / RECORD).unlink(missing_ok=True)
        bands, stretch = self.options.get('bands'), self.options.get('stretch')
        with space_needed(self.out), open_raster(path, bands, stretch, max_pixels=self.max_pixels) as raster:
            result = inferencer(
                raster,
                queries,
                pictures='png' in self.formats,
                scratch=self.out,
                progress=progress.windows,
                **self.options,
            )
            record = self._write(result, folder, {**settings, 'image': _identity(path)})
        for stale in before - _recorded_files(folder):
            stale.unlink(missing_ok=True)
        return record

    def _folders(self, images: Sequence[str | Path]) -> list[Path]:
        """A folder for each image, called by its stem; where that is not enough by its suffix, too, or its path."""
        paths = [Path(os.path.realpath(path)) for path in images]
        if len(set(paths)) < len(paths):
            raise ConfigError(f'image {Counter(paths).most_common(1)[0][0]} is given twice; name it once')
        beside = len({path.with_suffix('') for path in paths}) < len(paths)  # scene.tif and scene.png in one folder
        file_names = [printable(path.name if beside else path.stem) for path in paths]
        depth, names = 1, file_names
        while len(set(names)) < len(names) and depth < max(len(path.parts) for path in paths):
            depth += 1
            names = ['_'.join([*path.parts[-depth:-1], name]).strip('/') for path, name in zip(paths, file_names)]
        return [self.out / name for name in names]

    def _finished(self, folder: Path, settings: dict) -> dict | None:
        """The record of an image that is finished and need not be done again."""
        file = folder / RECORD
        if not file.is_file() or self.existing == 'overwrite':
            return None
        if self.existing == 'refuse':
            raise ConfigError(f'{folder} holds a result; give --resume, --overwrite or another --out')
        try:
            record = json.loads(file.read_text(encoding='utf-8'))
            made_with, files = record['settings'], [folder / name for q in record['queries'] for name in q['files']]
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f'{file} is no record of a result ({error}); give --overwrite or another --out'
            ) from error
        for key in settings:
            if made_with.get(key) != settings[key]:
                raise ConfigError(
                    f'{folder} was made with {key} {made_with.get(key)}, now {settings[key]}; '
                    'give --overwrite or another --out'
                )
        return record if all(name.is_file() for name in files) else None

    def _write(self, result: Result, folder: Path, settings: dict) -> dict[str, Any]:
        answers = []
        for i, text in enumerate(result.queries):
            stem = f'{i + 1:02d}_{slug(text)}'
            names = [stem + SUFFIXES[kind] for kind in self.formats]
            for name in names:
                result.save(folder / name, i, self.crs)
            entry: dict[str, Any] = {'query': text, 'files': names}
            if result.regions is not None and result.thresholds is not None:
                entry['threshold'] = result.thresholds[i]
                entry['regions'] = [
                    {'score': region.score, 'box': region.box, 'pixels': region.pixels} for region in result.regions[i]
                ]
            answers.append(entry)
        record = {
            'image': result.name,
            'width': result.store.size[1],
            'height': result.store.size[0],
            'crs': str(result.georeference.crs) if result.georeference.crs else None,
            'georeference': result.georeference.problem or 'kept',
            'stretch': result.stretch,
            'notes': result.notes,
            'queries': answers,
            'settings': settings,
        }
        write_json(folder / RECORD, record)
        return record


def _recorded_files(folder: Path) -> set[Path]:
    """What a record in the folder, of whatever settings, says was written there."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding='utf-8'))
        names = {Path(name).name for query in record['queries'] for name in query['files']}
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {folder / name for name in names}


def slug(text: str, length: int = 40) -> str:
    """A query as part of a file name."""
    return re.sub(r'[^\w]+', '-', text.lower())[:length].strip('-') or 'query'


def _identity(path: str | Path) -> list:
    """Name, size and time of a file, by which a changed one is known."""
    try:
        state = None if is_gdal_name(path) else os.stat(path)
    except (OSError, ValueError):
        state = None
    name = str(path) if is_gdal_name(path) else Path(path).name
    return [printable(name), state.st_size if state else None, state.st_mtime_ns if state else None]
