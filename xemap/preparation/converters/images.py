"""Finding image files and reading their size."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from xemap.errors import DataError
from xemap.raster.image_io import read_image

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.tif', '.tiff', '.bmp', '.webp')
JPEG_START, JPEG_END = b'\xff\xd8', b'\xff\xd9'
PNG_START, PNG_END = b'\x89PNG\r\n\x1a\n', b'\0\0\0\0IEND\xaeB`\x82'


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """A PIL image of which only the header is read until its pixels are asked for.

    Raises:
        DataError: the file is missing or no image that PIL reads, or its pixels turn out truncated.
    """
    if not path.is_file():
        raise DataError(f'image {path} does not exist; check --images and the names in the annotations')
    # Overhead images are larger than what Pillow takes for an attack.
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with Image.open(path) as image:
            yield image
    except UnidentifiedImageError as error:
        raise DataError(f'{path} is not a readable image; replace the file or leave it out') from error
    except (OSError, SyntaxError, ValueError) as error:  # Pillow: SyntaxError for PNG chunks, ValueError for TIFF
        raise DataError(f'{path} cannot be read ({error}); it is damaged, copy it again') from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) of an image, from its header alone where the format allows.

    Raises:
        DataError: the file is missing or unreadable.
    """
    try:
        with open_image(path) as image:
            return image.height, image.width
    except DataError:
        # 16-bit and many-band GeoTIFFs are read by OpenCV but not by Pillow.
        if path.suffix.lower() in ('.tif', '.tiff') and path.is_file():
            pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
            if pixels is not None:
                return pixels.shape[0], pixels.shape[1]
        raise


def check_whole(path: Path) -> None:
    """Find out whether an image file was cut off, without decoding it where its format has an end mark.

    Raises:
        DataError: its pixels cannot be read.
    """
    with path.open('rb') as handle:
        start = handle.read(8)
        handle.seek(-min(12, handle.seek(0, os.SEEK_END)), os.SEEK_END)
        end = handle.read()
    if not (start.startswith(JPEG_START) and end.endswith(JPEG_END) or start == PNG_START and end.endswith(PNG_END)):
        read_image(path)


def find_images(folder: Path, bad: Callable[[DataError, str], None]) -> dict[str, Path]:
    """Image files below a folder, by stem relative to it (``sub/name`` without suffix), sorted.

    Args:
        folder: where they are.
        bad: called with the error and its reason where two files share a stem; the first counts.

    Raises:
        DataError: the folder is missing or holds no images.
    """
    if not folder.is_dir():
        raise DataError(f'folder {folder} does not exist; relative folders are looked up below --data-root')
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob('*')):
        if path.suffix.lower() not in IMAGE_SUFFIXES or not path.is_file():
            continue
        stem = path.relative_to(folder).with_suffix('').as_posix()
        if stem in found:
            error = DataError(f'{found[stem]} and {path} have the same stem {stem!r}; keep one of them')
            bad(error, 'images_duplicated')
        else:
            found[stem] = path
    if not found:
        raise DataError(f'{folder} holds no image ({", ".join(IMAGE_SUFFIXES)})')
    return found


def relative_name(path: Path, root: Path) -> str:
    """``path`` relative to the data set's root, with ``/`` as separator.

    Raises:
        DataError: the path is not below the root.
    """
    absolute, base = os.path.abspath(path), os.path.abspath(root)
    if os.path.commonpath([absolute, base]) != base:
        raise DataError(f'image {path} is not below --data-root {root}; give a data root that holds the images')
    return Path(absolute).relative_to(base).as_posix()
