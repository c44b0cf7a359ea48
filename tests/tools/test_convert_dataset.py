"""tools/data/convert_dataset.py from outside: exit codes, messages, files."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.tools import command
from tests.tools.command import start_tool
from tests.tools.small_run import ROOT
from tests.trees import dior_rsvg
from xemap.datasets.annotations import AnnotationFile

run_tool = partial(command.run_tool, 'convert_dataset')


@pytest.fixture
def tree(tmp_path) -> Path:
    """Two images that serve all three formats."""
    for name in 'ab':
        pixels = np.full((30, 50, 3), (0x9B, 0x9B, 0x9B), np.uint8)
        pixels[5:15, 10:30] = (0x3C, 0x10, 0x98)
        for folder, suffix in (('images', 'jpg'), ('masks', 'png')):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / f'{folder}/{name}.{suffix}')
    (tmp_path / 'classes.csv').write_text('color,name,ignore\n#3C1098,building,\n#9B9B9B,,true\n')
    (tmp_path / 'objects.csv').write_text(
        'file,geometry,class\n'
        'a.jpg,"[(10, 5), (30, 5), (30, 15), (10, 15), (10, 5)]",Building\n'
        'b.jpg,"[(10, 5), (60, 5), (60, 15), (10, 15)]",Building\n'
    )
    content = {
        'images': [{'id': i, 'file_name': f'{name}.jpg', 'width': 50, 'height': 30} for i, name in enumerate('ab')],
        'categories': [{'id': 1, 'name': 'building'}],
        'annotations': [{'id': i, 'image_id': i, 'category_id': 1, 'bbox': [10, 5, 20, 10]} for i in range(2)],
    }
    (tmp_path / 'instances.json').write_text(json.dumps(content))
    return tmp_path


def arguments(tree: Path, kind: str) -> list:
    common = [kind, '--data-root', tree, '--images', 'images', '--out', tree / 'out', '--source', 'mine']
    return (
        common
        + {
            'coco': ['--annotations', 'instances.json'],
            'boxes-csv': ['--annotations', 'objects.csv', '--image-column', 'file'],
            'color-masks': ['--masks', 'masks', '--classes', tree / 'classes.csv'],
        }[kind]
    )


def write_drawn(tree: Path, kind: str) -> list:
    """One expression on ``a.jpg`` in a format of test partitions, and the arguments that name it."""
    triangle = [[10, 5], [60, 5.5], [10, 15]]  # past the border
    if kind == 'airslt':
        (tree / 'slt/imgs').mkdir(parents=True)
        (tree / 'images/a.jpg').rename(tree / 'slt/imgs/a.jpg')
        content: dict | list = [{'caption': 'the old house\n', 'jpg_name': 'a.jpg', 'points': [triangle]}]
        (tree / 'slt/anno.json').write_text(json.dumps(content))
        return ['--folder', 'slt']
    if kind == 'polygons':
        query = {'text': 'the old house', 'polygons': [triangle], 'multi_hop': True}
        images = [{'image': 'a.jpg', 'queries': [query]}]
        content = {'format': 'xemap-polygons', 'version': 1, 'images': images}
    elif kind == 'labelme':
        shape = {'label': 'the old house', 'points': triangle, 'shape_type': 'polygon', 'flags': {'multi_hop': True}}
        content = {'imagePath': '../images/a.jpg', 'imageWidth': 50, 'imageHeight': 30, 'shapes': [shape]}
    else:
        content = json.loads((tree / 'instances.json').read_text())
        content['annotations'] = [{**content['annotations'][0], 'caption': 'the old house', 'multi_hop': True}]
        content['annotations'][0]['segmentation'] = [[10, 5, 60, 5.5, 10, 15]]
    (tree / 'drawn').mkdir()
    (tree / 'drawn/a.json').write_text(json.dumps(content))
    return ['--annotations', 'drawn'] if kind == 'labelme' else ['--annotations', 'drawn/a.json', '--images', 'images']


@pytest.mark.parametrize('kind', ['airslt', 'polygons', 'labelme', 'coco-captions'])
def test_expressions_drawn_by_hand(tree, kind):
    where = write_drawn(tree, kind)
    done = run_tool(kind, '--data-root', tree, *where, '--out', tree / 'out', '--json')
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)['splits']['test']['queries'] == 1
    (record,) = AnnotationFile(tree / 'out/test.arrow')
    (query,) = record.queries
    assert query.text == 'the old house' and query.hops == (None if kind == 'airslt' else 2)
    assert [p.tolist() for p in query.region.polygons(record.size)] == [[[10, 5], [60, 5.5], [10, 15]]]
    assert record.source == ('airslt' if kind == 'airslt' else tree.name)


@pytest.mark.parametrize('kind', ['coco', 'boxes-csv', 'color-masks'])
def test_every_format_from_end_to_end(tree, kind):
    (tree / 'templates.json').write_text('{"categories": {"building": {"singular": ["house"]}}}')
    done = run_tool(*arguments(tree, kind), '--test', 0.5, '--json', '--templates', tree / 'templates.json')
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert {split: made['queries'] for split, made in summary['splits'].items()} == {'train': 1, 'test': 1}
    assert summary['counts'].get('polygons_clipped', {}).get('count') == (1 if kind == 'boxes-csv' else None)
    (record,) = AnnotationFile(tree / 'out/test.arrow')
    assert record.source == 'mine' and record.image.startswith('images/') and record.size == (30, 50)
    (query,) = record.queries
    assert 'house' in query.text and query.category.lower() == 'building'
    assert query.region.mask(record.size)[10, 11:29].all() and not query.region.mask(record.size)[:4].any()


def test_table_for_people_and_progress(tree):
    done = start_tool('convert_dataset', *arguments(tree, 'color-masks'))
    assert done.returncode == 0, done.stderr
    for text in ('building', 'queries', 'mask pixels of ignored classes', 'train.arrow'):
        assert text in done.stdout
    assert '2/2' in done.stderr


def one_line_error(done: subprocess.CompletedProcess) -> str:
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert 'Traceback' not in done.stderr and not done.stdout
    errors = [line for line in done.stderr.splitlines() if line.startswith('error: ')]
    assert len(errors) == 1
    return errors[0]


def break_mask_size(tree):
    Image.new('RGB', (20, 20)).save(tree / 'masks/b.png')


def break_mask_color(tree):
    Image.new('RGB', (50, 30), (1, 2, 3)).save(tree / 'masks/b.png')


def break_image(tree):
    (tree / 'images/b.jpg').write_bytes(b'no image')


def remove_image(tree):
    (tree / 'images/b.jpg').unlink()


def break_polygon(tree):
    (tree / 'objects.csv').write_text('file,geometry,class\na.jpg,"[(1, 1), (2, 2)]",Building\n')


@pytest.mark.parametrize(
    'kind, fault, texts',
    [
        ('color-masks', break_mask_size, ['b.jpg is 50 x 30', 'b.png 20 x 20']),
        ('color-masks', break_mask_color, ['b.png', '1500 pixels', '#010203', 'classes.csv']),
        ('coco', break_image, ['b.jpg is truncated or no known image']),
        ('coco', remove_image, ['b.jpg does not exist']),
        ('boxes-csv', break_polygon, ['objects.csv line 2', '2 vertices', 'leave it out']),
    ],
)
def test_bad_input_is_one_line_and_status_2(tree, kind, fault, texts):
    fault(tree)
    message = one_line_error(run_tool(*arguments(tree, kind)))
    for text in texts:
        assert text in message
    assert not list((tree / 'out').glob('*'))


def test_bad_pairs_are_skipped_when_asked(tree):
    break_mask_size(tree)
    done = run_tool(*arguments(tree, 'color-masks'), '--skip-bad', '--json')
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary['splits']['train']['images'] == 1 and summary['counts']['bad_images']['count'] == 1


def test_debug_shows_the_traceback(tree):
    remove_image(tree)
    done = start_tool('convert_dataset', *arguments(tree, 'coco'), '--debug')
    assert done.returncode != 0 and 'Traceback' in done.stderr


def test_help_has_an_example_and_loads_nothing_heavy():
    for kind in ('coco', 'labelme', 'dior-rsvg'):
        done = run_tool(kind, '--help')
        assert done.returncode == 0 and f'convert_dataset.py {kind} --data-root' in done.stdout
    code = (
        'import sys; sys.path.insert(0, "tools/data"); import convert_dataset\n'
        'heavy = {"torch", "mmengine", "cv2", "pyarrow", "numpy"} & set(sys.modules); assert not heavy, heavy'
    )
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_dior_rsvg(tmp_path):
    expected = dior_rsvg.make(tmp_path)
    done = run_tool('dior-rsvg', '--data-root', tmp_path, '--out', tmp_path / 'out', '--json')
    assert done.returncode == 0, done.stderr
    splits = json.loads(done.stdout)['splits']
    for kind in ('images', 'queries'):
        assert {split: made[kind] for split, made in splits.items()} == expected[kind]
    (query,) = AnnotationFile(tmp_path / 'out/val.arrow')[0].queries
    assert query.text == 'The object 2 of image 0 for val'


def test_the_converter_of_the_docs(tree):
    """The complete example of docs/extend.md, as a user runs it."""
    page = (ROOT / 'docs/extend.md').read_text()
    code = page.partition('# my_boxes.py\n')[2].partition('```')[0]
    (tree / 'my_boxes.py').write_text(code)
    (tree / 'boxes').mkdir()
    (tree / 'boxes/a.txt').write_text('storage_tank 10 5 20 10\nstorage_tank 40 5 100 10\n')
    (tree / 'boxes/b.txt').write_text('ship 1 2 3 4\n')
    name = f'{tree / "my_boxes.py"}:MyBoxes'
    done = run_tool(name, '--data-root', tree, '--out', tree / 'out', '--labels', 'boxes', '--val', 0.5, '--json')
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert {split: made['queries'] for split, made in summary['splits'].items()} == {'train': 1, 'val': 1}
    assert summary['counts']['polygons_clipped']['count'] == 1
    records = [record for split in ('train', 'val') for record in AnnotationFile(tree / f'out/{split}.arrow')]
    assert {query.category: query.referents for record in records for query in record.queries} == {
        'storage_tank': 2,
        'ship': 1,
    }
    done = run_tool(name, '--help')
    assert done.returncode == 0 and 'which have the images' in done.stdout and '(default: labels)' in done.stdout
    (tree / 'boxes/b.txt').write_text('ship 1 2 3\n')
    assert 'b.txt line 1: box [1.0, 2.0, 3.0]' in one_line_error(
        run_tool(name, '--data-root', tree, '--out', tree / 'out', '--labels', 'boxes')
    )


@pytest.mark.parametrize(
    'name, text',
    [
        ('none.py:Mine', 'file none.py does not exist'),
        ('no.such.module:Mine', "No module named 'no'"),
        ('xemap.files:replacing', "has no subclass 'replacing' of Converter"),
    ],
)
def test_formats_that_are_not_there(tree, name, text):
    assert text in one_line_error(run_tool(name, '--data-root', tree, '--out', tree / 'out'))


@pytest.mark.parametrize('kind', ['coco', 'polygons'])
def test_a_share_named_as_the_rest(tree, kind):
    """``--test`` in formats of test partitions divides; an explicit clash is refused."""
    if kind == 'polygons':
        where = write_drawn(tree, kind)
        content = json.loads((tree / 'drawn/a.json').read_text())
        content['images'].append({**content['images'][0], 'image': 'b.jpg'})
        (tree / 'drawn/a.json').write_text(json.dumps(content))
    else:
        where = ['--annotations', 'instances.json', '--images', 'images']
    common = (kind, '--data-root', tree, *where, '--out', tree / 'out', '--json')
    done = run_tool(*common, '--test', 0.5)
    assert done.returncode == 0, done.stderr
    assert {split: made['images'] for split, made in json.loads(done.stdout)['splits'].items()} == {
        'train': 1,
        'test': 1,
    }
    assert "split 'test' has a share" in one_line_error(run_tool(*common, '--split', 'test', '--test', 0.5))


def test_every_argument_of_every_converter_is_explained():
    from xemap.preparation.converters.command import declared_arguments, summary_of
    from xemap.preparation.converters.registry import CONVERTERS, load_converter

    for name in CONVERTERS:
        converter = load_converter(name)
        assert 10 < len(summary_of(converter)) < 100, name
        for argument in declared_arguments(converter):
            assert len(argument.help) > 10, (name, argument)
    coco = {argument.name: argument.default for argument in declared_arguments(load_converter('coco'))}
    assert coco.items() >= {('images', '.'), ('boxes_only', False)}
    dior = {argument.name: argument for argument in declared_arguments(load_converter('dior'))}
    assert dior['boxes'].choices == ('oriented', 'horizontal') and dior['split_seed'].kind is int
    assert {'phrases', 'expressions', 'classes'}.isdisjoint(dior)
