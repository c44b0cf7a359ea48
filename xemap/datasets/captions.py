"""Images with captions as samples for retrieval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from xemap.datasets.query_dataset import QueryDataset
from xemap.errors import ConfigError
from xemap.registry import DATASETS
from xemap.structures import PolygonRegion, Query
from xemap.structures.captions import load_captions


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
        ann_file: captions file, see :func:`~xemap.structures.captions.load_captions`; a relative path is tried as it
            stands, then under ``data_root``.
        data_root: folder of the data set.
        img_dir: folder of the images below ``data_root``.
        split: which images.
        pipeline: steps, as configs or callables.
        captions_per_sample: see above; an image with fewer gives all it has.
        test_mode: evaluation, see above.
        seed: seed of everything random.
        indices: only the first n samples (int; negative: the last), or the samples listed.
        lazy_init: read the captions file on first use.

    Raises:
        DataError: as :func:`~xemap.structures.captions.load_captions`.
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
