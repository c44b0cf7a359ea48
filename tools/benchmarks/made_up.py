"""A made-up annotation file of the size and mix of the paper's training set (Table 1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from xemap.structures import ImageRecord, MaskRegion, PolygonRegion, Query
from xemap.structures.region import Region

IMAGES = 86_710
"""Training images of XeMap-Set; they have 791,971 queries."""
MASKS = 16
"""Different masks of each size; every query shifts one of them and encodes it anew."""
SPOKEN = (
    'the a man woman white red car blue shirt left right on in of with standing sitting near next to behind large small'
    ' building road second from top bottom corner field boat plane holding umbrella dog table chair'
)
WORDS = SPOKEN.split()


@dataclass(frozen=True)
class Source:
    """One source of Table 1.

    Args:
        name: name of the source.
        images: training images (Table 1).
        queries: number of queries over all its images; the paper gives only their sum over the sources, RefCOCO
            takes what the others leave.
        size: (height, width) of an image.
        region: ``'polygon'``, ``'boxes'`` or ``'mask'``.
        rings: mean number of polygons or boxes per query.
    """

    name: str
    images: int
    queries: int
    size: tuple[int, int]
    region: str
    rings: float = 1


SOURCES = (
    Source('refcoco', 49_676, 675_424, (480, 640), 'polygon', 1.3),
    Source('visdrone', 6_471, 51_768, (765, 1360), 'boxes', 8),
    Source('dior', 8_000, 16_000, (800, 800), 'boxes', 3),
    Source('dota', 1_830, 4_575, (2000, 2000), 'boxes', 25),
    Source('loveda', 3_577, 16_096, (1024, 1024), 'mask'),
    Source('potsdam-vaihingen', 2_738, 13_690, (512, 512), 'mask'),
    Source('aerialimage', 14_418, 14_418, (512, 512), 'mask'),
)


def make_records(images: int = IMAGES, seed: int = 0) -> Iterator[ImageRecord]:
    """Images with queries, source after source.

    Polygons have the vertices of hand-drawn outlines (about 25), masks the code length of real segmentations
    (one to a few kilobytes). The same arguments give the same records.

    Args:
        images: about this many, shared out to the sources as in Table 1; at least one each.
        seed: seed of everything made up.
    """
    rng = np.random.default_rng(seed)
    for source in SOURCES:
        number = max(1, round(source.images * images / IMAGES))
        queries = round(source.queries * number / source.images)
        counts = 1 + rng.multinomial(queries - number, np.full(number, 1 / number))
        for i, count in enumerate(counts.tolist()):
            image_queries = [_query(source, rng) for _ in range(count)]
            yield ImageRecord(f'{source.name}/images/{i:012d}.jpg', *source.size[::-1], source.name, image_queries)


def make_region(kind: str, size: tuple[int, int], rings: float, rng: np.random.Generator) -> Region:
    """A region of an image.

    Args:
        kind: ``'polygon'``, ``'boxes'`` or ``'mask'``.
        size: (height, width) of the image.
        rings: mean number of polygons or boxes.
        rng: what is random.
    """
    if kind == 'mask':
        mask = _masks(size)[rng.integers(MASKS)]
        return MaskRegion.from_mask(np.roll(mask, tuple(rng.integers(size)), (0, 1)))
    polygons = []
    for _ in range(1 + rng.poisson(rings - 1)):
        if kind == 'boxes':
            angles, radius = np.pi / 4 * np.array([1, 3, 5, 7]), 0.02
        else:
            vertices = int(np.clip(rng.lognormal(3.1, 0.5), 4, 200))
            angles, radius = np.linspace(0, 2 * np.pi, vertices, endpoint=False), 0.15
        radii = radius * rng.lognormal(0, 0.6) * rng.uniform(0.8, 1.2, len(angles))
        around = rng.random(2) + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
        polygons.append(np.round(around.clip(0, 1) * (size[1] - 1, size[0] - 1), 2))
    return PolygonRegion(polygons)


def _query(source: Source, rng: np.random.Generator) -> Query:
    referents = 1 + int(rng.poisson(source.rings - 1))
    region = make_region(source.region, source.size, source.rings, rng)
    if source.region == 'polygon':
        words = [WORDS[i] for i in rng.integers(len(WORDS), size=2 + rng.poisson(4))]
        return Query(' '.join(words), region, 'person')
    return Query(f'all the {source.name} objects', region, 'object', 'one-hop', 1, referents)


@cache
def _masks(size: tuple[int, int]) -> np.ndarray:
    """(MASKS, height, width) bool: smooth blobs with ragged borders, of 5 to 40 % of the image."""
    rng = np.random.default_rng(0)
    masks = np.empty((MASKS, *size), bool)
    for out in masks:
        blobs, ragged = (
            cv2.resize(rng.random((cells, cells), np.float32), size[::-1], interpolation=cv2.INTER_CUBIC)
            for cells in (6, 64)
        )
        field = blobs + 0.05 * ragged
        out[...] = field > np.quantile(field, rng.uniform(0.6, 0.95))
    return masks
