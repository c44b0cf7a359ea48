"""Images with captions, as RSITMD, RSICD, UCM-Captions and Sydney-Captions publish them.

One JSON file for all splits::

    {"images": [{"filename": "boat_0.tif", "split": "test", "sentences": [{"raw": "Two large ships …"}, …]}, …]}

Further keys (``imgid``, ``tokens``, ``sentids``, …) are not used. Writing it is
:func:`write_captions`; reading it is :func:`load_captions`, which the data set and the vocabulary share.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log

from xemap.datasets.query_dataset import QueryDataset
from xemap.errors import ConfigError, DataError
from xemap.files import write_text
from xemap.registry import DATASETS
from xemap.structures import PolygonRegion, Query


@dataclass(frozen=True)
class CaptionedImage:
    """An image and what was said about it.

    Args:
        filename: path below the folder of images, ``/`` as separator.
        captions: at least one in a data set; no text is empty.
        split: of the data set.
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
        images: of all splits.
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


@DATASETS.register_module()
class CaptionDataset(QueryDataset):
    """Images with captions for retrieval.

    In training a sample is an image with one of its captions, and an epoch has as many samples as there are
    captions. With ``captions_per_sample`` above 1 a sample is an image with that many of its captions, drawn
    anew each epoch, and an epoch has as many samples as images: several texts cost little beside one image.
    In test mode a sample is an image with all of its captions. ``sample_idx`` numbers the images of the
    split; samples that share it show the same image, so their captions are no negatives.

    A pipeline step gets what steps of :class:`~xemap.datasets.XeMapDataset` get; captions are its
    ``queries``, without a region. The same transforms serve: ``LoadImage``, ``ResizeImage``,
    ``RandomFlip`` (which also mirrors direction words), ``PhotometricAugment``, ``PackXeMapInputs``.

    Args:
        ann_file: captions file, see :func:`load_captions`; a relative path is tried as it stands, then
            under ``data_root``.
        data_root: folder of the data set.
        img_dir: folder of the images below ``data_root``.
        split: which images.
        pipeline: steps, as configs or callables.
        captions_per_sample: see above; an image with fewer gives all it has.
        test_mode: evaluation, see above.
        seed: of everything random.
        indices: only the first n samples (int; negative: the last), or the samples listed.
        lazy_init: read the captions file on first use.

    Raises:
        DataError: as :func:`load_captions`.
        ConfigError: ``captions_per_sample`` below 1.
    """

    def __init__(
        self,
        ann_file: str,
        data_root: str = '',
        img_dir: str = '',
        split: str = 'train',
        pipeline: Sequence[dict | Callable] = (),
        captions_per_sample: int = 1,
        test_mode: bool = False,
        seed: int = 0,
        indices: int | Sequence[int] | None = None,
        lazy_init: bool = False,
    ) -> None:
        if captions_per_sample < 1:
            raise ConfigError(f'CaptionDataset: captions_per_sample={captions_per_sample}; give at least 1')
        self.split, self.img_dir, self.captions_per_sample = split, img_dir, captions_per_sample
        options = dict(ann_file=ann_file, data_root=data_root, indices=indices)
        most = None if test_mode else captions_per_sample
        super().__init__(pipeline, most, seed, dict(options, test_mode=test_mode, lazy_init=lazy_init))

    def load_data_list(self) -> np.ndarray:
        """Read the captions; the list is (n, 2) int64: image, and caption or -1 for several of them."""
        self.images = load_captions(self.ann_file, self.split)
        if self.test_mode or self.captions_per_sample > 1:
            return np.stack([np.arange(len(self.images)), np.full(len(self.images), -1)], axis=1)
        return np.array([(i, c) for i, image in enumerate(self.images) for c in range(len(image.captions))])

    def query_counts(self) -> np.ndarray:
        """Number of captions of every sample; (len(self),) int64."""
        if not self._fully_initialized:
            self.full_init()
        counts = np.array([len(self.images[i].captions) if c < 0 else 1 for i, c in np.asarray(self.data_list)])
        return counts if self.max_queries is None else np.minimum(counts, self.max_queries)

    def get_data_info(self, idx: int) -> dict:
        """Sample ``idx`` with all captions it may have, before the pipeline and without ``rng``."""
        if not self._fully_initialized:
            self.full_init()
        image, caption = map(int, self.data_list[idx])
        record = self.images[image]
        ids = list(range(len(record.captions))) if caption < 0 else [caption]
        return {
            'img_path': str(Path(self.data_root, self.img_dir, record.filename)),
            'source': Path(self.ann_file).stem,
            'sample_idx': image,
            'queries': [Query(record.captions[i], PolygonRegion([])) for i in ids],
            'query_ids': ids,
        }
