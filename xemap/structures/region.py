"""Regions of an image, stored compactly: polygons or a run-length coded mask.

Coordinates are (x, y) in pixels of the original image, origin top left. Pixel centers have integer
coordinates and a drawn outline belongs to the region, as in cv2, which the SeLo evaluator draws with.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from xemap.errors import DataError
from xemap.raster.resize import resize
from xemap.structures.run_coverage import coverage_of_runs

COVERAGE_OVERSAMPLING = 4
"""Polygons are rasterized at up to this many times the output resolution before averaging."""

FLIP_AXES = {'horizontal': 1, 'vertical': 0}
"""Array axis that a flip reverses."""

EXACT_COVERAGE_PIXELS = 1 << 24
"""Coverage of larger masks is computed with 8 bits, in a quarter of the memory: within 1/510."""

RUN_COVERAGE_PIXELS = 1 << 21
"""Coverage of larger masks is computed from their runs, in time that does not follow their size."""


class Region(ABC):
    """Where the referent of a query lies."""

    @abstractmethod
    def mask(self, size: tuple[int, int]) -> np.ndarray:
        """Pixels of the region.

        Args:
            size: (height, width) of the original image.

        Returns:
            (height, width) bool; overlapping polygons are united.
        """

    @abstractmethod
    def coverage(self, size: tuple[int, int], out_size: tuple[int, int]) -> np.ndarray:
        """Share of every output pixel that the region covers, after a resize of the image.

        Args:
            size: (height, width) of the original image.
            out_size: (height, width) of the resized image.

        Returns:
            ``out_size`` float32 in [0, 1].
        """

    @abstractmethod
    def polygons(self, size: tuple[int, int], min_area: float = 0.0) -> list[np.ndarray]:
        """Outlines, as a list of (V, 2) float64 x, y pixels.

        Args:
            size: (height, width) of the original image.
            min_area: leave out components smaller than this many pixels (masks only; polygons are
                returned exactly as annotated, because the SeLo metrics depend on their vertices).
        """

    @property
    @abstractmethod
    def is_empty(self) -> bool:
        """The region has no polygon, or its mask no pixel: the referent of its query is not in the image."""

    @abstractmethod
    def box(self, size: tuple[int, int]) -> np.ndarray:
        """The box around the whole region.

        A mask's box holds its pixels, pixel j being j <= x < j + 1, as boxes of answers do. A polygon's box is that of
        its vertices, as annotated: a box that a data set gives as two corners, and that became four vertices, comes
        back exactly. A line is one pixel wide. The box of a flipped or rotated region is the flipped or rotated box.

        Args:
            size: (height, width) of the original image.

        Returns:
            (4,) float64 x0, y0, x1, y1, cut at the image's border; zeros where nothing of the region is in the image.
        """

    @abstractmethod
    def flipped(self, size: tuple[int, int], direction: str) -> Region:
        """The region in the image mirrored ``'horizontal'`` ly or ``'vertical'`` ly."""

    @abstractmethod
    def rotated(self, size: tuple[int, int], turns: int) -> Region:
        """The region in the image rotated by quarter turns counterclockwise, as :func:`numpy.rot90` does."""

    @abstractmethod
    def cropped(self, size: tuple[int, int], box: tuple[int, int, int, int]) -> Region:
        """The region in the part x0, y0, x1, y1 of the image, in whole pixels.

        Polygons keep their vertices, also those outside of the part; polygons wholly outside are left out.
        """


class PolygonRegion(Region):
    """One or more polygons.

    Args:
        polygons: each (V, 2) or a flat x0, y0, x1, y1… list; V >= 2 (the SeLo protocol has line
            segments; builders of data sets should reject fewer than 3).
        hand_drawn: an annotator drew them for this query, as in AIR-SLT. The SeLo metrics fill such polygons by
            their authors' even-odd rule; polygons made from labels (boxes, instances) are united first.

    Raises:
        DataError: a polygon with fewer than 2 vertices, an odd number of coordinates, or a
            coordinate that is not finite.
    """

    def __init__(self, polygons, hand_drawn: bool = False) -> None:
        self.hand_drawn = hand_drawn
        # Vertices are mirrored as pixel centers, at size - 1 - x, and boxes as extents, at size - x.
        self._mirrored = np.zeros(2, bool)  # along x, y
        self._polygons = []
        for polygon in polygons:
            points = np.asarray(polygon, dtype=np.float64)
            if points.ndim > 2 or (points.ndim == 2 and points.shape[1] != 2):
                raise DataError(f'polygon of shape {points.shape}; give (V, 2) or a flat list x0, y0, x1, y1…')
            flat = points.reshape(-1)
            if flat.size % 2 or flat.size < 4:
                raise DataError(f'polygon with {flat.size} coordinates; give x, y pairs of at least 2 vertices')
            if not np.isfinite(flat).all():
                where = int(np.flatnonzero(~np.isfinite(flat))[0])
                raise DataError(f'polygon with a coordinate that is not finite: {flat[where]} at vertex {where // 2}')
            self._polygons.append(flat.reshape(-1, 2))

    def __eq__(self, other) -> bool:
        return (
            isinstance(other, PolygonRegion)
            and self.hand_drawn == other.hand_drawn
            and np.array_equal(self._mirrored, other._mirrored)
            and len(self._polygons) == len(other._polygons)
            and all(np.array_equal(a, b) for a, b in zip(self._polygons, other._polygons))
        )

    def __repr__(self) -> str:
        return f'PolygonRegion({len(self._polygons)} polygons)'

    def mask(self, size: tuple[int, int]) -> np.ndarray:
        return self._fill(size, 1.0, 1.0).astype(bool)

    def coverage(self, size: tuple[int, int], out_size: tuple[int, int]) -> np.ndarray:
        (height, width), (out_h, out_w) = size, out_size
        # Filling at a multiple of the output keeps thin objects, and costs nothing near full size.
        factor = max(1, min(COVERAGE_OVERSAMPLING, round(max(height / out_h, width / out_w))))
        canvas = (out_h * factor, out_w * factor)
        filled = self._fill(canvas, canvas[1] / width, canvas[0] / height)
        if factor == 1:
            return filled.astype(np.float32)
        return resize(filled.astype(np.float32), out_size)

    def polygons(self, size: tuple[int, int], min_area: float = 0.0) -> list[np.ndarray]:
        return [polygon.copy() for polygon in self._polygons]

    @property
    def is_empty(self) -> bool:
        return not self._polygons

    def box(self, size: tuple[int, int]) -> np.ndarray:
        if self.is_empty:
            return np.zeros(4)
        vertices, sides = np.concatenate(self._polygons), np.array(size[::-1])
        low, high = self._mirror_back(vertices.min(0), vertices.max(0), sides - 1)
        if (high < 0).any() or (low > sides).any():
            return np.zeros(4)
        low, high = low.clip(0, sides), high.clip(0, sides)
        flat = low == high  # a line has the width of its pixels
        low[flat] = np.minimum(low, sides - 1)[flat]
        high[flat] = low[flat] + 1
        return np.concatenate(self._mirror_back(low, high, sides))

    def _mirror_back(self, low: np.ndarray, high: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bounds (2,) x, y, with those of mirrored axes turned round, from 0 .. end to end .. 0."""
        return np.where(self._mirrored, end - high, low), np.where(self._mirrored, end - low, high)

    def _moved(self, polygons: list[np.ndarray], mirrored: np.ndarray) -> PolygonRegion:
        region = PolygonRegion(polygons, self.hand_drawn)
        region._mirrored = mirrored
        return region

    def flipped(self, size: tuple[int, int], direction: str) -> PolygonRegion:
        axis = FLIP_AXES[direction]
        mirrored = [polygon.copy() for polygon in self._polygons]
        for polygon in mirrored:
            polygon[:, 1 - axis] = size[axis] - 1 - polygon[:, 1 - axis]  # columns are x, y
        return self._moved(mirrored, self._mirrored ^ (np.arange(2) == 1 - axis))

    def rotated(self, size: tuple[int, int], turns: int) -> PolygonRegion:
        rotated, mirrored, (height, width) = self._polygons, self._mirrored, size
        for _ in range(turns % 4):
            rotated = [np.stack([polygon[:, 1], width - 1 - polygon[:, 0]], 1) for polygon in rotated]
            mirrored = mirrored[::-1] ^ (False, True)
            height, width = width, height
        return self._moved(rotated, mirrored)

    def cropped(self, size: tuple[int, int], box: tuple[int, int, int, int]) -> PolygonRegion:
        low, high = np.array(box[:2]), np.array(box[2:])
        seen = [p for p in self._polygons if (p.max(0) > low - 0.5).all() and (p.min(0) < high - 0.5).all()]
        return self._moved([polygon - low for polygon in seen], self._mirrored)

    def _fill(self, canvas: tuple[int, int], scale_x: float, scale_y: float) -> np.ndarray:
        filled = np.zeros(canvas, np.uint8)
        limit = 1 << 24  # cv2 works in int32 with fraction bits; anything this far is outside anyway
        for polygon in self._polygons:
            # Pixel centers are integers, so a resize maps x to (x + 0.5) * s - 0.5.
            scaled = (polygon + 0.5) * (scale_x, scale_y) - 0.5
            points = np.clip(np.round(scaled), -limit, limit).astype(np.int32)
            cv2.fillPoly(filled, [points], 1)
        return filled


class MaskRegion(Region):
    """A binary mask, held as a COCO run-length code.

    Args:
        rle: ``{'size': [height, width], 'counts': bytes}`` as pycocotools encodes it; uncompressed
            counts, a list of integers, are accepted too.

    Raises:
        DataError: when the mask is read: its size is not the image's, or its runs do not add up to
            its size.
    """

    def __init__(self, rle: dict) -> None:
        height, width = (int(n) for n in rle['size'])
        counts = rle['counts']
        if isinstance(counts, (list, tuple)):
            counts = coco_mask.frPyObjects({'size': [height, width], 'counts': list(counts)}, height, width)['counts']
        elif isinstance(counts, str):
            counts = counts.encode()
        self._code: dict = {'size': [height, width], 'counts': bytes(counts)}
        self._mirrored: frozenset[int] = frozenset()  # axes, applied after decoding: encoding is slow

    @classmethod
    def from_mask(cls, mask: np.ndarray) -> MaskRegion:
        """From an (H, W) bool or 0/1 array."""
        return cls(coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8)))

    def __eq__(self, other) -> bool:
        return isinstance(other, MaskRegion) and self.rle == other.rle

    def __repr__(self) -> str:
        height, width = self._code['size']
        return f'MaskRegion({height} x {width})'

    @property
    def rle(self) -> dict:
        """``{'size': [height, width], 'counts': bytes}``, as pycocotools encodes it."""
        if self._mirrored:
            height, width = self._code['size']
            self._code, self._mirrored = MaskRegion.from_mask(self.mask((height, width)))._code, frozenset()
        return self._code

    @cached_property
    def area(self) -> int:
        """Number of pixels in the mask."""
        return int(self._runs()[1::2].sum())

    def mask(self, size: tuple[int, int]) -> np.ndarray:
        return np.flip(self._decoded(size), tuple(self._mirrored))

    def _decoded(self, size: tuple[int, int]) -> np.ndarray:
        """The mask before mirroring, (height, width) bool, contiguous down its columns."""
        self._check_size(size)
        height, width = self._code['size']
        runs = self._runs()
        return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T

    def coverage(self, size: tuple[int, int], out_size: tuple[int, int]) -> np.ndarray:
        between = min(size[0], out_size[0]), min(size[1], out_size[1])
        if between != tuple(out_size) and between != tuple(size):  # one side shrinks, the other grows
            return resize(self.coverage(size, between), out_size)
        shrinks = between == tuple(out_size)
        if shrinks and tuple(self._code['size']) == tuple(size) and size[0] * size[1] > RUN_COVERAGE_PIXELS:
            runs = self._runs()
            if 64 * len(runs) < size[0] * size[1]:  # speckle is quicker pixel by pixel
                return np.ascontiguousarray(np.flip(coverage_of_runs(runs, size, out_size), tuple(self._mirrored)))
        transposed = self._decoded(size).view(np.uint8).T
        if transposed.size <= EXACT_COVERAGE_PIXELS:
            resized = resize(transposed.astype(np.float32), out_size[::-1])
        else:
            transposed *= 255
            resized = resize(transposed, out_size[::-1]).astype(np.float32) / 255
        return np.ascontiguousarray(np.flip(cv2.transpose(resized), tuple(self._mirrored)))

    def polygons(self, size: tuple[int, int], min_area: float = 0.0) -> list[np.ndarray]:
        outlines, _ = cv2.findContours(self.mask(size).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        kept = [outline for outline in outlines if cv2.contourArea(outline) >= min_area]
        return [outline.reshape(-1, 2).astype(np.float64) for outline in kept]

    @property
    def is_empty(self) -> bool:
        return self.area == 0

    def box(self, size: tuple[int, int]) -> np.ndarray:
        self._check_size(size)
        height, width = self._code['size']
        runs = self._runs()
        edges = np.cumsum(runs)[: len(runs) // 2 * 2].reshape(-1, 2)
        first, end = edges[edges[:, 0] < edges[:, 1]].T
        if not len(first):
            return np.zeros(4)
        left, right = first[0] // height, (end[-1] - 1) // height + 1
        # A run that goes on in the next column touches the image's lower and upper border.
        wraps = (first // height != (end - 1) // height).any()
        top = 0 if wraps else (first % height).min()
        bottom = height if wraps else ((end - 1) % height).max() + 1
        if FLIP_AXES['horizontal'] in self._mirrored:
            left, right = width - right, width - left
        if FLIP_AXES['vertical'] in self._mirrored:
            top, bottom = height - bottom, height - top
        return np.array([left, top, right, bottom], np.float64)

    def flipped(self, size: tuple[int, int], direction: str) -> MaskRegion:
        region = MaskRegion(self._code)
        region._mirrored = self._mirrored ^ {FLIP_AXES[direction]}
        return region

    def rotated(self, size: tuple[int, int], turns: int) -> MaskRegion:
        return MaskRegion.from_mask(np.rot90(self.mask(size), turns))

    def cropped(self, size: tuple[int, int], box: tuple[int, int, int, int]) -> MaskRegion:
        return MaskRegion.from_mask(self.mask(size)[box[1] : box[3], box[0] : box[2]])

    def _check_size(self, size: tuple[int, int]) -> None:
        if tuple(self._code['size']) != tuple(size):
            raise DataError(
                f'mask of size {tuple(self._code["size"])} for an image of size {tuple(size)} (height, width); '
                'image and annotation do not belong together'
            )

    def _runs(self) -> np.ndarray:
        """Lengths of the alternating runs of 0 and 1, column by column; (n,) int64.

        Decoded here because pycocotools returns uninitialized memory where runs are missing.
        """
        digits = np.frombuffer(self._code['counts'], np.uint8).astype(np.int64) - 48
        if digits.size == 0 or (digits < 0).any() or (digits >= 64).any() or digits[-1] & 32:
            raise self._broken()
        # A number is a group of 5-bit digits, lowest first; bit 6 of a digit says that more follow, bit 5 of
        # the last is the sign.
        last = np.flatnonzero(digits & 32 == 0)
        first = np.concatenate([[0], last[:-1] + 1])
        place = np.arange(digits.size) - np.repeat(first, last - first + 1)
        if place.max() > 11:
            raise self._broken()
        numbers = np.add.reduceat((digits & 31) << (5 * place), first)
        numbers -= (digits[last] >> 4 & 1) << (5 * (place[last] + 1))
        # From the third run on (the fourth for runs of 1), a number is the difference to the run two before.
        runs = numbers.copy()
        runs[1::2] = np.cumsum(numbers[1::2])
        runs[2::2] = np.cumsum(numbers[2::2])
        height, width = self._code['size']
        if (runs < 0).any() or (runs > height * width).any() or runs.sum() != height * width:
            raise self._broken()
        return runs

    def _broken(self) -> DataError:
        return DataError(f'run-length code that does not describe a {self._code["size"]} mask; encode the mask again')
