"""Masks of class colors or numbers, read pixel by pixel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from xemap.errors import DataError
from xemap.preparation.converters.class_table import ClassTable
from xemap.preparation.converters.report import ConversionReport
from xemap.raster.plain_image import open_image

MIN_AREA = 2e-4
"""Default least share of the image for a query, and for a part to count as a referent: label noise
of a few pixels should be neither. About 50 pixels of a 512 x 512 image."""


FOREGROUND = 50
"""The threshold, out of 255, that loaders of RefSegRS use."""


def load_mask(path: Path, image: Path, size: tuple[int, int]) -> Image.Image:
    """A mask with its pixels decoded.

    Args:
        path: the mask file.
        image: the image that it belongs to, for errors.
        size: (height, width) of the image.

    Raises:
        DataError: the mask is missing, unreadable, or of another size.
    """
    with open_image(path) as mask:
        if (mask.height, mask.width) != size:
            raise DataError(
                f'image {image} is {size[1]} x {size[0]} pixels and its mask {path} '
                f'{mask.width} x {mask.height}; they do not belong together'
            )
        try:
            mask.load()
        except ValueError as error:  # Pillow before 13, for an uncompressed TIFF that is cut off
            raise DataError(f'{path} cannot be read ({error}); it is damaged, copy it again') from error
    return mask


def binary_mask(path: Path, size: tuple[int, int], report: ConversionReport) -> np.ndarray:
    """A mask of one thing, in the size of its image.

    Args:
        path: a gray or indexed image, or one of equal bands, with 0 and 255. Other values are counted in the report;
            those above :data:`FOREGROUND` belong to the mask.
        size: (height, width) of the image, to which a mask of another size is brought, see :func:`fit_mask`.
        report: the report of the conversion.

    Returns:
        (height, width) bool.

    Raises:
        DataError: the mask is missing or unreadable.
    """
    with open_image(path) as mask:
        pixels = np.asarray(mask.convert('L'))
    between = int(((pixels != 0) & (pixels != 255)).sum())
    if between:
        report.count('pixels_between', str(path), between)
    return fit_mask(pixels > FOREGROUND, size, str(path), report)


def fit_mask(mask: np.ndarray, size: tuple[int, int], where: str, report: ConversionReport) -> np.ndarray:
    """An (H, W) bool mask in another (height, width): as it is, or resized to the nearest pixel and counted."""
    if mask.shape == tuple(size):
        return mask
    report.count('masks_resized', f'{where}: {mask.shape[1]} x {mask.shape[0]} to {size[1]} x {size[0]}')
    return cv2.resize(mask.astype(np.uint8), (size[1], size[0]), interpolation=cv2.INTER_NEAREST).astype(bool)


def class_pixels(
    mask: Image.Image, table: ClassTable, where: str, report: ConversionReport, tolerance: float = 0.0
) -> Iterator[tuple[str, np.ndarray]]:
    """Name and pixels, (H, W) bool, of every class in a mask that the table does not ignore.

    Ignored pixels, and those of a color that is only near a class's, are counted in the report.

    Args:
        mask: see :meth:`ClassTable.mask_values`.
        table: the classes; several values of one name are united.
        where: the mask file, for errors and the report.
        report: the report of the conversion.
        tolerance: see :meth:`ClassTable.classes`.

    Raises:
        LabelError: the mask has a value that the table does not.
    """
    indices, guessed = table.classes(table.mask_values(mask, where), where, tolerance)
    if guessed:
        report.count('pixels_nearest', where, guessed)
    pixels = np.bincount(indices.reshape(-1), minlength=len(table.names))
    by_name: dict[str, list[int]] = {}
    for index in np.flatnonzero(pixels).tolist():
        if table.ignored[index]:
            report.count('pixels_ignored', f'{where}: {table.label(table.values[index])}', int(pixels[index]))
        else:
            by_name.setdefault(table.names[index], []).append(index)
    for name, members in by_name.items():
        yield name, np.isin(indices, members)
