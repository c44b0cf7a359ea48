"""What splits share, on images made to be alike, and the division that shares none."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.tools.command import run_tool
from xemap.datasets.annotations import AnnotationFile, write_annotations
from xemap.errors import ConfigError, DataError
from xemap.preparation.reports.audit import audit, near_duplicates, write_disjoint
from xemap.structures import ImageRecord, PolygonRegion, Query

REGION = PolygonRegion([[1, 1, 9, 1, 9, 9]])


def scene(seed: int) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return cv2.resize(small, (128, 96), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def tree(tmp_path) -> Path:
    """``a`` is in both splits; ``b`` is brighter and JPEG in test as ``b2``; ``c`` has the same bytes as ``c2``; ``p``
    and ``q`` are plain and not alike; ``d`` and ``d2`` are alike in train."""
    pixels = {name: scene(number) for number, name in enumerate('abcdef')}
    pixels['c2'], pixels['d2'] = pixels['c'], np.clip(pixels['d'].astype(int) + 3, 0, 255).astype(np.uint8)
    pixels['p'], pixels['q'] = (np.full((96, 128, 3), value, np.uint8) for value in (100, 101))
    for name, of in pixels.items():
        Image.fromarray(of).save(tmp_path / f'{name}.png')
    bright = np.clip(pixels['b'].astype(int) + 5, 0, 255).astype(np.uint8)
    Image.fromarray(bright).save(tmp_path / 'b2.jpg', quality=70)
    texts = {'a.png': ['The ship.', 'a  SHIP'], 'b2.jpg': ['the ship'], 'e.png': ['only here']}
    splits = {
        'train': ['a.png', 'b.png', 'c.png', 'd.png', 'd2.png', 'p.png'],
        'test': ['a.png', 'b2.jpg', 'c2.png', 'e.png', 'f.png', 'q.png'],
    }
    for split, names in splits.items():
        records = [
            ImageRecord(name, 128, 96, 'toy', [Query(text, REGION) for text in texts.get(name, [f'{split} {name}'])])
            for name in names
        ]
        write_annotations(tmp_path / f'{split}.arrow', records, {'name': 'toy'})
    return tmp_path


def files_of(folder: Path) -> dict[str, AnnotationFile]:
    return {split: AnnotationFile(folder / f'{split}.arrow') for split in ('train', 'test')}


def test_what_is_shared(tree):
    overlap = audit(files_of(tree), tree)
    assert overlap.images == {'a.png': ['train', 'test']}
    assert {(a, b) for a, b, _ in overlap.near} == {('b.png', 'b2.jpg'), ('c.png', 'c2.png')}
    assert {(a, b) for a, b, _ in overlap.alike} == {('b.png', 'b2.jpg'), ('c.png', 'c2.png'), ('d.png', 'd2.png')}
    assert overlap.sentences == {'the ship': ['train', 'test'], 'a ship': ['train', 'test']}
    assert overlap.counts == {
        'train': {'images': 6, 'queries': 7, 'queries_seen': 2, 'images_seen': 1, 'images_seen_in': {'test': 1}},
        'test': {'images': 6, 'queries': 7, 'queries_seen': 3, 'images_seen': 1, 'images_seen_in': {'train': 1}},
    }
    assert not audit(files_of(tree)).near  # without images


def test_against_a_slow_reference(tree):
    """All pairs, bit by bit."""
    from xemap.preparation.reports.audit import ImagePrint

    prints = {path.name: ImagePrint.of_file(path) for path in sorted(tree.glob('*.[pj]*g'))}
    expected = set()
    names = list(prints)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            a, b = prints[first], prints[second]
            bits = sum(x != y for x, y in zip(a.difference.tolist(), b.difference.tolist()))
            alike = bits <= 20 and a.thumbnail.std() >= 4 and b.thumbnail.std() >= 4
            if a.content == b.content or alike and abs(a.thumbnail - b.thumbnail).mean() <= 8:
                expected.add((first, second, bits))
    assert set(near_duplicates(prints, 20)) == expected and expected


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_the_division_by_image(tree, seed):
    before = files_of(tree)
    overlap = audit(before, tree)
    written = write_disjoint(before, overlap, tree / 'new', seed)
    after = files_of(tree / 'new')
    again = audit(after, tree)
    assert not again.images and not again.near
    queries = lambda files: sorted(q.text for file in files.values() for record in file for q in record.queries)  # noqa: E731
    assert queries(after) == queries(before)
    assert abs(written['train']['queries'] - 7) <= 2 and sum(part['images'] for part in written.values()) == 11
    assert after['test'].info['divided'] == 'by image'


def test_the_tool(tree):
    run = partial(run_tool, 'audit_dataset', tree / 'train.arrow', tree / 'test.arrow')
    done = run('--data-root', tree, '--json', '--write', tree / 'new')
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert (content['shared_images'], content['near_duplicates'], content['shared_sentences']) == (1, 2, 2)
    assert content['lists']['shared_images'] == [{'image': 'a.png', 'splits': ['train', 'test']}]
    (tree / 'f.png').write_bytes(b'broken')
    done = run('--data-root', tree)
    assert (
        done.returncode == 0 and 'near-duplicate images' in done.stdout and '1 images could not be read' in done.stdout
    )
    assert '1 (1 of train)' in done.stdout
    done = run('--data-root', tree / 'new')
    assert done.returncode == 2 and 'none of 11 images can be read, as a.png' in done.stderr
    assert 'Traceback' not in done.stderr
    done = run('--data-root', tree, '--write', tree)
    assert done.returncode == 2 and 'train.arrow, which is audited' in done.stderr
    done = run('--write', tree / 'new')
    assert done.returncode == 2 and 'give --data-root' in done.stderr and 'Traceback' not in done.stderr


def test_images_seen_in_each_other_split(tmp_path):
    names = {'train': 'abcdefghijklm', 'val': 'abn', 'test': 'abcdefghijklo'}
    for split, of in names.items():
        records = [ImageRecord(name, 10, 10, 'toy', [Query(f'{split} {name}', REGION)]) for name in of]
        write_annotations(tmp_path / f'{split}.arrow', records, {})
    report = audit({split: AnnotationFile(tmp_path / f'{split}.arrow') for split in names}).as_dict()
    seen = {split: (counts['images_seen'], counts['images_seen_in']) for split, counts in report['splits'].items()}
    assert seen == {
        'train': (12, {'val': 2, 'test': 12}),
        'val': (2, {'train': 2, 'test': 2}),
        'test': (12, {'train': 12, 'val': 2}),
    }
    # All are listed, so that any other count can be made.
    assert [entry['image'] for entry in report['lists']['shared_images']] == list('abcdefghijkl')
    assert len(report['lists']['shared_images']) == report['shared_images']


def test_a_division_that_cannot_be_kept_is_not_written(tree):
    files = files_of(tree)
    report = audit(files, tree)
    before = {path: path.read_bytes() for path in tree.glob('*.arrow')}
    with pytest.raises(ConfigError, match=r'would replace .*train\.arrow'):
        write_disjoint(files, report, tree / 'new' / '..')
    assert {path: path.read_bytes() for path in tree.glob('*.arrow')} == before
    (tree / 'f.png').write_bytes(b'broken')
    with pytest.raises(DataError, match=r'1 images could not be read, as f\.png'):
        write_disjoint(files, audit(files, tree), tree / 'new')
    for split, name in (('train', 'c.png'), ('test', 'c2.png')):
        write_annotations(
            tree / f'same/{split}.arrow', [ImageRecord(name, 128, 96, 'toy', [Query('it', REGION)])], {}
        )
    files = files_of(tree / 'same')
    with pytest.raises(DataError, match='1 groups of images that show the same leave no image for test'):
        write_disjoint(files, audit(files, tree), tree / 'new')
    assert not (tree / 'new').exists()


def test_no_image_can_be_read(tree):
    with pytest.raises(DataError, match='none of 11 images can be read'):
        audit(files_of(tree), tree / 'nowhere')


def test_one_file_shares_nothing(tree):
    with pytest.raises(ConfigError, match='two splits at least'):
        audit({'train': AnnotationFile(tree / 'train.arrow')})
