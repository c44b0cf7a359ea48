"""Samples that are parts of an image's queries: one pair each, or all of them in several samples."""

from __future__ import annotations

import numpy as np
import pytest
from mmengine.dataset import DefaultSampler

from tests.datasets.toy import write_toy
from xemap.datasets.samplers import PairBatchSampler
from xemap.datasets.xemap_dataset import XeMapDataset
from xemap.errors import ConfigError


@pytest.fixture(scope='module')
def ann_file(tmp_path_factory):
    return write_toy(tmp_path_factory.mktemp('toy'))


def pairs(dataset: XeMapDataset) -> list[tuple]:
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return [
        (info['sample_idx'], query_id, query.text)
        for info in infos
        for query_id, query in zip(info['query_ids'], info['queries'])
    ]


@pytest.mark.parametrize('filters', [{}, {'sources': ['b']}, {'kinds': ['attribute', 'position']}, {'indices': 2}])
def test_every_pair_of_the_grouped_set_once(ann_file, filters):
    grouped = XeMapDataset(str(ann_file), **filters)
    # The first two samples of a flat set are the first two pairs.
    expected = pairs(grouped)[:2] if 'indices' in filters else pairs(grouped)
    flat = XeMapDataset(str(ann_file), flat=True, **filters)
    assert pairs(flat) == expected
    assert flat.query_counts().tolist() == [1] * len(expected)


@pytest.mark.parametrize('most', [1, 2, 3, 99])
@pytest.mark.parametrize('filters', [{}, {'sources': ['b']}, {'kinds': ['attribute', 'position']}])
def test_an_epoch_of_every_query(ann_file, filters, most):
    grouped = XeMapDataset(str(ann_file), **filters)
    divided = XeMapDataset(str(ann_file), max_queries=most, every_query=True, **filters)
    assert pairs(divided) == pairs(grouped)
    counts = [len(divided.get_data_info(i)['queries']) for i in range(len(divided))]
    assert divided.query_counts().tolist() == counts and max(counts) <= most
    assert len(divided) == sum(-(-count // most) for count in grouped.query_counts())


def test_batches_have_the_same_number_of_pairs(ann_file):
    flat = XeMapDataset(str(ann_file), flat=True)
    batches = list(PairBatchSampler(DefaultSampler(flat, seed=0), pairs_per_batch=3))
    assert sorted(len(batch) for batch in batches) == [2, 3, 3, 3]
    assert sorted(np.concatenate(batches)[:, 1]) == list(range(11))


def test_refusals(ann_file):
    with pytest.raises(ConfigError, match='leave max_queries out'):
        XeMapDataset(str(ann_file), flat=True, max_queries=2)
    with pytest.raises(ConfigError, match='an evaluation asks'):
        XeMapDataset(str(ann_file), flat=True, test_mode=True)
    with pytest.raises(ConfigError, match='every_query=True divides the queries of an image; give max_queries'):
        XeMapDataset(str(ann_file), every_query=True)
