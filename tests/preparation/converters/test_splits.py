from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xemap.errors import ConfigError, DataError
from xemap.preparation.converters.splits import SplitRule

NAMES = [f'images/part_{part:03}t{scene}.jpg' for scene in range(1, 9) for part in range(1, 8)]


def test_everything_goes_into_train():
    assert set(SplitRule().assign(NAMES).values()) == {'train'}


def test_fractions_are_met_to_the_image():
    split = SplitRule(fractions={'val': 0.15, 'test': 0.25}).assign(NAMES)
    assert Counter(split.values()) == {'train': 34, 'val': 8, 'test': 14}
    assert list(split) == NAMES


@pytest.mark.parametrize('share, images', [(0.24, 2), (0.26, 3)])
def test_fractions_are_met_to_the_nearest_image(share, images):
    split = SplitRule(fractions={'test': share}).assign(NAMES[:10])
    assert Counter(split.values()) == {'train': 10 - images, 'test': images}


@settings(max_examples=30, deadline=None)
@given(st.permutations(NAMES), st.integers(0, 5))
def test_order_does_not_matter(names, seed):
    rule = SplitRule(fractions={'val': 0.15, 'test': 0.25}, seed=seed)
    assert rule.assign(names) == rule.assign(NAMES)


def test_seed_matters():
    rules = [SplitRule(fractions={'test': 0.3}, seed=seed).assign(NAMES) for seed in range(3)]
    assert rules[0] != rules[1] != rules[2]


@pytest.mark.parametrize('pattern', [r't(\d+)\.', r't\d+\.'])
def test_scenes_stay_together(pattern):
    split = SplitRule(fractions={'val': 0.12, 'test': 0.25}, group_regex=pattern).assign(NAMES)
    scenes = {kind: {name.split('t')[-1] for name in NAMES if split[name] == kind} for kind in set(split.values())}
    assert {kind: len(members) for kind, members in scenes.items()} == {'train': 5, 'val': 1, 'test': 2}
    assert not (scenes['train'] & scenes['test'] or scenes['train'] & scenes['val'] or scenes['val'] & scenes['test'])


def test_every_split_gets_something():
    split = SplitRule(fractions={'val': 0.01, 'test': 0.9}).assign(['a', 'b', 'c'])
    assert Counter(split.values()) == {'train': 1, 'val': 1, 'test': 1}
    with pytest.raises(DataError, match='2 images in 2 groups'):
        SplitRule(fractions={'val': 0.1, 'test': 0.1}).assign(['a', 'b'])


def test_group_pattern_must_match():
    with pytest.raises(DataError, match="finds nothing in the image name 'x.jpg'"):
        SplitRule(fractions={'val': 0.1}, group_regex=r't(\d)').assign(['x.jpg'])


@pytest.mark.parametrize(
    'options, message',
    [
        ({'fractions': {'val': 1.0}}, 'between 0 and 1'),
        ({'fractions': {'val': 0.0}}, 'between 0 and 1'),
        ({'fractions': {'val': 0.5, 'test': 0.5}}, 'together below 1'),
        ({'fractions': {'val': float('nan')}}, 'between 0 and 1'),
        ({'name': '../x'}, "split name '../x'"),
        ({'group_regex': 't'}, 'only acts on'),
        ({'group_regex': '(', 'fractions': {'val': 0.1}}, 'no regular expression'),
        ({'fractions': {'val': 0.1}, 'files': {'train': 'a'}}, 'choose one'),
    ],
)
def test_faulty_rules_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        SplitRule(**options)


def test_lists_name_images_in_four_ways(tmp_path):
    train, test = tmp_path / 'train.txt', tmp_path / 'test.txt'
    train.write_text('\ufeffimages/part_001t1.jpg\r\n\r\npart_002t1.jpg\n')
    test.write_text('part_003t1\nimages/part_004t1\n')
    split = SplitRule(files={'train': train, 'test': test}).assign(NAMES)
    assert split == {NAMES[0]: 'train', NAMES[1]: 'train', NAMES[2]: 'test', NAMES[3]: 'test'}


def test_lists_may_have_wildcards(tmp_path):
    train, test = tmp_path / 'train.txt', tmp_path / 'test.txt'
    train.write_text('part_*t[2-8]\n')
    test.write_text('images/*t1.jpg\n')
    split = SplitRule(files={'train': train, 'test': test}).assign(NAMES)
    assert split == {name: 'test' if 't1.' in name else 'train' for name in NAMES}
    train.write_text('part_9*\n')
    with pytest.raises(DataError, match="line 1: 'part_9\\*' is no image"):
        SplitRule(files={'train': train}).assign(NAMES)


def test_faulty_lists_are_refused(tmp_path):
    listed = tmp_path / 'list.txt'
    rule = SplitRule(files={'train': listed})
    with pytest.raises(DataError, match='cannot be read'):
        rule.assign(NAMES)
    listed.write_text('part_001t1\nother\n')
    with pytest.raises(DataError, match="line 2: 'other' is no image"):
        rule.assign(NAMES)
    listed.write_text('part_001t1\npart_001t1.jpg\n')
    with pytest.raises(DataError, match="line 2: .*part_001t1.jpg is already in split 'train'"):
        rule.assign(NAMES)
    listed.write_text('a\n')
    with pytest.raises(DataError, match='x/a.jpg and y/a.jpg'):
        rule.assign(['x/a.jpg', 'y/a.jpg'])
