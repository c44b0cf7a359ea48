"""Writing a split of the synthetic data set: JPEG images and an annotation file."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from xemap.datasets.annotations import write_annotations
from xemap.errors import ConfigError, DataError
from xemap.files import remove_parts, write_bytes, write_text
from xemap.parallel import map_in_order
from xemap.preparation.minimal_pairs import MinimalPairs
from xemap.preparation.synthetic.minimal_pairs import pair_queries
from xemap.preparation.synthetic.scene import GENERATOR_VERSION, SIZE_LIMITS, SIZES, SOURCE, lay_out_scene
from xemap.structures import QUERY_KINDS, ImageRecord
from xemap.terminal import PlainConsole, description_column

JPEG_QUALITY = 92
_MANIFEST = 'generator.json'


def scene_seed(split: str, seed: int, index: int) -> np.random.SeedSequence:
    """Seed of a scene; the split's name is part of it, so that no two splits share a scene."""
    name = int.from_bytes(hashlib.sha256(split.encode()).digest()[:8], 'big')
    return np.random.SeedSequence(seed, spawn_key=(name, index))


def write_synthetic(
    root: str | Path,
    split: str,
    count: int,
    seed: int,
    sizes: Sequence[int] = SIZES,
    workers: int | None = None,
    needed_share: float = 0.0,
    minimal_pairs: MinimalPairs = 'none',
) -> dict:
    """Write ``<root>/images/<split>/000000.jpg`` … and ``<root>/<split>.arrow``.

    The same arguments give the same files, byte for byte, whatever the number of workers. Images that
    an earlier, perhaps interrupted, call with the same split, seed, sizes and generator left are kept.
    The annotation file is complete or absent.

    Args:
        root: folder of the data set.
        split: name of the split: letters, digits, ``-`` and ``_``.
        count: number of scenes.
        seed: seed of the data set; splits of one seed never share a scene.
        sizes: sides in pixels that scenes may have.
        workers: processes; None takes one per core, up to 8.
        needed_share: see :func:`~xemap.preparation.synthetic.queries.choose_queries`.
        minimal_pairs: ``'only'``: queries are minimal pairs (:mod:`~xemap.preparation.minimal_pairs`), two
            of a pair one after the other, and nothing else; ``'too'``: pairs in the words of every split follow the
            other queries of a scene, for training.

    Returns:
        Counts: ``images``, ``drawn`` (not taken over from an earlier call), ``queries``, ``kinds``,
        ``single_ref``, ``multi_ref``, ``categories``.

    Raises:
        ConfigError: a count, size, seed or split name that does not fit.
        DataError: the folder cannot be written.
    """
    root, sizes = Path(root), tuple(int(size) for size in sizes)
    _check(split, count, seed, sizes, needed_share)
    info: dict = {'name': SOURCE, 'split': split, 'seed': seed, 'sizes': list(sizes), 'generator': GENERATOR_VERSION}
    try:
        if needed_share:
            info['needed_share'] = needed_share
        if minimal_pairs != 'none':
            info['minimal_pairs'] = minimal_pairs
        folder = _prepare(root, split, info)
        tally = _Tally()
        make = partial(
            _make, folder=folder, split=split, seed=seed, sizes=sizes,
            needed_share=needed_share, minimal_pairs=minimal_pairs,
        )  # fmt: skip
        made = map_in_order(make, range(count), workers)
        write_annotations(root / f'{split}.arrow', tally.counted(show_progress(made, count, split)), info)
    except OSError as error:
        raise DataError(f'cannot write {error.filename or root}: {error.strerror}; give a folder with space') from error
    return tally.counts


def _make(
    index: int,
    folder: Path,
    split: str,
    seed: int,
    sizes: tuple[int, ...],
    needed_share: float = 0.0,
    minimal_pairs: MinimalPairs = 'none',
) -> tuple[ImageRecord, bool]:
    """Draw scene ``index`` unless its image is there. Returns its row and whether it was drawn."""
    root_seed = scene_seed(split, seed, index)
    layout = lay_out_scene(root_seed, sizes=sizes, needed_share=needed_share)
    path = folder / f'{index:06d}.jpg'
    missing = not is_whole_jpeg(path)
    if missing:
        quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        encoded = cv2.imencode('.jpg', np.ascontiguousarray(layout.draw()[..., ::-1]), quality)[1]
        write_bytes(path, encoded.tobytes())
    queries = [] if minimal_pairs == 'only' else layout.queries()
    if minimal_pairs != 'none':
        queries += pair_queries(layout, root_seed, with_unseen=minimal_pairs == 'only')
    return layout.record(f'images/{split}/{path.name}', queries), missing


def _prepare(root: Path, split: str, made_by: dict) -> Path:
    """The folder of the split's images, without those of another generator, seed or size.

    Only what this module wrote is ever removed: a folder with files but no manifest is refused.
    """
    folder = root / 'images' / split
    manifest = folder / _MANIFEST
    folder.mkdir(parents=True, exist_ok=True)
    remove_parts(root, below=False)
    remove_parts(folder)
    if not manifest.exists():
        foreign = next(folder.iterdir(), None)
        if foreign:
            raise DataError(f'{folder} holds files of another origin, such as {foreign.name}; give another folder')
    else:
        try:
            if json.loads(manifest.read_text()) == made_by:
                return folder
        except ValueError:
            pass  # a manifest nobody can read belongs to no known images
        (root / f'{split}.arrow').unlink(missing_ok=True)
        for image in folder.glob('[0-9]' * 6 + '.jpg'):
            image.unlink()
    write_text(manifest, json.dumps(made_by))
    return folder


def is_whole_jpeg(path: Path) -> bool:
    """Whether a file is there and was written to its end."""
    try:
        with path.open('rb') as handle:
            handle.seek(-2, os.SEEK_END)
            return handle.read() == b'\xff\xd9'
    except OSError:  # missing, or shorter than two bytes
        return False


def show_progress(made: Iterable, count: int, split: str) -> Iterator:
    """Pass items on, with a progress bar on stderr."""
    columns = (description_column(), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=PlainConsole(stderr=True)) as progress:
        yield from progress.track(made, total=count, description=f'{split} scenes')


class _Tally:
    """Counts what passes through."""

    def __init__(self) -> None:
        self.counts: dict = {
            'images': 0, 'drawn': 0, 'queries': 0, 'kinds': dict.fromkeys(QUERY_KINDS, 0),
            'single_ref': 0, 'multi_ref': 0, 'categories': {},
        }  # fmt: skip

    def counted(self, made: Iterable[tuple[ImageRecord, bool]]) -> Iterator[ImageRecord]:
        for record, drawn in made:
            self.counts['images'] += 1
            self.counts['drawn'] += drawn
            for query in record.queries:
                self.counts['queries'] += 1
                self.counts['kinds'][query.kind] += 1
                self.counts['multi_ref' if query.multi_ref else 'single_ref'] += 1
                categories = self.counts['categories']
                categories[query.category] = categories.get(query.category, 0) + 1
            yield record


def _check(split: str, count: int, seed: int, sizes: tuple[int, ...], needed_share: float) -> None:
    if not re.fullmatch(r'[A-Za-z0-9_-]+', split):
        raise ConfigError(f'split name {split!r}; use letters, digits, - and _')
    if count < 1:
        raise ConfigError(f'{count} scenes in split {split}; give at least 1')
    if not 0 <= needed_share <= 1:
        raise ConfigError(f'needed share {needed_share}; give a number from 0 to 1')
    if seed < 0:
        raise ConfigError(f'seed {seed}; give 0 or more')
    wrong = [size for size in sizes if not SIZE_LIMITS[0] <= size <= SIZE_LIMITS[1]]
    if wrong or not sizes:
        given = f'scene size {wrong[0]}' if wrong else 'no scene sizes'
        raise ConfigError(f'{given}; give sides from {SIZE_LIMITS[0]} to {SIZE_LIMITS[1]} pixels')
