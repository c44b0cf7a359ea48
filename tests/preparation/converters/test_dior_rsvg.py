"""DIOR-RSVG: global object numbers, images in several splits."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trees.dior import upright, voc
from tests.trees.dior_rsvg import SPLITS, make
from xemap.datasets.annotations import AnnotationFile
from xemap.errors import ConfigError, DataError, LayoutError
from xemap.preparation.converters import convert
from xemap.preparation.converters.dior_rsvg import DIVISIONS, DiorRsvgConverter


@pytest.fixture
def root(tmp_path):
    make(tmp_path)
    return tmp_path


def test_tree(tmp_path):
    expected = make(tmp_path, images=4)
    report = convert(DiorRsvgConverter(tmp_path), tmp_path / 'out')
    assert dict(report.images) == expected['images']
    assert {split: sum(of.values()) for split, of in report.queries.items()} == expected['queries']
    assert report.counts == {}
    for split in SPLITS:
        file = AnnotationFile(tmp_path / f'out/{split}.arrow')
        assert [record.image for record in file] == [f'DIOR_RSVG/JPEGImages/{n:05d}.jpg' for n in range(4)]
        for number, record in enumerate(file):
            for query in record.queries:
                # The tree's texts say where they belong.
                assert f'of image {number} for {split}' in query.text and query.text == query.text.strip()
                assert (query.kind, query.hops, query.referents) == (None, None, 1)
                assert query.category == 'expressway service area'


def test_numbers_count_objects_in_the_order_of_paths(root):
    """Against a second counting, straight from the published rule."""
    folder = root / 'DIOR_RSVG'
    texts = []
    for file in sorted(folder.glob('Annotations/*.xml')):
        texts += [part.split('</description>')[0].strip() for part in file.read_text().split('<description>')[1:]]
    split_of_text = {int(line): split for split in SPLITS for line in (folder / f'{split}.txt').read_text().split()}
    converter = DiorRsvgConverter(root)
    read = {(query.text, item.split) for item in converter.items() for query in converter.record(item).queries}
    assert read == {(texts[number], split) for number, split in split_of_text.items()}


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda text: text + '10\n', 'the lists number 11 objects up to 10, the XML files hold 10'),
        (lambda text: text.replace('3\n', ''), 'the lists number 9 objects up to 9, the XML files hold 10'),
        (lambda text: text + '0\n', r'test\.txt line 4: object 0 is listed twice'),
        (lambda text: text + '00001.jpg\n', r"test\.txt line 4: '00001\.jpg' is no object number"),
        (lambda text: text + '7' * 4301, r"test\.txt line 4: '7{40}…' is no object number"),
    ],
)
def test_lists_that_do_not_fit(root, change, message):
    file = root / 'DIOR_RSVG/test.txt'
    file.write_text(change(file.read_text()))
    with pytest.raises(LayoutError, match=message):
        DiorRsvgConverter(root, skip_bad=True).items()


def test_a_missing_annotation_file_shifts_every_number(root):
    (root / 'DIOR_RSVG/Annotations/00001.xml').unlink()
    with pytest.raises(LayoutError, match='XML files hold 7'):
        DiorRsvgConverter(root, skip_bad=True).items()


def test_a_missing_or_second_image(root):
    images = root / 'DIOR_RSVG/JPEGImages'
    (images / '00001.jpg').rename(images / 'other.jpg')
    with pytest.raises(DataError, match=r"00001\.xml: no image '00001\.jpg'"):
        DiorRsvgConverter(root).items()
    converter = DiorRsvgConverter(root, skip_bad=True)
    assert len(converter.items()) == 6  # the numbers of the objects behind it stay
    assert converter.report.counts == {'annotations_without_image': 1, 'images_not_annotated': 1}
    assert convert(DiorRsvgConverter(root, skip_bad=True), root / 'out').images == dict.fromkeys(SPLITS, 2)


def test_two_annotation_files_of_one_image(root):
    """The image is in a split once, and the numbers behind the second file stay."""
    file = root / 'DIOR_RSVG/Annotations/00001.xml'
    file.write_text(file.read_text().replace('00001.jpg', '00000.jpg'))
    with pytest.raises(DataError, match=r'00000\.xml and \S+00001\.xml both describe \S+00000\.jpg'):
        DiorRsvgConverter(root).items()
    converter = DiorRsvgConverter(root, skip_bad=True)
    items = converter.items()
    assert [(item.name[-9:], item.split) for item in items] == [
        (f'0000{number}.jpg', split) for number in (0, 2) for split in SPLITS
    ]
    assert converter.report.counts == {'images_duplicated': 1, 'images_not_annotated': 1}
    assert all(
        f'of image 2 for {item.split}' in query.text for item in items[3:] for query in converter.record(item).queries
    )


def test_the_order_of_a_listing_changes_nothing(root, monkeypatch):
    def records():
        converter = DiorRsvgConverter(root)
        return [(item.split, converter.record(item)) for item in converter.items()]

    expected, rglob, shuffled = records(), Path.rglob, []

    def unsorted(self, pattern):
        paths = sorted(rglob(self, pattern))[::-1]
        shuffled.append(len(paths))
        return iter(paths[1:] + paths[:1])

    monkeypatch.setattr(Path, 'rglob', unsorted)
    assert records() == expected and max(shuffled) == 3


def test_faulty_objects(root):
    box = upright(1, 2, 30, 40)
    objects = [
        f'<name>dam</name>{box}',
        f'<name>zeppelin</name>{box}<description>it</description>',
        f'<name>dam</name>{box}<description>a dam</description>',
    ]
    (root / 'DIOR_RSVG/Annotations/00001.xml').write_text(voc('00001.jpg', objects))
    for number in (1, 2):
        (root / f'DIOR_RSVG/Annotations/0000{number}.xml').write_text(voc(f'0000{number}.jpg', objects))
    with pytest.raises(DataError, match='object 1: text None is empty'):
        convert(DiorRsvgConverter(root), root / 'out')
    report = convert(DiorRsvgConverter(root, skip_bad=True), root / 'out')
    assert report.counts == {'bad_annotations': 4, 'images_without_queries': 4}


def test_categories_can_be_mapped_and_small_objects_dropped(root):
    name = 'expressway service area'
    report = convert(DiorRsvgConverter(root, category_map={name: 'rest area'}), root / 'out')
    assert report.queries['train'] == {'rest area': 4}
    with pytest.raises(DataError, match='no query'):
        convert(DiorRsvgConverter(root, category_map={name: ''}), root / 'out')
    converter = DiorRsvgConverter(root, min_area=0.06)  # the objects have 600 of 12288 pixels
    assert [converter.record(item) for item in converter.items()] == [None] * 9
    assert converter.report.counts['queries_too_small'] == 10


def test_real_files(shared_dir, tmp_path):
    folder = tmp_path / 'DIOR_RSVG'
    shutil.copytree(shared_dir / 'data/dior_rsvg', folder)
    # The real lists with one of 17402 annotation files.
    with pytest.raises(LayoutError, match='the lists number 38320 objects up to 38319, the XML files hold 1,'):
        DiorRsvgConverter(tmp_path).items()
    numbers = {split: [int(line) for line in (folder / f'{split}.txt').read_text().split()] for split in SPLITS}
    assert [split for split in SPLITS if 0 in numbers[split]] == ['test']
    assert {split: len(of) for split, of in numbers.items()} == DIVISIONS['released'][1]
    with pytest.raises(LayoutError, match="26991 / 3829 / 7500 objects are the division 'released', not 'paper'"):
        DiorRsvgConverter(tmp_path, division='paper', lists='.').items()
    # What is left of the lists for that one file.
    for split in SPLITS:
        text = '0\n' if 0 in numbers[split] else ''
        (folder / f'{split}.txt').write_text(text)
    converter = DiorRsvgConverter(tmp_path, skip_bad=True)
    (item,) = converter.items()
    (query,) = converter.record(item).queries
    assert (item.split, item.name[-9:]) == ('test', '00001.jpg')
    assert (query.text, query.category) == ('A green and brown golf field', 'golf field')
    assert query.region.polygons((800, 800))[0].tolist() == [[133, 237], [684, 237], [684, 672], [133, 672]]


def test_the_division_of_the_paper(root):
    folder = root / 'DIOR_RSVG'
    (folder / 'RSVGD').mkdir()
    for split, numbers in (('train', '1 3 5'), ('val', '7'), ('test', '0 2 4 6 8 9')):
        (folder / f'RSVGD/{split}.txt').write_text(numbers.replace(' ', '\n'))
    report = convert(DiorRsvgConverter(root, division='paper'), root / 'out').as_dict()
    queries = {split: (part['queries'], part['published']) for split, part in report['splits'].items()}
    assert queries == {'train': (3, 15328), 'val': (1, 3832), 'test': (6, 19160)}
    released = DiorRsvgConverter(root)
    assert (
        sum(released.published.values()) == sum(DiorRsvgConverter(root, division='paper').published.values()) == 38320
    )
    assert released.published['train'] == 26991
    lists = DiorRsvgConverter(root, lists='RSVGD')
    assert sum(item.split == 'val' for item in lists.items()) == 1
    with pytest.raises(ConfigError, match="division 'papers'; give one of released, paper"):
        DiorRsvgConverter(root, division='papers')


def test_an_object_without_area_is_an_error(root):
    """Every object counts in a benchmark: none is dropped in silence."""
    box = upright(500, 500, 530, 540)
    objects = [f'<name>dam</name>{box}<description>a dam</description>'] * 3
    (root / 'DIOR_RSVG/Annotations/00001.xml').write_text(voc('00001.jpg', objects))
    with pytest.raises(DataError, match='object 1 has no area in the image'):
        convert(DiorRsvgConverter(root), root / 'out')


@pytest.mark.slow
def test_all_counts_of_both_divisions(tmp_path):
    """38,320 objects in files of 958 come out as the published numbers of queries, whatever lists they are in."""
    folder = tmp_path / 'DIOR_RSVG'
    for name in ('Annotations', 'JPEGImages', 'RSVGD'):
        (folder / name).mkdir(parents=True)
    for number in range(40):
        box = upright(1, 2, 30, 40)
        texts = (f'<name>dam</name>{box}<description>a dam {number} {place}</description>' for place in range(958))
        (folder / f'Annotations/{number:05d}.xml').write_text(voc(f'{number:05d}.jpg', list(texts)))
        Image.new('RGB', (128, 96)).save(folder / f'JPEGImages/{number:05d}.jpg')
    order = np.random.default_rng(0).permutation(38320)
    for name, (lists, published) in DIVISIONS.items():
        ends = np.cumsum(list(published.values()))
        for split, numbers in zip(SPLITS, np.split(order, ends[:-1])):
            (folder / lists / f'{split}.txt').write_text('\n'.join(map(str, numbers)))
        items = DiorRsvgConverter(tmp_path, division=name).items()
        assert len(items) == 3 * 40
        for split, number in published.items():
            assert sum(len(item.annotation.objects) for item in items if item.split == split) == number
    report = convert(DiorRsvgConverter(tmp_path, division=name), tmp_path / 'out').as_dict()
    assert {split: part['queries'] for split, part in report['splits'].items()} == published
    assert not report['counts']
