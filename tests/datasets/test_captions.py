from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.registry import DefaultScope

from xemap.datasets.captions import CaptionDataset
from xemap.errors import ConfigError, DataError
from xemap.models.retrieval import Vocabulary
from xemap.registry import DATASETS
from xemap.structures.captions import CaptionedImage, caption_texts, load_captions, write_captions

PIPELINE = [
    dict(type='LoadImage'),
    dict(type='ResizeImage', size=(16, 16)),
    dict(type='RandomFlip', prob=1.0, direction='horizontal'),
    dict(type='PackXeMapInputs'),
]
IMAGES = [
    CaptionedImage('a.png', ('a lake on the left', 'the pond', 'water'), 'train'),
    CaptionedImage('sub/b.png', ('a road',), 'test'),
    CaptionedImage('c.png', ('roofs', 'the right house'), 'train'),
]


@pytest.fixture
def root(tmp_path):
    """Three images of 20 x 30 pixels, dark on the left, and their captions file."""
    for image in IMAGES:
        path = tmp_path / 'images' / image.filename
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.zeros((20, 30, 3), np.uint8)
        pixels[:, 15:] = 200
        cv2.imwrite(str(path), pixels)
    write_captions(tmp_path / 'captions.json', IMAGES)
    return tmp_path


def dataset(root, **options) -> CaptionDataset:
    with DefaultScope.overwrite_default_scope('xemap'):
        return DATASETS.build(
            dict(type='CaptionDataset', ann_file='captions.json', data_root=str(root), img_dir='images',
                 pipeline=PIPELINE, **options)
        )  # fmt: skip


def idx_and_texts(sample) -> tuple[int, list[str]]:
    return sample['data_samples'].sample_idx, sample['data_samples'].texts


def test_the_published_format(tmp_path):
    """As RSITMD, RSICD, UCM and Sydney write it, with keys that are not used."""
    entry = {'filename': 'boat_0.tif', 'imgid': 0, 'sentids': [0, 1], 'split': 'test', 'sentences': [
        {'tokens': ['two', 'ships'], 'raw': ' Two large  ships.\n', 'imgid': 0, 'sentid': 0},
        {'tokens': [], 'raw': 'Ships', 'imgid': 0, 'sentid': 1}]}  # fmt: skip
    path = tmp_path / 'dataset_RSITMD.json'
    path.write_text(json.dumps({'images': [entry], 'dataset': 'RSITMD'}))
    assert load_captions(path) == [CaptionedImage('boat_0.tif', ('Two large ships.', 'Ships'), 'test')]


def test_written_and_read(root):
    assert load_captions(root / 'captions.json') == IMAGES
    assert load_captions(root / 'captions.json', 'train') == [IMAGES[0], IMAGES[2]]
    assert caption_texts(root / 'captions.json', 'test') == ['a road']
    assert Vocabulary.from_file(root / 'captions.json', min_count=2).words == ('the',)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.text(min_size=1), st.lists(st.text('ab é"', min_size=1).map(lambda t: f'x{t}y'),
                                                          min_size=1))))  # fmt: skip
def test_any_text_survives(tmp_path_factory, entries):
    path = tmp_path_factory.mktemp('captions') / 'a.json'
    images = [CaptionedImage(name, tuple(' '.join(c.split()) for c in texts), 's') for name, texts in entries]
    write_captions(path, images)
    if images:
        assert load_captions(path, 's') == images
    else:
        with pytest.raises(DataError, match='no captioned image of split "s"'):
            load_captions(path, 's')


def test_training_samples_are_pairs(root):
    pairs = dataset(root)
    assert len(pairs) == 5 and pairs.query_counts().tolist() == [1] * 5
    assert [idx_and_texts(pairs[i]) for i in range(5)] == [
        (0, ['a lake on the right']), (0, ['the pond']), (0, ['water']), (1, ['roofs']), (1, ['the left house']),
    ]  # fmt: skip
    sample = pairs[0]
    assert sample['inputs'].shape == (3, 16, 16) and sample['data_samples'].source == 'captions'
    assert sample['inputs'][0, 0, 0] == 200 and sample['inputs'][0, 0, -1] == 0  # mirrored, as its words are


def test_test_samples_are_images_with_all_captions(root):
    images = dataset(root, test_mode=True)
    assert [len(idx_and_texts(images[i])[1]) for i in range(len(images))] == [3, 2] == images.query_counts().tolist()
    assert images[1]['data_samples'].query_ids == [0, 1]
    assert idx_and_texts(dataset(root, test_mode=True, split='test')[0]) == (0, ['a road'])


def test_several_captions_a_sample_are_drawn_anew_each_epoch(root):
    several = dataset(root, captions_per_sample=2)
    assert len(several) == 2 and several.query_counts().tolist() == [2, 2]
    drawn = [idx_and_texts(several[epoch, 0])[1] for epoch in range(12)]
    assert len({tuple(texts) for texts in drawn}) == 3  # two of three, in order
    assert drawn == [idx_and_texts(several[epoch, 0])[1] for epoch in range(12)]
    assert dataset(root, captions_per_sample=9).query_counts().tolist() == [3, 2]
    assert drawn != [idx_and_texts(dataset(root, captions_per_sample=2, seed=1)[epoch, 0])[1] for epoch in range(12)]
    with pytest.raises(ConfigError, match='captions_per_sample=0'):
        dataset(root, captions_per_sample=0)


@pytest.mark.parametrize(
    'content, message',
    [
        ('{', 'is no JSON'),
        ('[]', 'has no list "images"'),
        ('{"images": [{"filename": "a"}]}', r'images\[0\] is not'),
        ('{"images": [{"filename": "a", "split": "train", "sentences": ["x"]}]}', r'images\[0\] is not'),
        ('{"images": [{"filename": "a", "split": "train", "sentences": []}]}', 'no captioned image of split "train"'),
        ('{"images": [{"filename": 3, "split": "train", "sentences": [{"raw": "x"}]}]}', 'must be texts'),
        ('{"images": [{"filename": "a", "split": "val", "sentences": [{"raw": "x"}]}]}', 'its splits are val'),
    ],
)
def test_broken_files(tmp_path, content, message):
    path = tmp_path / 'captions.json'
    path.write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        load_captions(path, 'train')
    assert str(path) in str(caught.value)


def test_empty_captions_are_left_out_with_a_warning(tmp_path, log):
    texts = {'a': ('', 'lake'), 'b': ('', ''), 'd': ('sea',)}
    images = [CaptionedImage(name, captions) for name, captions in texts.items()]
    write_captions(tmp_path / 'a.json', [*images, CaptionedImage('c', ('',), 'test')])
    assert load_captions(tmp_path / 'a.json', 'train') == [
        CaptionedImage('a', ('lake',)),
        CaptionedImage('d', ('sea',)),
    ]
    assert log == [f'{tmp_path / "a.json"}: left out 3 empty captions, and 1 images without any other, the first of a']


def test_missing_files(root):
    with pytest.raises(DataError, match='no.json does not exist'):
        load_captions(root / 'no.json')
    (root / 'images/a.png').unlink()
    with pytest.raises(DataError, match='images/a.png does not exist'):
        dataset(root)[0]


def test_real_captions_as_published(shared_dir, tmp_path):
    """RSITMD's counts: five captions an image, in order; four training images have only empty ones."""
    folder = shared_dir / 'data/rsitmd'
    for split, count, pairs, empty in (('train', 4291, 21455, 4), ('test', 452, 2260, 0)):
        texts = (folder / f'{split}_caps.txt').read_text().splitlines()
        names = (folder / f'{split}_filename.txt').read_text().splitlines()
        names = list(dict.fromkeys(names))
        assert len(names) == count and len(texts) == pairs
        images = [CaptionedImage(name, tuple(texts[5 * i : 5 * i + 5]), split) for i, name in enumerate(names)]
        path = tmp_path / f'{split}.json'
        write_captions(path, images)
        training = CaptionDataset(str(path), split=split)
        assert len(training) == pairs - 5 * empty
        assert len(CaptionDataset(str(path), split=split, test_mode=True)) == count - empty
