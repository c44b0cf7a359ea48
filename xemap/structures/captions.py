"""Images with captions, as RSITMD, RSICD, UCM-Captions and Sydney-Captions publish them.

One JSON file for all splits::

    {"images": [{"filename": "boat_0.tif", "split": "test", "sentences": [{"raw": "Two large ships …"}, …]}, …]}

Further keys (``imgid``, ``tokens``, ``sentids``, …) are not used. Writing it is
:func:`write_captions`; reading it is :func:`load_captions`, which the data set and the vocabulary share.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from xemap.errors import DataError
from xemap.files import write_text


@dataclass(frozen=True)
class CaptionedImage:
    """An image and its captions.

    Args:
        filename: path below the folder of images, ``/`` as separator.
        captions: at least one in a data set; no text is empty.
        split: ``'train'``, ``'val'`` or ``'test'``.
    """

    filename: str
    captions: tuple[str, ...]
    split: str = 'train'


def load_captions(ann_file: str | Path, split: str | None = None) -> list[CaptionedImage]:
    """Read a captions file.

    Empty captions, and images that have no other, are left out with a warning: RSITMD has twenty.

    Args:
        ann_file: JSON as described above.
        split: only its images; None takes all.

    Returns:
        the images in the order of the file.

    Raises:
        DataError: the file is missing, no such JSON, or has no image of the split.
    """
    path = Path(ann_file)
    if not path.is_file():
        raise DataError(f'captions file {path} does not exist; give the data set\'s JSON ("images", "sentences")')
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise DataError(f'captions file {path} is no JSON ({error}); copy it again') from error
    entries = content.get('images') if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise DataError(
            f'captions file {path} has no list "images"; give the JSON file of RSITMD, RSICD, UCM or Sydney'
        )
    images = [_read_entry(entry, f'{path}: images[{i}]') for i, entry in enumerate(entries)]
    chosen = [image for image in images if split is None or image.split == split]
    _warn_of_empty(path, [image for image in chosen if not image.captions or not all(image.captions)])
    chosen = [image for image in map(_without_empty, chosen) if image.captions]
    if not chosen:
        known = ', '.join(sorted({image.split for image in images})) or 'none'
        raise DataError(f'captions file {path} has no captioned image of split "{split}"; its splits are {known}')
    return chosen


def caption_texts(ann_file: str | Path, split: str | None = None) -> list[str]:
    """All captions of a file in order; arguments and errors as :func:`load_captions`."""
    return [caption for image in load_captions(ann_file, split) for caption in image.captions]


def write_captions(ann_file: str | Path, images: Iterable[CaptionedImage], info: dict | None = None) -> None:
    """Write a captions file; it appears only when it is complete.

    Args:
        ann_file: JSON file to write.
        images: the images of all splits.
        info: further top-level entries.
    """
    entries = [
        {
            'filename': image.filename,
            'imgid': i,
            'split': image.split,
            'sentences': [{'raw': caption, 'imgid': i} for caption in image.captions],
        }
        for i, image in enumerate(images)
    ]
    write_text(ann_file, json.dumps({**(info or {}), 'images': entries}, ensure_ascii=False, indent=1))


def _read_entry(entry: Any, place: str) -> CaptionedImage:
    try:
        name, split = entry['filename'], entry['split']
        captions = tuple(' '.join(sentence['raw'].split()) for sentence in entry['sentences'])
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f'{place} is not {{filename, split, sentences: [{{raw}}]}} ({type(error).__name__}: {error}); correct it'
        ) from error
    if not isinstance(name, str) or not isinstance(split, str):
        raise DataError(f'{place}: filename {name!r} and split {split!r} must be texts')
    return CaptionedImage(name, captions, split)


def _without_empty(image: CaptionedImage) -> CaptionedImage:
    return replace(image, captions=tuple(caption for caption in image.captions if caption))


def _warn_of_empty(path: Path, images: list[CaptionedImage]) -> None:
    if images:
        empty = sum(caption == '' for image in images for caption in image.captions)
        without = sum(not any(image.captions) for image in images)
        print_log(
            f'{path}: left out {empty} empty captions, and {without} images without any other, the first of '
            f'{images[0].filename}',
            logger='current',
            level=logging.WARNING,
        )
