"""The data set: images with their queries, read from one annotation file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from mmengine.logging import print_log

from xemap.datasets.annotations import AnnotationFile
from xemap.datasets.query_dataset import QueryDataset
from xemap.errors import ConfigError, DataError
from xemap.registry import DATASETS
from xemap.structures import QUERY_KINDS


@DATASETS.register_module()
class XeMapDataset(QueryDataset):
    """Images with their queries.

    The annotations stay in the memory-mapped file and are shared by all processes; a data set holds one
    integer and one count per image. Images without queries are left out.

    ``dataset[i]`` is image i in epoch 0, ``dataset[epoch, i]`` the same image with the augmentation of
    that epoch, see :class:`~xemap.datasets.query_dataset.QueryDataset`.

    A pipeline step takes and returns a dictionary with

    - ``img_path``, ``source``, ``ori_shape`` (h, w), ``sample_idx`` (row of the annotation file),
    - ``queries``: list of :class:`~xemap.structures.Query`, ``query_ids``: place of each in its row,
    - ``rng``: the generator that every random step draws from,
    - after :class:`LoadImage` ``img`` (H, W, 3) uint8 RGB and ``img_shape`` (h, w),
    - after :class:`GenerateMaps` ``gt_maps`` (Q, H, W) float32 in [0, 1].

    Args:
        ann_file: annotation file; a relative path is tried as it stands, then under ``data_root``.
        data_root: folder that the image paths in the file are relative to.
        pipeline: steps, as configs or callables.
        max_queries: in training, queries a sample at most, a random subset where there are more.
        flat: in training, a sample is one (image, query) pair, an image comes up once for each of its queries.
        every_query: in training, an image with more than ``max_queries`` queries comes up again in the same epoch
            until each was drawn once; otherwise they are drawn anew in each epoch.
        test_mode: evaluation; every query of every image, so ``max_queries`` must be None and ``flat`` False.
        seed: seed of everything random.
        indices: only the first n images (int; negative: the last), or the images listed.
        sources: only images of these sources.
        kinds: only queries of these kinds (:data:`~xemap.structures.QUERY_KINDS`).
        metainfo: entries to add to the file's own information.
        lazy_init: read the annotation file on first use.

    Raises:
        DataError: the annotation file is missing, broken or of another version, or has an empty query.
        ConfigError: an argument that does not fit, or filters that leave nothing.
    """

    _metainfo: dict

    def __init__(
        self,
        ann_file: str,
        data_root: str = '',
        pipeline: Sequence[dict | Callable] = (),
        max_queries: int | None = None,
        flat: bool = False,
        every_query: bool = False,
        test_mode: bool = False,
        seed: int = 0,
        indices: int | Sequence[int] | None = None,
        sources: Sequence[str] | None = None,
        kinds: Sequence[str] | None = None,
        metainfo: dict | None = None,
        lazy_init: bool = False,
    ) -> None:
        if max_queries is not None and (test_mode or max_queries < 1):
            reason = 'is at least 1' if max_queries < 1 else 'would leave queries out of an evaluation; set it to None'
            raise ConfigError(f'XeMapDataset: max_queries={max_queries} {reason}')
        if flat and (test_mode or max_queries is not None):
            reason = 'an evaluation asks an image all its queries' if test_mode else 'leave max_queries out'
            raise ConfigError(f'XeMapDataset: flat=True makes samples of one query; {reason}')
        if unknown := set(kinds or ()) - set(QUERY_KINDS):
            raise ConfigError(f'XeMapDataset: kinds has {sorted(unknown)}; known kinds are {list(QUERY_KINDS)}')
        if every_query and max_queries is None:
            raise ConfigError('XeMapDataset: every_query=True divides the queries of an image; give max_queries')
        self._chunk = 1 if flat else max_queries if every_query else None
        self.sources = None if sources is None else list(sources)
        self.kinds = None if kinds is None else list(kinds)
        options = dict(ann_file=ann_file, metainfo=metainfo, data_root=data_root, indices=indices)
        super().__init__(pipeline, max_queries, seed, dict(options, test_mode=test_mode, lazy_init=lazy_init))

    def load_data_list(self) -> np.ndarray:
        """Open the annotation file.

        Returns:
            (n,) int64: the rows with a query to ask; or, where samples are parts of an image's queries, the place of
            each part's first query among all queries that fit.
        """
        self.annotations = AnnotationFile(self.ann_file)
        self._metainfo = {'dataset_type': type(self).__name__, **self.annotations.info, **self._metainfo}
        self._reject_empty_texts()
        counts = self._counts_of_kinds()
        used = counts > 0
        if self.sources is not None:
            used &= _is_in(self.annotations.image_column('source'), self.sources)
        self._row_counts, self._row_ends = counts, np.cumsum(counts)
        rows = np.flatnonzero(used)
        if not len(rows):
            raise ConfigError(
                f'{self.ann_file}: none of its {len(counts)} images has a query with sources={self.sources} and '
                f'kinds={self.kinds}; tools/analysis/dataset_info.py shows what it has'
            )
        if left_out := len(counts) - len(rows):
            print_log(
                f'{self.ann_file}: {left_out} of {len(counts)} images have no query that fits and are left out',
                logger='current',
                level=logging.INFO,
            )
        if self._chunk is None:
            return rows
        parts = -(-counts // self._chunk) * used
        place_in_row = np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)
        return np.repeat(self._row_ends - counts, parts) + self._chunk * place_in_row

    def query_counts(self) -> np.ndarray:
        """Number of queries of every sample, at most ``max_queries``; (len(self),) int64."""
        if not self._fully_initialized:
            self.full_init()
        if self._chunk is not None:
            starts = np.asarray(self.data_list)
            ends = self._row_ends[np.searchsorted(self._row_ends, starts, side='right')]
            return np.minimum(ends - starts, self._chunk).astype(np.int64)
        counts = self._row_counts[np.asarray(self.data_list)].astype(np.int64)
        return counts if self.max_queries is None else np.minimum(counts, self.max_queries)

    def get_data_info(self, idx: int) -> dict:
        """Image ``idx`` with its queries, all or those of this sample, before the pipeline and without ``rng``."""
        if not self._fully_initialized:
            self.full_init()
        row, chosen = int(self.data_list[idx]), slice(None)
        if self._chunk is not None:
            row, first = int(np.searchsorted(self._row_ends, row, side='right')), row
            place = first - int(self._row_ends[row] - self._row_counts[row])
            chosen = slice(place, place + self._chunk)
        record = self.annotations[row]
        ids = [i for i, query in enumerate(record.queries) if self.kinds is None or query.kind in self.kinds]
        ids = ids[chosen]
        return {
            'img_path': str(Path(self.data_root) / record.image),
            'source': record.source,
            'ori_shape': record.size,
            'sample_idx': row,
            'queries': [record.queries[i] for i in ids],
            'query_ids': ids,
        }

    def _counts_of_kinds(self) -> np.ndarray:
        counts = self.annotations.query_counts()
        if self.kinds is None:
            return counts
        fits = _is_in(self.annotations.query_column('kind'), self.kinds)
        fits_before = np.concatenate([[0], np.cumsum(fits)])
        return np.diff(fits_before[np.concatenate([[0], np.cumsum(counts)])])

    def _reject_empty_texts(self) -> None:
        texts = self.annotations.query_column('text')
        empty = pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(texts.fill_null(''))), 0)
        position = pc.index(empty, True).as_py()
        if position < 0:
            return
        ends = np.cumsum(self.annotations.query_counts())
        row = int(np.searchsorted(ends, position, side='right'))
        raise DataError(
            f'{self.ann_file}: {self.annotations[row].image} (row {row}) has an empty query; '
            'give it a text or remove it, and convert the data set again'
        )


def _is_in(column: pa.ChunkedArray, values: list[str]) -> np.ndarray:
    return pc.is_in(column, value_set=pa.array(values, pa.string())).to_numpy()
