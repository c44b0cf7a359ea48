"""tools/analysis/dataset_info.py as a command."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest

from tests.datasets.toy import write_toy
from tests.tools.command import run_tool, start_tool
from xemap.datasets.annotations import AnnotationFile, write_annotations
from xemap.preparation.reports.info import describe_annotations, region_shares
from xemap.structures import ImageRecord, MaskRegion, PolygonRegion, Query

tool = partial(run_tool, 'dataset_info', columns=120)


def test_numbers(tmp_path) -> None:
    path = write_toy(tmp_path)
    done = tool(path, '--json', '--samples', 2)
    assert done.returncode == 0, done.stderr
    numbers = json.loads(done.stdout)
    assert numbers['images'] == 5 and numbers['images_without_queries'] == 1 and numbers['queries'] == 11
    assert numbers['info'] == {'name': 'toy'}
    assert numbers['sources'] == {'a': {'images': 3, 'queries': 10}, 'b': {'images': 2, 'queries': 1}}
    assert numbers['kinds'] == {'one-hop': 5, 'attribute': 3, 'position': 2, 'multi-hop': 1}
    assert numbers['categories'] == {'thing': 11}
    assert numbers['multi_hop'] == {'yes': 6, 'no': 5} and numbers['multi_ref'] == {'no': 7, 'yes': 4}
    assert numbers['regions'] == {'polygons': 7, 'mask': 4}
    assert numbers['queries_per_image'] == {'mean': 2.2, 'min': 0, 'max': 5}
    assert numbers['words_per_query'] == {'mean': 6.0, 'min': 6, 'max': 6}
    assert [s['text'] for s in numbers['samples']] == ['thing 0 0 on the left', 'thing 4 2 on the left']
    assert 0.04 < numbers['region_share']['p5'] <= numbers['region_share']['p95'] < 0.12


def test_tables(tmp_path) -> None:
    done = tool(write_toy(tmp_path))
    assert done.returncode == 0, done.stderr
    for word in ('images without queries', 'one-hop', '45.5%', 'multi-ref', 'thing 0 0 on the left', 'polygons'):
        assert word in done.stdout


def test_region_shares_are_areas(tmp_path) -> None:
    mask = np.zeros((20, 10), bool)
    mask[3:9, 2:5] = True
    nothing, triangle, square = PolygonRegion([]), [[0, 0], [8, 0], [0, 8]], [[1, 1], [1, 4], [4, 4], [4, 1]]
    rows = [
        ImageRecord('a', 10, 20, 's', [Query('m', MaskRegion.from_mask(mask)), Query('t', PolygonRegion([triangle]))]),
        ImageRecord('b', 5, 5, 's', []),
        ImageRecord('c', 8, 8, 's', [Query('n', nothing), Query('p', PolygonRegion([square, triangle[::-1]]))]),
        ImageRecord('d', 2, 2, 's', [Query('o', PolygonRegion([triangle]))]),
    ]
    write_annotations(tmp_path / 'a.arrow', rows)
    shares = region_shares(AnnotationFile(tmp_path / 'a.arrow'))
    np.testing.assert_allclose(shares, [18 / 200, 32 / 200, 0, (9 + 32) / 64, 1])


def test_empty_file(tmp_path) -> None:
    write_annotations(tmp_path / 'a.arrow', [])
    assert describe_annotations(tmp_path / 'a.arrow')['queries'] == 0
    done = tool(tmp_path / 'a.arrow')
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize('content, message', [(None, 'does not exist'), (b'ARROW1', 'not a complete annotation file')])
def test_bad_file_is_one_line(tmp_path, content, message) -> None:
    if content is not None:
        (tmp_path / 'a.arrow').write_bytes(content)
    done = tool(tmp_path / 'a.arrow')
    assert done.returncode == 2 and done.stdout == ''
    assert message in done.stderr and len(done.stderr.splitlines()) == 1 and 'a.arrow' in done.stderr
    assert 'Traceback' in start_tool('dataset_info', tmp_path / 'a.arrow', '--debug').stderr
