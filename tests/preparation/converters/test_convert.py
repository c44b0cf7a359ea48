"""The skeleton: category map, least area, splits, report, and files that appear together."""

from __future__ import annotations

import io

import pytest

from xemap.datasets.annotations import AnnotationFile
from xemap.errors import ConfigError, DataError
from xemap.preparation.converters import BoxesCsvConverter, PhraseTable, SplitRule, convert
from xemap.preparation.converters.report import REASONS, ConversionReport
from xemap.terminal import PlainConsole


def converter_of(root, **options) -> BoxesCsvConverter:
    return BoxesCsvConverter(root, 'objects.csv', 'images', **options)


def test_files_hold_what_the_report_says(csv_tree, tmp_path):
    rule = SplitRule(fractions={'test': 0.5}, seed=3)
    report = convert(converter_of(csv_tree), tmp_path / 'out', rule)
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['test.arrow', 'train.arrow']
    summary = report.as_dict()
    for split in ('train', 'test'):
        file = AnnotationFile(tmp_path / f'out/{split}.arrow')
        made = summary['splits'][split]
        assert made['images'] == len(file) == 1 and made['queries'] == sum(file.query_counts())
        assert made['file'] == str(file.path)
        assert file.info['split'] == split and file.info['split_seed'] == 3
        assert sum(made['categories'].values()) == made['queries']
    assert summary['counts']['polygons_clipped']['count'] == 1


def test_same_command_same_bytes(csv_tree, tmp_path):
    for out in ('one', 'two'):
        convert(converter_of(csv_tree, phrases=PhraseTable(seed=5)), tmp_path / out)
    assert (tmp_path / 'one/train.arrow').read_bytes() == (tmp_path / 'two/train.arrow').read_bytes()


def test_categories_are_joined_and_dropped(csv_tree, tmp_path):
    joined = converter_of(csv_tree, category_map={'small_car': 'Plane'})
    convert(joined, tmp_path / 'out')
    first = AnnotationFile(tmp_path / 'out/train.arrow')[0]
    assert [(query.category, query.referents) for query in first.queries] == [('Plane', 3)]
    dropped = converter_of(csv_tree, category_map={'small_car': ''})
    report = convert(dropped, tmp_path / 'out')
    assert report.queries['train'] == {'Plane': 2} and report.counts['categories_dropped'] == 1


def test_misspelt_category_in_the_map(csv_tree, tmp_path):
    with pytest.raises(
        ConfigError, match="names category 'plane', which no annotation has; there are: Plane, small_car"
    ):
        convert(converter_of(csv_tree, category_map={'plane': 'x'}), tmp_path / 'out')
    assert not list((tmp_path / 'out').iterdir())


def test_least_area(csv_tree):
    converter = converter_of(csv_tree, min_area=11 / 2400)  # the car has 10 pixels
    record = converter.record(converter.items()[0])
    assert [query.category for query in record.queries] == ['Plane']
    assert converter.report.counts['queries_too_small'] == 1
    with pytest.raises(ConfigError, match='min_area 1'):
        converter_of(csv_tree, min_area=1)


def test_failure_leaves_the_old_files(csv_tree, tmp_path):
    convert(converter_of(csv_tree), tmp_path)
    before = (tmp_path / 'train.arrow').read_bytes()
    (csv_tree / 'images/b.jpg').unlink()
    with pytest.raises(DataError, match='b.jpg does not exist'):
        convert(converter_of(csv_tree, source='other'), tmp_path, SplitRule(fractions={'test': 0.5}))
    assert sorted(p.name for p in tmp_path.iterdir()) == ['train.arrow', 'tree']
    assert (tmp_path / 'train.arrow').read_bytes() == before


def test_old_splits_are_pointed_out(csv_tree, tmp_path):
    convert(converter_of(csv_tree), tmp_path, SplitRule(name='old'))
    report = convert(converter_of(csv_tree), tmp_path)
    assert report.other_files == [str(tmp_path / 'old.arrow')]


def test_images_that_no_list_names(csv_tree, tmp_path):
    (tmp_path / 'list.txt').write_text('a\n')
    report = convert(converter_of(csv_tree), tmp_path, SplitRule(files={'train': tmp_path / 'list.txt'}))
    assert report.images == {'train': 1} and report.counts['images_in_no_split'] == 1


def test_splits_without_a_query(csv_tree, tmp_path):
    with pytest.raises(DataError, match="split 'train' has 2 images and no query"):
        convert(converter_of(csv_tree, min_area=0.9), tmp_path)
    (csv_tree / 'objects.csv').write_text('image_id,geometry,class\n')
    with pytest.raises(DataError, match='no image to convert'):
        convert(converter_of(csv_tree), tmp_path)


def test_data_root_must_be_there(tmp_path):
    with pytest.raises(DataError, match='nowhere is no folder'):
        converter_of(tmp_path / 'nowhere')


def test_report_knows_its_reasons():
    report = ConversionReport('mine')
    with pytest.raises(KeyError, match='add it to REASONS'):
        report.count('other', 'x')
    for number in range(100):
        report.count('bad_images', f'[b]file {number}', 2)
    assert report.as_dict()['counts']['bad_images']['count'] == 200
    assert len(report.as_dict()['counts']['bad_images']['examples']) == 20
    text = io.StringIO()
    PlainConsole(file=text, width=200).print(report.tables())
    assert '200' in text.getvalue() and REASONS['bad_images'].split(' (')[0] in text.getvalue()
    assert '[b]file 2' in text.getvalue() and 'file 50' not in text.getvalue()
