"""Many images, files of each in a folder, and going on after an interruption."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from xemap.errors import ConfigError, DataError
from xemap.files import write_text
from xemap.inference.result import FORMATS, Result
from xemap.inference.writers import require_writable
from xemap.raster.georeference import parse_crs, target_crs
from xemap.raster.raster_file import open_raster

RECORD = 'result.json'
"""Written last: an image with it is finished."""

SUFFIXES = {'png': '.png', 'tif': '.tif', 'geojson': '.geojson', 'npy': '.npy', 'mask': '.mask.png'}

Progress = Callable[[str, int, int], None]
"""Called with (name of the image, windows done, windows in all)."""


class InferenceJob:
    """Runs an inferencer over images and writes ``OUT/IMAGE/01_QUERY.tif`` and so on.

    ``OUT/IMAGE/result.json`` says what was done and found; :meth:`run` returns them all.

    Args:
        out: folder to write to.
        formats: of :data:`~xemap.inference.result.FORMATS`.
        crs: of polygons, see :func:`~xemap.raster.georeference.target_crs`.
        threshold: where regions begin; needed for ``geojson`` and ``mask``.
        existing: what to do with finished images: ``'refuse'``, ``'resume'`` (skip them, if they were made with the
            same settings from the same file), ``'overwrite'``.
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
        threshold: float | str | None = 'otsu',
        existing: str = 'refuse',
        **options: Any,
    ) -> None:
        unknown = sorted(set(formats) - set(FORMATS))
        if unknown or not formats:
            raise ConfigError(f'format "{",".join(formats)}"; give some of {",".join(FORMATS)}')
        if threshold is None and {'geojson', 'mask'} & set(formats):
            raise ConfigError('geojson and mask need a threshold; give 0.5, otsu or q0.95')
        self.out, self.formats, self.crs, self.existing = Path(out), list(dict.fromkeys(formats)), crs, existing
        self.options = {**options, 'threshold': threshold}
        if crs != 'image':
            parse_crs(crs)
        require_writable(self.out)

    def run(
        self,
        make_inferencer: Callable[[], Any],
        images: Sequence[str | Path],
        queries: Sequence[str],
        model: dict[str, Any],
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Work through the images; one that cannot be read does not keep the others from being done.

        Args:
            make_inferencer: makes the inferencer, when the first image needs it.
            model: what the inferencer is made of; part of the settings that a resumed job compares.
            progress: called as work goes on.

        Returns:
            ``{'images': [record…], 'written': n, 'kept': n, 'failed': [{'image': path, 'error': text}…]}``

        Raises:
            ConfigError: finished images are there and ``existing`` is ``'refuse'``, or they are of other settings.
            DataError: an image has no place in ``crs``.
        """
        inferencer = None
        records, failed, kept = [], [], 0
        folders = self._folders(images)
        settings = {**model, **self.options, 'queries': list(queries), 'formats': self.formats, 'crs': self.crs}
        settings = json.loads(json.dumps(settings))
        finished = [
            self._finished(folder, {**settings, 'image': _identity(path)}) for path, folder in zip(images, folders)
        ]
        if self.crs != 'image' and 'geojson' in self.formats:  # before hours of work, not after
            for path, record in zip(images, finished):
                if record is None:
                    with open_raster(path) as raster:
                        target_crs(raster.georeference, self.crs)
        for path, folder, record in zip(images, folders, finished):
            if record is not None:
                kept += 1
            else:
                inferencer = inferencer or make_inferencer()
                try:
                    record = self._infer(inferencer, path, folder, queries, settings, progress)
                except DataError as error:
                    failed.append({'image': str(path), 'error': str(error)})
                    continue
            records.append(record)
        return {'images': records, 'written': len(records) - kept, 'kept': kept, 'failed': failed}

    def _infer(
        self,
        inferencer: Any,
        path: str | Path,
        folder: Path,
        queries: Sequence[str],
        settings: dict[str, Any],
        progress: Progress | None,
    ) -> dict[str, Any]:
        """One image: its files, its record, and nothing left of the answer before."""
        before = _recorded_files(folder)
        (folder / RECORD).unlink(missing_ok=True)
        result = inferencer(
            path,
            queries,
            pictures='png' in self.formats,
            scratch=self.out,
            progress=(lambda done, total: progress(folder.name, done, total)) if progress else None,
            **self.options,
        )
        record = self._write(result, folder, {**settings, 'image': _identity(path)})
        for stale in before - _recorded_files(folder):
            stale.unlink(missing_ok=True)
        return record

    def _folders(self, images: Sequence[str | Path]) -> list[Path]:
        """A folder for each image, called by its stem; where that is not enough by its suffix, too, or its path."""
        paths = [Path(path).resolve() for path in images]
        if len(set(paths)) < len(paths):
            raise ConfigError(f'image {Counter(paths).most_common(1)[0][0]} is given twice; name it once')
        beside = len({path.with_suffix('') for path in paths}) < len(paths)  # scene.tif and scene.png in one folder
        own = [path.name if beside else path.stem for path in paths]
        depth, names = 1, own
        while len(set(names)) < len(names) and depth < max(len(path.parts) for path in paths):
            depth += 1
            names = ['_'.join([*path.parts[-depth:-1], name]).strip('/') for path, name in zip(paths, own)]
        return [self.out / name for name in names]

    def _finished(self, folder: Path, settings: dict) -> dict | None:
        """The record of an image that is finished and need not be done again."""
        file = folder / RECORD
        if not file.is_file() or self.existing == 'overwrite':
            return None
        if self.existing == 'refuse':
            raise ConfigError(f'{folder} holds a result; give --resume, --overwrite or another --out')
        try:
            record = json.loads(file.read_text())
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
        found = []
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
            found.append(entry)
        record = {
            'image': result.name,
            'width': result.store.size[1],
            'height': result.store.size[0],
            'crs': str(result.georeference.crs) if result.georeference.crs else None,
            'georeference': result.georeference.problem or 'kept',
            'stretch': result.stretch,
            'queries': found,
            'settings': settings,
        }
        write_text(folder / RECORD, json.dumps(record, indent=1, ensure_ascii=False) + '\n')
        return record


def _recorded_files(folder: Path) -> set[Path]:
    """What a record in the folder, of whatever settings, says was written there."""
    try:
        record = json.loads((folder / RECORD).read_text())
        names = {Path(name).name for query in record['queries'] for name in query['files']}
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {folder / name for name in names}


def slug(text: str, length: int = 40) -> str:
    """A query as part of a file name."""
    return re.sub(r'[^\w]+', '-', text.lower())[:length].strip('-') or 'query'


def _identity(path: str | Path) -> list:
    """Path, size and time of a file, by which a changed one is known."""
    path = Path(path)
    state = path.stat() if path.is_file() else None
    return [str(path.resolve()), state.st_size if state else None, state.st_mtime_ns if state else None]
