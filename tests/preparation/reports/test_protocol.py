"""Two groups of annotators: what is kept, at the exact borders."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.tools.command import run_tool
from xemap.datasets.annotations import AnnotationFile, write_annotations
from xemap.errors import ConfigError
from xemap.preparation.reports.protocol import check_agreement, region_iou
from xemap.structures import ImageRecord, MaskRegion, PolygonRegion, Query

SIZE = (100, 100)


def box(x0: int, y0: int, x1: int, y1: int) -> MaskRegion:
    import numpy as np

    mask = np.zeros(SIZE, bool)
    mask[y0:y1, x0:x1] = True
    return MaskRegion.from_mask(mask)


FIRST = {'agreed': box(0, 0, 20, 20), 'half': box(0, 0, 20, 20), 'tiny': box(0, 0, 4, 4), 'least': box(0, 0, 5, 4),
         'most': box(0, 0, 100, 75), 'huge': box(0, 0, 100, 76), 'alone': box(0, 0, 20, 20)}  # fmt: skip
SECOND = {**FIRST, 'agreed': box(0, 0, 20, 21), 'half': box(0, 0, 40, 20)}
del SECOND['alone']


@pytest.fixture
def files(tmp_path) -> tuple[Path, Path]:
    for name, queries in (('first', FIRST), ('second', SECOND)):
        record = ImageRecord('a.png', 100, 100, 'mine', [Query(text, region) for text, region in queries.items()])
        write_annotations(tmp_path / f'{name}.arrow', [record])
    return tmp_path / 'first.arrow', tmp_path / 'second.arrow'


def test_borders(files, tmp_path):
    agreement = check_agreement(*files, tmp_path / 'kept.arrow')
    (record,) = AnnotationFile(tmp_path / 'kept.arrow')
    assert [query.text for query in record.queries] == ['agreed', 'least', 'most'] and agreement.kept == 3
    assert {text: reason for _, text, reason in agreement.rejected} == {
        'half': 'IoU 0.500 is not above 0.5',
        'tiny': 'covers 0.160% of the image, not 0.2% to 75%',
        'huge': 'covers 76.000% of the image, not 0.2% to 75%',
        'alone': 'the second group drew nothing for it',
    }
    assert len(agreement.ious) == 6 and agreement.ious[0] == pytest.approx(20 / 21)
    with pytest.raises(ConfigError, match='the smaller share first'):
        check_agreement(*files, tmp_path / 'kept.arrow', share=(0.5, 0.1))


def test_boxes_around_polygons():
    triangle = Query('a', PolygonRegion([[0, 0, 39, 0, 0, 39]]))
    drawn = Query('a', box(0, 0, 40, 40))
    assert region_iou(triangle, drawn, SIZE) == pytest.approx(0.51, abs=0.02)
    assert region_iou(triangle, drawn, SIZE, boxes=True) == 1


def test_the_tool(files, tmp_path):
    options = ('--out', tmp_path / 'kept.arrow', '--rejected', tmp_path / 'rejected.csv', '--iou', 0.4)
    done = run_tool('check_agreement', *files, *options)
    assert done.returncode == 0, done.stderr
    assert '4 queries kept, 3 rejected, mean IoU 0.909' in done.stdout
    rows = list(csv.reader((tmp_path / 'rejected.csv').open()))
    assert rows[0] == ['image', 'sentence', 'reason'] and {row[1] for row in rows[1:]} == {'tiny', 'huge', 'alone'}
