from __future__ import annotations

import pytest

from xemap.datasets.annotations import write_annotations
from xemap.datasets.mean_box import mean_box_of
from xemap.errors import DataError
from xemap.structures import ImageRecord, PolygonRegion, Query


def square(x0: int, y0: int, x1: int, y1: int) -> Query:
    return Query('a square', PolygonRegion([[(x0, y0), (x1, y0), (x1, y1), (x0, y1)]]))


def test_boxes_are_averaged_as_shares_of_their_image(tmp_path):
    wide = ImageRecord('a.png', 200, 100, 'made up', [square(0, 0, 100, 50), square(100, 50, 200, 100)])
    small = ImageRecord('b.png', 10, 20, 'made up', [square(5, 10, 10, 20), Query('none', PolygonRegion([]))])
    write_annotations(tmp_path / 'train.arrow', [wide, small])
    assert mean_box_of(tmp_path / 'train.arrow') == pytest.approx(((0 + 0.5 + 0.5) / 3,) * 2 + ((0.5 + 1 + 1) / 3,) * 2)


def test_no_referent(tmp_path):
    record = ImageRecord('a.png', 10, 10, 'made up', [Query('none', PolygonRegion([]))])
    write_annotations(tmp_path / 'train.arrow', [record])
    with pytest.raises(DataError, match='no query has a referent'):
        mean_box_of(tmp_path / 'train.arrow')
