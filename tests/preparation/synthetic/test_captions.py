from __future__ import annotations

import json
import re

import cv2
import numpy as np
import pytest
import shapely

from xemap.errors import ConfigError, DataError
from xemap.language.places import EXTREMES
from xemap.preparation.synthetic import captions as tiles
from xemap.preparation.synthetic.captions import describe, visible_objects, write_captioned_tiles
from xemap.preparation.synthetic.layout import SceneObject
from xemap.preparation.synthetic.queries import synthetic_words
from xemap.preparation.synthetic.render import DRAW
from xemap.preparation.synthetic.scene import lay_out_scene
from xemap.structures.captions import load_captions

FEW = dict(seed=3, tiles=3, pixels=32, tile_sizes=(128, 256), sizes=(256,), workers=1)


def box(category, left, top, right, bottom, **attributes):
    return SceneObject(category, shapely.box(left, top, right, bottom), attributes)


def contents(root):
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob('*')) if p.is_file()}


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp('tiles') / 'set'
    return root, write_captioned_tiles(root, {'train': 3, 'test': 2}, **FEW)


def test_files_and_counts(written):
    root, counts = written
    images = load_captions(root / tiles.FILE_NAME)
    assert counts['train']['images'] == sum(image.split == 'train' for image in images) > 6
    assert counts['test']['captions'] == 5 * counts['test']['images']
    assert all(len(image.captions) == 5 for image in images)
    for image in images:
        assert image.filename.startswith(f'{image.split}/')
        assert cv2.imread(str(root / 'images' / image.filename)).shape == (32, 32, 3)
    assert json.loads((root / tiles.FILE_NAME).read_text())['info']['tile_sizes'] == [128, 256]


def test_repeated_and_resumed(written, tmp_path):
    root, _ = written
    write_captioned_tiles(tmp_path / 'again', {'train': 3, 'test': 2}, **FEW)
    assert contents(tmp_path / 'again') == contents(root)
    before = contents(root)
    (root / tiles.FILE_NAME).unlink()
    removed = root / 'images/train/000001_1.jpg'
    removed.unlink()
    kept = {path: path.stat().st_mtime_ns for path in root.rglob('*.jpg')}
    write_captioned_tiles(root, {'train': 3, 'test': 2}, **FEW)
    assert contents(root) == before
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())


NOUNS = {category: synthetic_words().category(category) for category in DRAW}
NAMES = sorted(
    {noun: name for name, forms in NOUNS.items() for noun in (*forms.singular, *forms.plural, *forms.beside)}.items(),
    key=lambda item: -len(item[0]),
)


def named(caption: str) -> set[str]:
    """Categories that a caption names; longer nouns first, since a road intersection is no road."""
    categories = set()
    for noun, category in NAMES:
        caption, times = re.subn(rf'\b{noun}\b', ' ', caption)
        categories |= {category} if times else set()
    return categories


def test_captions_tell_what_the_tile_shows():
    """Every category named lies in the tile, and no place in the image is mentioned."""
    templates = synthetic_words().templates
    wordings = [*templates['places'].values(), *(templates['attributes']['superlative'][word] for word in EXTREMES)]
    places = {word for texts in wordings for text in texts for word in text.replace('{noun}', '').split()}
    places -= {'the', 'to', 'of', 'in', 'at', 'on', 'left', 'right', 'top', 'bottom'}
    num_captions = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        scene = lay_out_scene(seed, 512)
        x, y = rng.integers(0, 256, 2).tolist()
        seen = visible_objects(scene.plan.objects, (x, y, x + 256, y + 256))
        for caption in describe(seen, scene.plan.size, rng, 20) if seen else ():
            assert named(caption) and named(caption) <= {obj.category for obj in seen}, caption
            assert not places & set(caption.split()), caption
            num_captions += 1
    assert num_captions >= 80


def test_visible_objects_are_cut():
    lake, sliver, ship = box('lake', 0, 0, 80, 80), box('road', 99, 0, 200, 100), box('ship', 40, 90, 52, 96)
    seen = visible_objects([lake, sliver, ship, box('sea', 200, 200, 300, 300)], (20, 0, 120, 100))
    assert [obj.category for obj in seen] == ['lake', 'road', 'ship']
    assert seen[0].outline.bounds == (20, 0, 80, 80) and seen[1].outline.bounds == (99, 0, 120, 100)
    # of the road too little is left; the ship is small, but whole; half of it would be too little
    assert [o.category for o in visible_objects([lake, sliver, ship], (0, 0, 100, 100))] == ['lake', 'ship']
    assert visible_objects([ship], (46, 0, 146, 100)) == []


def test_relations_and_lists():
    objects = [box('lake', 10, 10, 50, 50), box('parking', 52, 10, 90, 50, fill='full'), box('forest', 10, 60, 50, 99)]
    captions = {c for seed in range(30) for c in describe(objects, (100, 100), np.random.default_rng(seed))}
    water, wood = r'(lake|pond)', r'(forest|woodland|patch of forest|woods)'
    assert any(
        re.fullmatch(rf'(the )?{water} (next to|beside|adjacent to|right by|near) the .*(park|lot|area).*', c)
        for c in captions
    )
    assert any(re.search(r'full|crowded|many cars', c) for c in captions)
    assert any(re.search(r'left of', c) for c in captions) and not any(re.search(r'empty|vacant', c) for c in captions)
    assert any(', ' in c and ' and ' in c for c in captions)  # all three
    assert any(re.search(rf'{water} above the {wood}', c) for c in captions)
    assert not any(re.search(rf'{water} (directly )?below', c) for c in captions)
    five = describe(objects, (100, 100), np.random.default_rng(0))
    assert len(set(five)) == 5 and five == describe(objects, (100, 100), np.random.default_rng(0))
    assert len(describe(objects[:1], (100, 100), np.random.default_rng(0), count=9)) == 9


@pytest.mark.parametrize(
    'counts, options, message',
    [
        ({}, {}, 'at least 1 scene'),
        ({'train': 0}, {}, 'at least 1 scene'),
        ({'train': 1}, dict(seed=-1), 'seed of 0 or more'),
        ({'train': 1}, dict(sizes=(128,)), 'from 256 to 4096'),
        ({'train': 1}, dict(tile_sizes=(512,)), 'no tile is larger than a scene'),
    ],
)
def test_arguments_that_do_not_fit(tmp_path, counts, options, message):
    with pytest.raises(ConfigError, match=message):
        write_captioned_tiles(tmp_path, counts, **{**FEW, **options})
    assert not list(tmp_path.iterdir())


def test_folders_of_another_origin(written, tmp_path):
    root, _ = written
    with pytest.raises(DataError, match='made with other options'):
        write_captioned_tiles(root, {'train': 1}, **{**FEW, 'pixels': 16})
    (tmp_path / 'mine.txt').write_text('x')
    with pytest.raises(DataError, match='another origin, such as mine.txt'):
        write_captioned_tiles(tmp_path, {'train': 1}, **FEW)
