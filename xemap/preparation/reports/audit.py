"""What splits share: images, near-duplicate images, sentences; and a division of the same queries that shares none."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from xemap.datasets.annotations import AnnotationFile, write_annotations
from xemap.errors import ConfigError, DataError
from xemap.raster.image_io import read_image
from xemap.structures import ImageRecord

THUMBNAIL = 16
MAX_DISTANCE = 6
"""Bits of 64 in which the hashes of near-duplicates differ at most."""
MAX_DIFFERENCE = 8.0
"""Gray levels by which their thumbnails differ at most, on average."""
PLAIN = 4.0
"""Standard deviation in gray levels of a thumbnail below which an image shows too little to be recognized."""


@dataclass
class ImagePrint:
    """What an image is recognized by.

    Args:
        content: hash of the file.
        thumbnail: (16, 16) float32 gray levels.
        difference: (64,) bool, whether each cell of 8 x 8 is brighter than its right neighbor.
    """

    content: str
    thumbnail: np.ndarray
    difference: np.ndarray

    @classmethod
    def of_file(cls, path: Path) -> ImagePrint:
        """Read an image file.

        Raises:
            DataError: it is missing or unreadable.
        """
        gray = cv2.cvtColor(read_image(path), cv2.COLOR_RGB2GRAY)
        row = cv2.resize(gray, (9, 8), interpolation=cv2.INTER_AREA).astype(np.int16)
        thumbnail = cv2.resize(gray, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).astype(np.float32)
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        return cls(content, thumbnail, (row[:, 1:] > row[:, :-1]).reshape(-1))


@dataclass
class Audit:
    """What annotation files share.

    Args:
        images: name and splits of each image that several splits name.
        alike: names of two images that show the same, and the number of bits in which they differ.
        near: those of them that are of different splits.
        sentences: sentence and splits of each that several splits hold, the most frequent first.
        counts: images and queries of each split; ``queries_seen`` those whose sentence another split has,
            ``images_seen`` those that another split names, ``images_seen_in`` how many each other split does.
        unreadable: images that could not be compared.
    """

    images: dict[str, list[str]] = field(default_factory=dict)
    alike: list[tuple[str, str, int]] = field(default_factory=list)
    near: list[tuple[str, str, int]] = field(default_factory=list)
    sentences: dict[str, list[str]] = field(default_factory=dict)
    counts: dict[str, dict[str, Any]] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For programs, JSON-serializable: counts, and in ``lists`` all that was counted."""
        return {
            'splits': self.counts,
            'shared_images': len(self.images),
            'near_duplicates': len(self.near),
            'shared_sentences': len(self.sentences),
            'unreadable': self.unreadable,
            'lists': {
                'shared_images': [{'image': name, 'splits': of} for name, of in self.images.items()],
                'near_duplicates': [{'images': [a, b], 'bits': bits} for a, b, bits in self.near],
                'shared_sentences': [{'sentence': text, 'splits': of} for text, of in self.sentences.items()],
            },
        }


def audit(
    files: Mapping[str, AnnotationFile],
    data_root: Path | None = None,
    max_distance: int = MAX_DISTANCE,
    progress: Callable[[int, int], None] | None = None,
) -> Audit:
    """Find what splits share.

    Args:
        files: annotation file by split, at least two.
        data_root: folder that image paths are relative to; None = images are compared by name only.
        max_distance: bits of the hash in which near-duplicates differ at most, 0 to 64.
        progress: called with (images read, images in all).

    Raises:
        ConfigError: fewer than two files, or a distance out of range.
        DataError: no image can be read below the data root.
    """
    if len(files) < 2:
        raise ConfigError(f'{len(files)} split to audit; give the annotation files of two splits at least')
    if not 0 <= max_distance <= 64:
        raise ConfigError(f'max_distance {max_distance}; the hash has 64 bits')
    splits_of: dict[str, list[str]] = defaultdict(list)
    holders: dict[str, dict[str, int]] = defaultdict(dict)
    result = Audit()
    for split, file in files.items():
        names = file.image_column('image').to_pylist()
        for name in dict.fromkeys(names):
            splits_of[name].append(split)
        texts = [' '.join(text.lower().split()).rstrip('.') for text in file.query_column('text').to_pylist()]
        for text in texts:
            holders[text][split] = holders[text].get(split, 0) + 1
        result.counts[split] = {'images': len(names), 'queries': len(texts)}
    for split in files:
        seen = sum(of[split] for of in holders.values() if split in of and len(of) > 1)
        seen_in = {other: sum({split, other} <= set(of) for of in splits_of.values()) for other in files}
        del seen_in[split]
        images_seen = sum(split in of and len(of) > 1 for of in splits_of.values())
        result.counts[split] |= {'queries_seen': seen, 'images_seen': images_seen, 'images_seen_in': seen_in}
    shared = {text: of for text, of in holders.items() if len(of) > 1}
    result.sentences = {text: list(of) for text, of in sorted(shared.items(), key=lambda pair: -sum(pair[1].values()))}
    result.images = {name: of for name, of in splits_of.items() if len(of) > 1}
    if data_root is not None:
        prints = _read_prints(splits_of, data_root, result, progress)
        result.alike = near_duplicates(prints, max_distance)
        result.near = [pair for pair in result.alike if len({*splits_of[pair[0]], *splits_of[pair[1]]}) > 1]
    return result


def _read_prints(
    names: Mapping[str, list[str]], root: Path, result: Audit, progress: Callable[[int, int], None] | None
) -> dict[str, ImagePrint]:
    prints = {}
    for number, name in enumerate(names, 1):
        try:
            prints[name] = ImagePrint.of_file(root / name)
        except DataError:
            result.unreadable.append(name)
        if progress is not None:
            progress(number, len(names))
    if names and not prints:
        raise DataError(
            f'{root}: none of {len(names)} images can be read, as {result.unreadable[0]}; give the folder that image '
            'paths are relative to'
        )
    return prints


def near_duplicates(prints: Mapping[str, ImagePrint], max_distance: int = MAX_DISTANCE) -> list[tuple[str, str, int]]:
    """Pairs of images that show the same.

    Files of equal content are; so are images whose hashes differ in at most ``max_distance`` bits and whose thumbnails
    differ by at most :data:`MAX_DIFFERENCE`, unless one is too plain to be recognized.

    Returns:
        Names and bits of each pair, the most similar first.
    """
    if not prints:
        return []
    names = list(prints)
    bits = np.packbits([prints[name].difference for name in names], axis=1).view(np.uint64).reshape(-1)
    thumbnails = np.stack([prints[name].thumbnail.reshape(-1) for name in names])
    plain = thumbnails.std(1) < PLAIN
    content = np.unique([prints[name].content for name in names], return_inverse=True)[1]
    pairs = []
    for i, name in enumerate(names):
        distance = np.bitwise_count(bits[i + 1 :] ^ bits[i])
        equal = content[i + 1 :] == content[i]
        for j in np.flatnonzero(equal | (distance <= max_distance) & ~plain[i + 1 :] & ~plain[i]) + i + 1:
            if content[i] == content[j] or np.abs(thumbnails[i] - thumbnails[j]).mean() <= MAX_DIFFERENCE:
                pairs.append((name, names[j], int(distance[j - i - 1])))
    return sorted(pairs, key=lambda pair: pair[2])


def disjoint_paths(files: Mapping[str, AnnotationFile], out: Path) -> dict[str, Path]:
    """Where :func:`write_disjoint` writes each split.

    Raises:
        ConfigError: it would replace one of ``files``.
    """
    paths = {split: out / f'{split}.arrow' for split in files}
    given = {file.path.resolve() for file in files.values()}
    for path in paths.values():
        if path.resolve() in given:
            raise ConfigError(f'the new division would replace {path}, which is audited; give another folder')
    return paths


def write_disjoint(files: Mapping[str, AnnotationFile], report: Audit, out: Path, seed: int = 0) -> dict[str, dict]:
    """Divide the same queries anew, so that no image and no near-duplicate is in two splits.

    All queries of an image come together, as do near-duplicates. Whole groups are put into splits by a hash of seed
    and name, until each has its former share of the queries.

    Args:
        files: annotation file by split.
        report: the report of :func:`audit` on the same files.
        out: folder for ``<split>.arrow``.
        seed: another seed, another division.

    Returns:
        ``{'images': …, 'queries': …}`` by split.

    Raises:
        ConfigError: as :func:`disjoint_paths`.
        DataError: an image could not be compared, or a split would have no image. Nothing is written then.
    """
    paths = disjoint_paths(files, out)
    if report.unreadable:
        raise DataError(
            f'{len(report.unreadable)} images could not be read, as {report.unreadable[0]}, and may be near-duplicates '
            'in two splits; copy them again'
        )
    places: dict[str, list[tuple[str, int]]] = defaultdict(list)
    sizes: dict[str, int] = defaultdict(int)
    for split, file in files.items():
        counts = file.query_counts().tolist()
        for row, name in enumerate(file.image_column('image').to_pylist()):
            places[name].append((split, row))
            sizes[name] += counts[row]
    leader = _groups(places, [(a, b) for a, b, _ in report.alike])
    members: dict[str, list[str]] = defaultdict(list)
    for name in places:
        members[leader[name]].append(name)
    order = sorted(members, key=lambda name: hashlib.sha256(f'{seed}\n{name}'.encode()).digest())
    left = {split: report.counts[split]['queries'] for split in files}
    chosen: dict[str, list[str]] = {split: [] for split in files}
    for group in sorted(order, key=lambda name: -sum(sizes[m] for m in members[name]) // 100):
        split = max(left, key=lambda name: left[name])  # the one that lacks most
        chosen[split] += members[group]
        left[split] -= sum(sizes[name] for name in members[group])
    empty = [split for split, names in chosen.items() if not names]
    if empty:
        raise DataError(
            f'{len(members)} groups of images that show the same leave no image for {", ".join(empty)}; give splits '
            'with more images'
        )
    info = {'split_seed': seed, 'divided': 'by image'}
    return {
        split: write_annotations(
            paths[split],
            _joined(files, places, names),
            {**files[split].info, **info, 'split': split},
        )
        for split, names in chosen.items()
    }


def _groups(names: Mapping[str, Any], pairs: list[tuple[str, str]]) -> dict[str, str]:
    """The first member of the group of each name; paired names are in one group."""
    parent = {name: name for name in names}

    def find(name: str) -> str:
        while parent[name] != name:
            parent[name] = name = parent[parent[name]]
        return name

    for first, second in pairs:
        a, b = sorted((find(first), find(second)))
        parent[b] = a
    return {name: find(name) for name in names}


def _joined(
    files: Mapping[str, AnnotationFile], places: Mapping[str, list[tuple[str, int]]], names: list[str]
) -> Iterator[ImageRecord]:
    for name in sorted(names):
        records = [files[split][row] for split, row in places[name]]
        first, queries = records[0], [query for record in records for query in record.queries]
        yield ImageRecord(name, first.width, first.height, first.source, queries)
