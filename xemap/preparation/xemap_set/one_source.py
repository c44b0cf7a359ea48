"""Converting one source, or finding that this has been done."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from xemap.datasets.annotations import FORMAT_VERSION
from xemap.files import remove_parts, write_json, write_text
from xemap.parallel import Tick
from xemap.preparation.converters import PhraseTable, convert
from xemap.preparation.converters.registry import CONVERTERS
from xemap.preparation.expressions import ExpressionGenerator
from xemap.preparation.xemap_set.sources import SOURCES, Source

STATE_FILE = 'source.json'
"""Beside the annotation files of a source; written last, so that it is there only where they are complete."""
CROPS_STAMP = '.made_of'
"""In a folder of crops: a hash of the files they were cut from. Crops of others are not used again."""


@dataclass(frozen=True)
class PrepareOptions:
    """What is the same for all sources.

    Args:
        strict: the first bad file or object fails a source; otherwise they are left out and counted.
        official_splits: divide as the publishers do, and not in the proportions of Table 1.
        crop_dota: side in pixels of the crops of larger DOTA images; None = whole images.
        templates: your names and phrases for categories, see :class:`PhraseTable`.
        expressions: make further queries of labels, see :class:`ExpressionGenerator`.
        seed: seed of wording and expressions.
        wordings: queries per category and image, in different words.
    """

    strict: bool = False
    official_splits: bool = False
    crop_dota: int | None = None
    templates: str | None = None
    expressions: bool = False
    seed: int = 0
    wordings: int = 1


@dataclass(frozen=True)
class Job:
    """One source to be prepared.

    Args:
        name: name of the source.
        source: its description.
        folder: where it lies.
        out: folder of the whole set; annotation files go to ``<out>/<name>``, crops to ``<out>/crops/<name>``.
        data_root: folder that image paths are relative to; holds ``folder`` and ``out``.
        options: for all sources.
    """

    name: str
    source: Source
    folder: Path
    out: Path
    data_root: Path
    options: PrepareOptions

    @property
    def files(self) -> Path:
        """Folder of the annotation files."""
        return self.out / self.name

    @property
    def crops(self) -> Path:
        """Folder of the crops."""
        return self.out / 'crops' / self.name

    @property
    def converter_options(self) -> dict[str, Any]:
        """Arguments of the converter, without phrases and expressions."""
        options: dict[str, Any] = {'skip_bad': not self.options.strict}
        if self.source.divided:
            options['official_split'] = self.options.official_splits
        if self.cuts:
            options['crops'] = os.path.relpath(self.crops, self.data_root)
        if self.source.crops == 'optional':
            options['crop_size'] = self.options.crop_dota
        return options

    @property
    def cuts(self) -> bool:
        """Whether crops are written."""
        return self.source.crops == 'always' or self.source.crops == 'optional' and self.options.crop_dota is not None


def prepare_source(job: Job, tick: Tick) -> dict:
    """Convert a source unless its files are there, made of the same files in the same way.

    Args:
        job: what to do.
        tick: called with the number of images done and of all.

    Returns:
        The state, as kept in :data:`STATE_FILE`: ``fingerprint``, ``report`` (see
        :meth:`ConversionReport.as_dict`), ``bytes`` by annotation file, number of ``crops``; and
        ``unchanged``, whether it was there.

    Raises:
        DataError: the source is bad.
    """
    listing = _listing(job.folder)
    fingerprint = _fingerprint(job, listing)
    state = _finished(job, fingerprint, listing)
    if state is not None:
        return {**state, 'unchanged': True}
    remove_parts(job.files)
    if job.cuts:
        _check_crops(job.crops, listing)
        remove_parts(job.crops)
    converter = job.source.load()(
        job.data_root,
        os.path.relpath(job.folder, job.data_root),
        phrases=PhraseTable(job.options.templates, seed=job.options.seed),
        expressions=ExpressionGenerator(seed=job.options.seed) if job.options.expressions else None,
        wordings=job.options.wordings,
        **job.converter_options,
    )
    # Until then the old state stands: a run that fails, such as one with other options, costs no finished source.
    report = convert(
        converter, job.files, on_image=tick, on_complete=lambda: (job.files / STATE_FILE).unlink(missing_ok=True)
    )
    state = {
        'fingerprint': fingerprint,
        'report': report.as_dict(),
        'bytes': {Path(file).name: os.path.getsize(file) for file in report.files.values()},
        'crops': _number_of_files(job.crops) if job.cuts else 0,
    }
    write_json(job.files / STATE_FILE, state)
    return {**state, 'unchanged': False}


def _finished(job: Job, fingerprint: str, listing: str) -> dict | None:
    try:
        state = json.loads((job.files / STATE_FILE).read_text('utf-8'))
        whole = (
            state['fingerprint'] == fingerprint
            and state['crops'] <= _number_of_files(job.crops)
            and not (job.cuts and (job.crops / CROPS_STAMP).read_text() != listing)
            and all((job.files / name).stat().st_size == size for name, size in state['bytes'].items())
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # not there, or somebody has edited it
        return None
    return state if whole else None


def _check_crops(folder: Path, listing: str) -> None:
    stamp = folder / CROPS_STAMP
    if stamp.is_file() and stamp.read_text() != listing:
        shutil.rmtree(folder)
    write_text(stamp, listing)


def _fingerprint(job: Job, listing: str) -> str:
    """A hash of all that the annotation files depend on: the source's files, options, phrases and the
    converters' code."""
    digest = hashlib.sha256(listing.encode())
    facts = {
        'format': FORMAT_VERSION,
        'converter': job.source.converter,
        'options': {
            **job.converter_options,
            'seed': job.options.seed,
            'expressions': job.options.expressions,
            'wordings': job.options.wordings,
        },
        'folder': os.path.relpath(job.folder, job.data_root),
        'templates': Path(job.options.templates).read_text('utf-8-sig') if job.options.templates else None,
    }
    digest.update(json.dumps(facts, sort_keys=True).encode())
    # A change of what sources share is one for all of them, a change of another source is none.
    others = {_module_file(source) for source in SOURCES.values()} - {_module_file(job.source)}
    packages = ['xemap.preparation.converters', *['xemap.preparation.expressions'] * job.options.expressions]
    for package in packages:
        for part in sorted(resources.files(package).iterdir(), key=lambda part: part.name):
            if part.name.endswith(('.py', '.json')) and part.name not in others:
                digest.update(part.read_bytes())
    return digest.hexdigest()


def _module_file(source: Source) -> str:
    path, _, _ = CONVERTERS.get(source.converter, source.converter).partition(':')
    return path.rpartition('.')[2] + '.py'


def _listing(folder: Path) -> str:
    """A hash of names, sizes and times of all files below a folder, through links, each folder once."""
    lines, waiting, seen = [], [str(folder)], set()
    while waiting:
        current = waiting.pop()
        real = os.path.realpath(current)
        if real in seen:
            continue
        seen.add(real)
        with os.scandir(current) as entries:
            for entry in entries:
                if entry.is_dir():
                    waiting.append(entry.path)
                elif entry.is_file():
                    facts = entry.stat()
                    lines.append(f'{os.path.relpath(entry.path, folder)}\t{facts.st_size}\t{facts.st_mtime_ns}\n')
    return hashlib.sha256(''.join(sorted(lines)).encode(errors='surrogateescape')).hexdigest()


def _number_of_files(folder: Path) -> int:
    return sum(len([name for name in names if not name.startswith('.')]) for _, _, names in os.walk(folder))
