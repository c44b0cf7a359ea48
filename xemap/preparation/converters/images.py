"""Finding image files and reading their size."""

from __future__ import annotations

import os
from pathlib import Path

from xemap.errors import DataError
from xemap.raster.image_io import read_image

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.tif', '.tiff', '.bmp', '.webp')
JPEG_START, JPEG_END = b'\xff\xd8', b'\xff\xd9'
PNG_START, PNG_END = b'\x89PNG\r\n\x1a\n', b'\0\0\0\0IEND\xaeB`\x82'


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


def relative_name(path: Path, root: Path) -> str:
    """``path`` relative to the data set's root, with ``/`` as separator.

    Raises:
        DataError: the path is not below the root.
    """
    absolute, base = os.path.abspath(path), os.path.abspath(root)
    if os.path.commonpath([absolute, base]) != base:
        raise DataError(f'image {path} is not below --data-root {root}; give a data root that holds the images')
    return Path(absolute).relative_to(base).as_posix()
