"""From labels to measured objects: boxes and outlines are objects, class masks fall into parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import shapely

from xemap.errors import DataError
from xemap.language.colors import color_verdicts, inner_pixels
from xemap.language.nouns import category_key
from xemap.language.scene import Scene
from xemap.language.words import Words
from xemap.preparation.geometry import unite
from xemap.preparation.instance import Instance
from xemap.structures import MaskRegion, PolygonRegion, Region

MIN_PART = 2e-4
"""Least share of the image for a part of a class mask to be an object; smaller ones are label noise."""
WORKING_SIDE = 2048
"""Parts of larger masks are found in cells of several pixels; parts within a cell of each other are one."""
SIMPLIFY = 0.001
"""Outlines of parts are simplified by at most this share of the longer side, or half a cell if that is more."""
OUTLINE_SLACK = 3.0
"""Objects whose outlines are farther apart, in pixels, have no pixel in common."""
BOX_VERTICES = 8
"""A convex polygon of at most this many vertices may be a box, cut by the image border."""


@dataclass(frozen=True)
class Measured:
    """An object with its geometry, in pixels.

    Args:
        outline: polygon(s), with holes.
        area: number of pixels, at least 1.
        boxed: the outline may be a box, in which the object lies somehow.
        parts: the mask the object is part of, None for a box or polygon.
        label: its label in ``parts``.
        region: as annotated; None for a part of a class mask.
        category: class name, in its first spelling in the image.
        attributes: none are known of what is measured.
    """

    outline: shapely.Geometry
    area: float
    boxed: bool
    parts: MaskParts | None = None
    label: int = 0
    region: Region | None = None
    category: str = ''
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def upright(self) -> bool:
        """The outline is a box along the image's axes, which says little about the shape inside."""
        left, top, right, bottom = self.outline.bounds
        return self.boxed and self.outline.area > 0.98 * (right - left) * (bottom - top)

    @property
    def tolerance(self) -> float:
        """Pixels by which the outline may be off what it outlines."""
        return self.parts.tolerance if self.parts else 0.0

    def mask(self, size: tuple[int, int]) -> tuple[np.ndarray, int, int]:
        """Pixels within the bounding box or a little more, (h, w) bool, and the left and top of that window."""
        # The outline of a part is simplified, and so are its holes: a thin wall between them may be gone.
        slack = 2 * self.tolerance
        x0, y0, x1, y1 = np.array(self.outline.bounds) + (-slack, -slack, slack, slack)
        left, top = (int(np.clip(np.floor(v), 0, n - 1)) for v, n in zip((x0, y0), size[::-1]))
        right, bottom = (int(np.clip(np.ceil(v), low, n - 1)) for v, low, n in zip((x1, y1), (left, top), size[::-1]))
        if self.parts is not None:
            return self.parts.pixels(self.label, left, top, right + 1, bottom + 1), left, top
        assert self.region is not None
        filled = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
        for polygon in self.region.polygons(size):
            cv2.fillPoly(filled, [np.round(polygon - (left, top)).astype(np.int32)], 1)
        return filled > 0, left, top


class MaskParts:
    """The 8-connected parts of a mask.

    Args:
        mask: (H, W) bool.
        whole: take the mask as one object, whatever the number of its parts.
    """

    def __init__(self, mask: np.ndarray, whole: bool = False) -> None:
        self.mask = mask
        self.cell = -(-max(mask.shape) // WORKING_SIDE)
        self.tolerance = max(SIMPLIFY * max(mask.shape), 0.5 * self.cell)
        counts = self._cells(mask)
        count, self.labels, stats, _ = cv2.connectedComponentsWithStatsWithAlgorithm(
            (counts > 0).view(np.uint8), connectivity=8, ltype=cv2.CV_32S, ccltype=cv2.CCL_BBDT
        )  # three times as fast as the default with statistics
        area: np.ndarray = stats[:, cv2.CC_STAT_AREA].astype(np.float64)
        if self.cell > 1:
            area = np.bincount(self.labels.ravel(), counts.ravel(), count)
        area[0] = 0  # the background
        kept = area >= MIN_PART * mask.size
        if whole:
            kept = kept if kept.any() else area > 0
            self.labels = kept[self.labels].astype(np.int32)
            area = np.array([0.0, area[kept].sum()])
            kept = np.array([False, True])
        self.objects = [
            Measured(outline, float(area[label]), boxed=False, parts=self, label=label)
            for label, outline in self._outlines(kept)
        ]

    def region(self, labels: Sequence[int]) -> MaskRegion:
        """All pixels of some parts."""
        chosen = np.zeros(int(self.labels.max()) + 1, bool)
        chosen[list(labels)] = True
        height, width = self.mask.shape
        return MaskRegion.from_mask(self._enlarged(chosen[self.labels])[:height, :width] & self.mask)

    def pixels(self, label: int, left: int, top: int, right: int, bottom: int) -> np.ndarray:
        """Pixels of a part within a window, bool."""
        cell = self.cell
        x, y = left // cell, top // cell
        cells = self._enlarged(self.labels[y : -(-bottom // cell), x : -(-right // cell)] == label)
        window = cells[top - y * cell : bottom - y * cell, left - x * cell : right - x * cell]
        return window & self.mask[top:bottom, left:right]

    def _cells(self, mask: np.ndarray) -> np.ndarray:
        """Number of pixels in every cell."""
        if self.cell == 1:
            return np.ascontiguousarray(mask).view(np.uint8)
        cell = self.cell
        padded = np.pad(mask, [(0, -n % cell) for n in mask.shape])
        height, width = padded.shape
        return padded.reshape(height // cell, cell, width // cell, cell).sum(axis=(1, 3), dtype=np.int32)

    def _enlarged(self, cells: np.ndarray) -> np.ndarray:
        return cells if self.cell == 1 else cells.repeat(self.cell, 0).repeat(self.cell, 1)

    def _outlines(self, kept: np.ndarray) -> Iterator[tuple[int, shapely.Geometry]]:
        """Label and outline of the parts to keep, in pixels of the image, to about a cell."""
        contours, tree = cv2.findContours(kept[self.labels].astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        if not contours:
            return
        shells: dict[int, list[np.ndarray]] = {}
        holes: dict[int, list[np.ndarray]] = {}
        for contour, (_, _, _, parent) in zip(contours, tree[0]):
            if parent >= 0 and cv2.contourArea(contour) * self.cell**2 < MIN_PART * self.mask.size:
                continue
            x, y = contour[0, 0]
            ring = cv2.approxPolyDP(contour, self.tolerance / self.cell, True).reshape(-1, 2)
            (holes if parent >= 0 else shells).setdefault(int(self.labels[y, x]), []).append(ring)
        for label in sorted(shells):
            faces = [_face(shell) for shell in shells[label]]
            face = faces[0] if len(faces) == 1 else shapely.union_all(faces)
            for hole in holes.get(label, ()):
                face = face.difference(_face(hole))
            # Contours run through the centers of cells; the part reaches to their edges.
            face = shapely.buffer(face, 0.5, quad_segs=1, join_style='mitre', mitre_limit=1.5)
            yield label, shapely.transform(face, lambda points: (points + 0.5) * self.cell - 0.5)


def _face(ring: np.ndarray) -> shapely.Geometry:
    if len(ring) >= 3:
        face = shapely.Polygon(ring)
        return face if face.is_valid else shapely.make_valid(face)
    return shapely.LineString(ring) if len(ring) == 2 else shapely.Point(ring[0])


def measure(members: Sequence[Instance], size: tuple[int, int]) -> list[Measured]:
    """Objects of one category.

    A mask that stands for several objects is a class mask: its parts are the objects.

    Args:
        members: all instances of the category in the image.
        size: (height, width) of the image.

    Returns:
        Empty where their number is unknown, so that no expression could mean all of them.
    """
    if any(member.count is None for member in members):
        return []
    if any(isinstance(member.region, MaskRegion) and member.count != 1 for member in members):
        return MaskParts(unite([member.region for member in members], size).mask(size)).objects
    if any(member.count != 1 for member in members):
        return []
    objects: list[Measured] = []
    for member in members:
        if isinstance(member.region, PolygonRegion):
            objects.append(_outlined(member.region, size))
        else:
            objects += [replace(obj, region=member.region) for obj in MaskParts(member.region.mask(size), True).objects]
    return objects


def _outlined(region: PolygonRegion, size: tuple[int, int]) -> Measured:
    polygons = region.polygons(size)
    faces = [_face(polygon) for polygon in polygons]
    outline = faces[0] if len(faces) == 1 else shapely.union_all(faces)
    convex = outline.area > 0.98 * outline.convex_hull.area
    boxed = len(polygons) == 1 and len(polygons[0]) <= BOX_VERTICES and convex
    return Measured(outline, max(outline.area, 1.0), boxed, region=region)


def measured_scene(
    instances: Sequence[Instance],
    size: tuple[int, int],
    words: Words,
    pixels: Callable[[], np.ndarray] | None = None,
) -> Scene:
    """The labeled objects of an image, for expressions to be resolved against.

    Args:
        instances: labels of the image; spellings of one class name are one category.
        size: (height, width).
        words: vocabulary of the categories.
        pixels: gives the image, (H, W, 3) uint8 RGB; called when the first color is judged. None = no colors.

    Returns:
        The scene; its entities are :class:`Measured`.
    """
    by_key: dict[str, list[Instance]] = {}
    for instance in instances:
        by_key.setdefault(category_key(instance.category), []).append(instance)
    named = {key: group[0].category for key, group in sorted(by_key.items())}
    clear = words.distinct(named.values())
    entities = [
        replace(obj, category=name)
        for key, name in named.items()
        if name in clear
        for obj in measure(by_key[key], size)
    ]
    scene = Scene(entities, size, words)
    # A category whose objects can't be counted is in the image all the same: no noun may mean it.
    scene.words = {name: clear[name] for name in scene.words}
    if pixels is not None:
        scene.colors = _Colors(scene, pixels)
    return scene


class _Colors:
    """By color, the verdicts on the objects of a category; reads the image once, when it is needed."""

    def __init__(self, scene: Scene, pixels: Callable[[], np.ndarray]) -> None:
        self.scene, self.pixels = scene, pixels
        self.image: np.ndarray | None = None
        self.verdicts: dict[str, dict[str, np.ndarray]] = {}

    def __call__(self, category: str) -> dict[str, np.ndarray]:
        if category not in self.verdicts:
            words, members = self.scene.words[category], self.scene.members[category]
            samples = [np.empty((0, 3), np.uint8)] * len(members)
            for k, i in enumerate(members):
                entity = self.scene.entities[i]
                assert isinstance(entity, Measured)
                if words.color and (words.fills_box or not entity.boxed):
                    size = self.scene.geometry.size
                    samples[k] = inner_pixels(self._read(size), *entity.mask(size))
            self.verdicts[category] = color_verdicts(samples)
        return self.verdicts[category]

    def _read(self, size: tuple[int, int]) -> np.ndarray:
        if self.image is None:
            self.image = self.pixels()
        if self.image.shape != (*size, 3) or self.image.dtype != np.uint8:
            raise DataError(
                f'image of {self.image.dtype} {self.image.shape} for labels of an image of size {size} '
                '(height, width); they do not belong together'
            )
        return self.image


def joined(objects: Sequence[Measured], size: tuple[int, int]) -> Region:
    """One region of several objects."""
    regions = [obj.region for obj in objects if obj.region is not None]
    labels: dict[int, tuple[MaskParts, list[int]]] = {}
    for obj in objects:
        if obj.region is None and obj.parts is not None:
            labels.setdefault(id(obj.parts), (obj.parts, []))[1].append(obj.label)
    return unite([*regions, *(parts.region(chosen) for parts, chosen in labels.values())], size)


def disjoint(first: Sequence[Measured], second: Sequence[Measured], size: tuple[int, int]) -> bool:
    """Whether no pixel belongs to objects of both; boxes of neighbors may overlap.

    Args:
        first, second: objects of the image, at least one each.
        size: (height, width) of the image.
    """
    sources = {id(obj.parts) for obj in (*first, *second)}
    if len(sources) == 1 and first[0].parts is not None:
        return True  # parts of one class mask
    outlines = np.array([[obj.outline] for obj in first]), np.array([obj.outline for obj in second])
    slack = OUTLINE_SLACK + 2 * max(obj.tolerance for obj in (*first, *second))
    if not shapely.dwithin(*outlines, slack).any():
        return True
    return not (joined(first, size).mask(size) & joined(second, size).mask(size)).any()
