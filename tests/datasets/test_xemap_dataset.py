"""XeMapDataset: what it leaves out, what it draws, and that samples depend on (seed, epoch, index) only."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from tests.datasets.toy import write_toy
from xemap.cli import message_of
from xemap.datasets.annotations import write_annotations
from xemap.datasets.xemap_dataset import XeMapDataset
from xemap.errors import ConfigError, DataError
from xemap.registry import DATASETS
from xemap.structures import ImageRecord, PolygonRegion, Query, XeMapDataSample

PIPELINE = [
    dict(type='LoadImage'),
    dict(type='RandomFlip'),
    dict(type='ResizeImage', size=(32, 48)),
    dict(type='PhotometricAugment'),
    dict(type='GenerateMaps'),
    dict(type='PackXeMapInputs'),
]


@pytest.fixture(scope='module')
def ann_file(tmp_path_factory) -> Path:
    return write_toy(tmp_path_factory.mktemp('toy'))


def make(ann_file: Path, **kwargs) -> XeMapDataset:
    return XeMapDataset(str(ann_file), str(ann_file.parent), **{'pipeline': PIPELINE, **kwargs})


def same(a: dict, b: dict) -> bool:
    x, y = a['data_samples'], b['data_samples']
    return torch.equal(a['inputs'], b['inputs']) and x.texts == y.texts and torch.equal(x.gt_maps, y.gt_maps)


def test_sample(ann_file) -> None:
    dataset = make(ann_file)
    item = dataset[2]
    sample = item['data_samples']
    assert isinstance(sample, XeMapDataSample)
    assert item['inputs'].shape == (3, 32, 48) and item['inputs'].dtype == torch.uint8
    assert sample.gt_maps.shape == (1, 32, 48) and sample.gt_maps.dtype == torch.float32
    assert sample.gt_maps.max() == 1 and sample.gt_maps.min() >= 0
    assert sample.ori_shape == (90, 105) and sample.img_shape == (32, 48) and sample.source == 'b'
    assert sample.sample_idx == 3 and sample.query_ids == [0] and Path(sample.img_path) == ann_file.parent / '3.png'
    assert sample.texts == [query.text for query in sample.queries]


def test_leaves_out_images_without_queries(ann_file) -> None:
    dataset = make(ann_file, test_mode=True)
    assert len(dataset) == 4 and dataset.query_counts().tolist() == [2, 5, 1, 3]
    assert [dataset.get_data_info(i)['sample_idx'] for i in range(4)] == [0, 2, 3, 4]
    assert [len(dataset[i]['data_samples'].texts) for i in range(4)] == [2, 5, 1, 3]
    assert dataset[-1]['data_samples'].sample_idx == 4
    with pytest.raises(IndexError):
        dataset[4]
    assert dataset.metainfo == {'dataset_type': 'XeMapDataset', 'name': 'toy'}


def test_random_subset_in_training(ann_file) -> None:
    dataset = make(ann_file, max_queries=2)
    assert dataset.query_counts().tolist() == [2, 2, 1, 2]
    drawn = {tuple(dataset[epoch, 1]['data_samples'].query_ids) for epoch in range(40)}
    assert drawn == {(a, b) for a in range(5) for b in range(a + 1, 5)}
    sample = dataset[3, 1]['data_samples']
    assert [t.split()[2] for t in sample.texts] == [str(i) for i in sample.query_ids]


def test_samples_depend_on_seed_epoch_and_index_only(ann_file) -> None:
    first, again, other = (make(ann_file, max_queries=2, seed=seed) for seed in (5, 5, 6))
    for index in range(len(first)):
        assert same(first[0, index], first[index])
        for epoch in (0, 3):
            assert same(first[epoch, index], again[epoch, index])
    assert not all(same(first[0, i], first[1, i]) for i in range(4))
    assert not all(same(first[0, i], other[0, i]) for i in range(4))


@pytest.mark.parametrize('workers', [0, 1, 2])
def test_workers_do_not_change_samples(ann_file, workers) -> None:
    dataset = make(ann_file, max_queries=3)
    plan = [[(2, 3), (2, 0)], [(2, 1)], [(2, 2)]]
    loader = DataLoader(dataset, batch_sampler=plan, num_workers=workers, collate_fn=pseudo_collate)
    for batch, expected in zip(loader, plan, strict=True):
        for k, key in enumerate(expected):
            got = {'inputs': batch['inputs'][k], 'data_samples': batch['data_samples'][k]}
            assert same(got, dataset[key])


def test_mmengine_builds_the_whole_loader(ann_file) -> None:
    init_default_scope('xemap')
    config = dict(
        dataset=dict(type='XeMapDataset', ann_file='toy.arrow', data_root=str(ann_file.parent), pipeline=PIPELINE),
        sampler=dict(type='DefaultSampler', shuffle=True),
        batch_sampler=dict(type='PairBatchSampler', pairs_per_batch=6),
        batch_size=1,
        num_workers=0,
    )
    loader = Runner.build_dataloader(config, seed=0)
    assert len(loader) == 2
    seen = {}
    for epoch in (0, 1):
        # what mmengine's DistSamplerSeedHook does
        assert not hasattr(loader.sampler, 'set_epoch')
        loader.batch_sampler.sampler.set_epoch(epoch)
        samples = [sample for batch in loader for sample in batch['data_samples']]
        seen[epoch] = [sample.sample_idx for sample in samples]
        assert sorted(seen[epoch]) == [0, 2, 3, 4]
        assert sum(len(sample.texts) for sample in samples) == 11


def test_filters(ann_file) -> None:
    dataset = make(ann_file, sources=['a'], test_mode=True)
    assert {dataset.get_data_info(i)['source'] for i in range(len(dataset))} == {'a'} and len(dataset) == 3
    dataset = make(ann_file, kinds=['attribute'], test_mode=True)
    assert dataset.query_counts().tolist() == [1, 1, 1]
    for i in range(3):
        sample = dataset[i]['data_samples']
        assert [query.kind for query in sample.queries] == ['attribute'] and sample.query_ids == [1]
    assert len(make(ann_file, indices=2)) == 2
    assert [make(ann_file, indices=[3, 1]).get_data_info(i)['sample_idx'] for i in range(2)] == [4, 2]
    assert make(ann_file, indices=[3, 1]).query_counts().tolist() == [3, 5]
    with pytest.raises(ConfigError, match="sources=\\['nowhere'\\]"):
        make(ann_file, sources=['nowhere'])
    with pytest.raises(ConfigError, match='many-hop'):
        make(ann_file, kinds=['many-hop'])


def test_holds_no_annotations(ann_file) -> None:
    dataset = make(ann_file)
    assert isinstance(dataset.data_list, np.ndarray) and dataset.data_list.dtype == np.int64
    for copied in (pickle.loads(pickle.dumps(dataset)), copy.deepcopy(dataset)):
        assert same(copied[1], dataset[1])
    subset = dataset.get_subset([2, 0])
    assert len(subset) == 2 and same_source(subset[0], dataset[2])


def same_source(a: dict, b: dict) -> bool:
    return a['data_samples'].sample_idx == b['data_samples'].sample_idx


def test_lazy(ann_file) -> None:
    dataset = make(ann_file, lazy_init=True)
    assert not hasattr(dataset, 'annotations')
    assert dataset.query_counts().sum() == 11 and len(dataset) == 4


@pytest.mark.parametrize('options', [{'max_queries': 0}, {'max_queries': 3, 'test_mode': True}])
def test_bad_max_queries(ann_file, options) -> None:
    with pytest.raises(ConfigError, match='max_queries'):
        make(ann_file, **options)


def test_misspelt_keys_are_named(ann_file) -> None:
    with pytest.raises(ConfigError, match='max_querys.*max_queries'):
        DATASETS.build(dict(type='XeMapDataset', ann_file=str(ann_file), max_querys=3))
    with pytest.raises(ConfigError, match='ResizeImage.*"scale"'):
        make(ann_file, pipeline=[dict(type='ResizeImage', scale=(3, 3))])


def test_missing_annotation_file(tmp_path) -> None:
    with pytest.raises(DataError, match=r'here\.arrow does not exist'):
        XeMapDataset('here.arrow', str(tmp_path))


def corrupt(tmp_path: Path, how: str) -> Path:
    path = write_toy(tmp_path)
    image = tmp_path / '2.png'
    if how == 'missing':
        image.unlink()
    elif how == 'truncated':
        image.write_bytes(image.read_bytes()[:-500])
    else:
        image.write_bytes((tmp_path / '3.png').read_bytes())
    return path


@pytest.mark.parametrize(
    'how, message', [('missing', 'does not exist; check'), ('truncated', 'truncated'), ('size', '105 x 90.*100 x 80')]
)
@pytest.mark.parametrize('workers', [0, 1])
def test_bad_images_are_named(tmp_path, how, message, workers) -> None:
    dataset = make(corrupt(tmp_path, how), test_mode=True)
    with pytest.raises(DataError) as error:
        list(DataLoader(dataset, num_workers=workers, collate_fn=pseudo_collate))
    line = message_of(error.value)
    assert '2.png' in line and 'Traceback' not in line
    with pytest.raises(DataError, match=message):
        dataset[1]


@pytest.mark.parametrize('place', [0, 1])
@pytest.mark.parametrize('text', ['', '  ', '\t\n', '\u3000'])
def test_empty_queries_are_named(tmp_path, text, place) -> None:
    region = PolygonRegion([[0, 0, 3, 0, 3, 3]])
    rows = [ImageRecord('no.png', 9, 9, 's'), ImageRecord('one.png', 9, 9, 's', [Query('fine', region)])]
    queries = [Query('fine', region)] * 2
    queries[place] = Query(text, region)
    rows += [ImageRecord('two.png', 9, 9, 's', queries), ImageRecord('three.png', 9, 9, 's', [Query('fine', region)])]
    write_annotations(tmp_path / 'a.arrow', rows)
    with pytest.raises(DataError, match=r'two\.png \(row 2\) has an empty query; give it a text'):
        XeMapDataset(str(tmp_path / 'a.arrow'))
