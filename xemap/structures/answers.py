"""Answers of a model to the queries of one image: maps, masks or boxes, and each of them as any other.

The three forms are a ladder, map -> mask -> box. A threshold makes a mask of a map, and bounds make a box of a mask;
a filled box is a mask, and a mask of 0 and 1 is a map.

All forms share one frame. Pixel (row i, column j) of an image is the square j <= x < j + 1, i <= y < i + 1; boxes are
x0, y0, x1, y1 in these coordinates, so that x1 - x0 is a width in pixels and the box of the whole image is
(0, 0, width, height). A box fills the pixels whose centers, (j + 0.5, i + 0.5), lie in it, x0 <= x < x1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from xemap.errors import DataError
from xemap.raster.resize import resize_map

Size = tuple[int, int]
"""(height, width) in pixels."""


class Answers(ABC):
    """Answers of one image to its Q queries.

    Attributes:
        form: the form that the model predicts, ``'map'``, ``'mask'`` or ``'box'``.
        data: the prediction in that form, see the subclasses.
        size: (height, width) of the frame that ``data`` lies in; it shows the whole image, at any resolution.
        scores: (Q,) float32 in [0, 1], how good an answer is.
        presence: (Q,) float32 in [0, 1], confidence that the image holds a referent of the query.
    """

    form: ClassVar[str]

    def __init__(self, data: np.ndarray, size: Sequence[int], scores: Any, presence: Any) -> None:
        height, width = (int(side) for side in size)
        if height < 1 or width < 1:
            raise DataError(f'{type(self).__name__}: size {tuple(size)}; give a positive (height, width)')
        self.data, self.size = data, (height, width)
        self._scores, self._presence = (
            None if value is None else self._per_query(name, value)
            for name, value in (('scores', scores), ('presence', presence))
        )

    def __len__(self) -> int:
        return len(self.data)

    @staticmethod
    def join(parts: Sequence[Answers]) -> Answers:
        """Answers to the queries of several parts, one after another.

        Args:
            parts: at least one, all of one form and size.
        """
        first = parts[0]
        if len(parts) == 1:
            return first
        data = np.concatenate([part.data for part in parts])
        given: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ('scores', 'presence')
            if any(part._given()[name] is not None for part in parts)
        }
        return first._like(data, given)

    def __repr__(self) -> str:
        return f'{type(self).__name__}({len(self)} queries, {self.size[0]} x {self.size[1]})'

    def __getitem__(self, index: int | slice | Sequence[int]):
        """The answers to one query, or to several; always an object of this class."""
        chosen = [index] if isinstance(index, (int, np.integer)) else index
        return self._like(self.data[chosen], self._given(chosen))

    def __iter__(self) -> Iterator[Answers]:
        """The answer to each query, as answers to one."""
        return (self[index] for index in range(len(self)))

    @abstractmethod
    def maps(self, size: Size | None = None) -> np.ndarray:
        """Maps of the image.

        Args:
            size: (height, width) of the maps; None = ``self.size``.

        Returns:
            (Q, H, W) float32 in [0, 1].
        """

    @abstractmethod
    def masks(self, size: Size | None = None, threshold: float = 0.5) -> np.ndarray:
        """Pixels of the answers.

        Args:
            size: (height, width) of the masks; None = ``self.size``.
            threshold: threshold of maps: pixels of at least this value belong to the mask. Boxes do not need it.

        Returns:
            (Q, H, W) bool, equal to ``maps(size) >= threshold`` for a threshold in (0, 1].
        """

    @abstractmethod
    def boxes(self, size: Size | None = None, threshold: float = 0.5) -> np.ndarray:
        """Boxes around the answers, all parts of an answer in one.

        Args:
            size: (height, width) of the image in whose pixels the boxes are; None = ``self.size``.
            threshold: see :meth:`masks`.

        Returns:
            (Q, 4) float32 x0, y0, x1, y1, within the image; (0, 0, 0, 0) for an empty answer.
        """

    @abstractmethod
    def crop(self, x0: int, y0: int, x1: int, y1: int, size: Size | None = None) -> Answers:
        """The answers in a part of the frame, which becomes the whole frame: a network's input without its padding.

        Args:
            x0, y0, x1, y1: the part, in whole pixels.
            size: (height, width) of the frame in whose pixels the part is given; None = ``self.size``.

        Raises:
            DataError: the part is empty or does not lie in the frame.
        """

    @abstractmethod
    def resized(self, size: Size) -> Answers:
        """The same answers in a frame of ``size`` (height, width)."""

    @property
    def scores(self) -> np.ndarray:
        return self._default_scores() if self._scores is None else self._scores

    @property
    def presence(self) -> np.ndarray:
        return self.scores if self._presence is None else self._presence

    @abstractmethod
    def _default_scores(self) -> np.ndarray: ...

    @abstractmethod
    def _like(self, data: np.ndarray, given: dict[str, Any]) -> Answers:
        """Other predictions in the same frame, with scores and presence as far as they are given."""

    def _given(self, index: Any = slice(None)) -> dict[str, Any]:
        """Scores and presence of some queries, as far as they were given."""
        given = (('scores', self._scores), ('presence', self._presence))
        return {name: None if value is None else value[index] for name, value in given}

    def _per_query(self, name: str, value: Any) -> np.ndarray:
        array = as_array(value).astype(np.float32)
        if array.shape != (len(self.data),):
            raise DataError(f'{type(self).__name__}: {name} of shape {array.shape}; give one for each of {len(self)}')
        if not ((array >= 0) & (array <= 1)).all():
            raise DataError(f'{type(self).__name__}: {name} from {array.min()} to {array.max()}; give values in [0, 1]')
        return array

    def _part(self, box: tuple[int, int, int, int], size: Size | None) -> np.ndarray:
        """A part of the frame in pixels of ``self.size``, checked."""
        height, width = size or self.size
        x0, y0, x1, y1 = box
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            raise DataError(f'part {box} of a frame of {width} x {height} pixels; give x0 < x1, y0 < y1 within it')
        return np.array(box) * (self.size[::-1] * 2) / ((width, height) * 2)


class _PixelAnswers(Answers):
    """Answers that have a value for each pixel."""

    def __init__(self, values: Any, dtypes: tuple[type, ...], scores: Any, presence: Any) -> None:
        array = as_array(values)
        if array.ndim != 3 or 0 in array.shape[1:]:
            raise DataError(f'{type(self).__name__}: array of shape {array.shape}; give (queries, height, width)')
        if array.dtype not in dtypes:
            array = array.astype(np.float32)
        super().__init__(array, array.shape[1:], scores, presence)

    def maps(self, size: Size | None = None) -> np.ndarray:
        maps = np.empty((len(self), *(size or self.size)), np.float32)
        for out, map in zip(maps, self._resized(size)):
            out[...] = map
        return maps

    def masks(self, size: Size | None = None, threshold: float = 0.5) -> np.ndarray:
        masks = np.empty((len(self), *(size or self.size)), bool)
        for out, map in zip(masks, self._resized(size)):
            np.greater_equal(map, threshold, out=out)
        return masks

    def boxes(self, size: Size | None = None, threshold: float = 0.5) -> np.ndarray:
        boxes = [mask_box(map >= threshold) for map in self._resized(size)]
        return np.array(boxes, np.float32).reshape(-1, 4)

    def crop(self, x0: int, y0: int, x1: int, y1: int, size: Size | None = None):
        part = self._part((x0, y0, x1, y1), size)
        values = self.data
        if (part != np.rint(part)).any():
            # The part begins within a pixel of a coarse map: cut at the resolution that it is given in.
            values, part = self.maps(size), np.array([x0, y0, x1, y1])
        left, top, right, bottom = part.astype(int).tolist()
        return type(self)(values[:, top:bottom, left:right], **self._given())

    def resized(self, size: Size):
        return self if tuple(size) == self.size else type(self)(self.maps(size), **self._given())

    def _like(self, data: np.ndarray, given: dict[str, Any]):
        return type(self)(data, **given)

    def _resized(self, size: Size | None) -> Iterator[np.ndarray]:
        for values in self.data:
            yield resize_map(values.astype(np.float32, copy=False), size or self.size)

    def _default_scores(self) -> np.ndarray:
        return self.data.reshape(len(self), self.size[0] * self.size[1]).max(1).astype(np.float32)


class MapAnswers(_PixelAnswers):
    """A map of each query: how strongly each pixel belongs to its referents.

    Args:
        maps: (Q, h, w) float in [0, 1], tensor or array; any resolution.
        scores: (Q,) in [0, 1]; None = the peak of each map.
        presence: (Q,) in [0, 1]; None = ``scores``.

    Raises:
        DataError: shapes that do not fit.
    """

    form = 'map'

    def __init__(self, maps: Any, scores: Any = None, presence: Any = None) -> None:
        super().__init__(maps, (np.float32,), scores, presence)


class MaskAnswers(_PixelAnswers):
    """A mask of each query.

    Args:
        masks: (Q, h, w) bool, or float in [0, 1], the probability of each pixel; tensor or array; any resolution.
        scores: (Q,) in [0, 1]; None = the largest value of each mask.
        presence: (Q,) in [0, 1]; None = ``scores``.

    Raises:
        DataError: shapes that do not fit.
    """

    form = 'mask'

    def __init__(self, masks: Any, scores: Any = None, presence: Any = None) -> None:
        super().__init__(masks, (np.bool_, np.float32), scores, presence)


class BoxAnswers(Answers):
    """A box of each query.

    Args:
        boxes: (Q, 4) x0, y0, x1, y1 in pixels, tensor or array; cut at the image's border. A box without area is an
            empty answer.
        size: (height, width) of the image in whose pixels they are.
        scores: (Q,) in [0, 1]; None = 1, and 0 for an empty answer.
        presence: (Q,) in [0, 1]; None = ``scores``.

    Raises:
        DataError: shapes that do not fit, or a coordinate that is not finite.
    """

    form = 'box'

    def __init__(self, boxes: Any, size: Sequence[int], scores: Any = None, presence: Any = None) -> None:
        array = as_array(boxes).astype(np.float32)
        if array.ndim != 2 or array.shape[1] != 4:
            raise DataError(f'BoxAnswers: array of shape {array.shape}; give (queries, 4) x0, y0, x1, y1')
        if not np.isfinite(array).all():
            raise DataError(f'BoxAnswers: a box with a coordinate that is not finite: {array[~np.isfinite(array)][0]}')
        array = array.clip(0, np.array([size[1], size[0]] * 2, np.float32))
        array[~((array[:, 2:] > array[:, :2]).all(1))] = 0
        super().__init__(array, size, scores, presence)

    def maps(self, size: Size | None = None) -> np.ndarray:
        return self.masks(size).astype(np.float32)

    def masks(self, size: Size | None = None, threshold: float = 0.5) -> np.ndarray:
        masks = np.zeros((len(self), *(size or self.size)), bool)
        for mask, box in zip(masks, self.boxes(size)):
            fill_box(mask, box)
        return masks

    def boxes(self, size: Size | None = None, threshold: float = 0.5) -> np.ndarray:
        if size is None or tuple(size) == self.size:
            return self.data.copy()
        return (self.data.astype(np.float64) * (size[::-1] * 2) / (self.size[::-1] * 2)).astype(np.float32)

    def crop(self, x0: int, y0: int, x1: int, y1: int, size: Size | None = None) -> BoxAnswers:
        self._part((x0, y0, x1, y1), size)
        return BoxAnswers(self.boxes(size) - np.array([x0, y0] * 2), (y1 - y0, x1 - x0), **self._given())

    def resized(self, size: Size) -> BoxAnswers:
        return BoxAnswers(self.boxes(size), size, **self._given())

    def _like(self, data: np.ndarray, given: dict[str, Any]) -> BoxAnswers:
        return BoxAnswers(data, self.size, **given)

    def _default_scores(self) -> np.ndarray:
        return np.any(self.data, axis=1).astype(np.float32)


FORMS: dict[str, type[Answers]] = {kind.form: kind for kind in (MapAnswers, MaskAnswers, BoxAnswers)}
"""Classes of answers by form, the finest first."""


def as_array(values: Any) -> np.ndarray:
    """An array on the CPU of an array, a list, or a tensor of any device and precision."""
    if hasattr(values, 'detach'):
        values = values.detach().cpu()
        values = (values.float() if values.is_floating_point() else values).numpy()
    return np.asarray(values)


def mask_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Bounds x0, y0, x1, y1 of the pixels of an (H, W) bool mask; (0, 0, 0, 0) where it is empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def fill_box(rows: np.ndarray, box: Sequence[float], top: int = 0) -> None:
    """Set the pixels whose centers lie in a box x0, y0, x1, y1.

    A box with an area that holds no center fills the pixel that its own center lies in, so that small objects do not
    vanish at a coarse resolution.

    Args:
        rows: (h, W) bool or float, rows of an image.
        box: in pixels of the image.
        top: y of the first row.
    """
    x0, y0, x1, y1 = (float(edge) for edge in box)
    if x1 > x0 and y1 > y0:
        (first, last), (left, right) = _filled(y0, y1), _filled(x0, x1)
        rows[max(first - top, 0) : max(last - top, 0), left:right] = 1


def _filled(low: float, high: float) -> tuple[int, int]:
    first, last = (max(0, int(np.ceil(edge - 0.5))) for edge in (low, high))
    return (first, last) if last > first else (int((low + high) / 2), int((low + high) / 2) + 1)
