"""Large images cut into crops: which windows, and the files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from xemap.errors import ConfigError, DataError
from xemap.files import replacing
from xemap.raster.image_io import image_size, read_image

Window = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels of the large image; x1 and y1 are the first column and row beyond it."""

PNG_LEVEL = 1
"""Level of compression: overhead images hardly shrink further at higher levels, which take several times as long."""


def crop_windows(width: int, height: int, size: int, stride: int | None = None, cover: bool = False) -> list[Window]:
    """Windows of ``size`` x ``size`` pixels over an image, row by row.

    Args:
        width, height: width and height of the image, pixels.
        size: side of a window.
        stride: from one window to the next; None = ``size``, so that they do not overlap.
        cover: add a last column and row at the border, so that no pixel is left out; an image smaller than a
            window gives a smaller one. Otherwise only whole windows of the grid: with the default stride
            (width // size) * (height // size), which are the 81 of a 5000 x 5000 tile at 512 that Table 1 of
            the paper implies.

    Raises:
        ConfigError: size or stride below 1.
    """
    stride = size if stride is None else stride
    if size < 1 or stride < 1:
        raise ConfigError(f'crops of {size} pixels every {stride}; both must be at least 1')
    return [
        (x, y, min(x + size, width), min(y + size, height))
        for y in _starts(height, size, stride, cover)
        for x in _starts(width, size, stride, cover)
    ]


def _starts(length: int, size: int, stride: int, cover: bool) -> list[int]:
    starts = list(range(0, length - size + 1, stride))
    if cover and length > 0:
        last = max(length - size, 0)
        if not starts or starts[-1] != last:
            starts.append(last)
    return starts


class CropWriter:
    """Writes crops as PNG files of 8-bit RGB, one folder for all; each appears only when it is complete.

    Only the last image is kept in memory, so ask for all crops of an image one after another.

    Args:
        folder: where the crops go, made if needed. Two images of one stem need two folders.
        size: side of the crops in pixels, for whoever lists them.
    """

    def __init__(self, folder: Path, size: int) -> None:
        if size < 1:
            raise ConfigError(f'crops of {size} pixels; at least 1 is needed')
        self.folder = Path(folder)
        self.size = size
        self._image: Path | None = None
        self._pixels = np.empty((0, 0, 3), np.uint8)

    def name(self, image: Path, window: Window) -> str:
        """File name of a crop: ``<stem>_<x0>_<y0>.png``."""
        return f'{image.stem}_{window[0]}_{window[1]}.png'

    def write(self, image: Path, window: Window) -> Path:
        """Write a crop unless it is there with the right size; the image is decoded only where needed.

        Args:
            image: the large image, see :func:`~xemap.raster.image_io.read_image`.
            window: one of :func:`crop_windows`.

        Returns:
            The crop's path.

        Raises:
            DataError: the image is missing or unreadable, or the window is not inside it.
        """
        x0, y0, x1, y1 = window
        path = self.folder / self.name(image, window)
        if _is_image(path, (y1 - y0, x1 - x0)):
            return path
        if image != self._image:
            self._image, self._pixels = None, np.empty((0, 0, 3), np.uint8)  # never two images at a time
            self._image, self._pixels = image, read_image(image)
        height, width = self._pixels.shape[:2]
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            raise DataError(
                f'crop {window} of {image}, which is {width} x {height} pixels; crop it again from the start'
            )
        with replacing(path) as part:
            Image.fromarray(np.ascontiguousarray(self._pixels[y0:y1, x0:x1])).save(part, compress_level=PNG_LEVEL)
        return path


def _is_image(path: Path, size: tuple[int, int]) -> bool:
    try:
        return path.is_file() and image_size(path) == size
    except DataError:
        return False
