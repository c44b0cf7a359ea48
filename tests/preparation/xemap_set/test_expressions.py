"""Expressions in prepared sources."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from xemap.datasets.annotations import AnnotationFile
from xemap.preparation.converters.dota import DotaConverter
from xemap.preparation.expressions import ExpressionGenerator
from xemap.preparation.xemap_set import PrepareOptions, prepare


@pytest.fixture
def root(tmp_path) -> Path:
    """Four planes and a ship in each of two DOTA images, planes of one color and unlike size."""
    for split in ('train', 'val'):
        folder = tmp_path / f'raw/DOTA/{split}'
        for part in ('images', 'labelTxt'):
            (folder / part).mkdir(parents=True)
        Image.new('RGB', (200, 160), (200, 20, 20)).save(folder / 'images/P1.png')
        places = ((5, 5, 10), (40, 10, 14), (20, 50, 25), (60, 60, 40))
        lines = [f'{x} {y} {x + n} {y} {x + n} {y + n} {x} {y + n} plane 0' for x, y, n in places]
        (folder / 'labelTxt/P1.txt').write_text('\n'.join([*lines, '0 120 40 120 40 150 0 150 ship 0']))
    return tmp_path / 'raw'


def kinds(root: Path, **options) -> set[str | None]:
    prepared = prepare(root, root.parent / 'out', names=['dota'], options=PrepareOptions(**options))
    (record,) = AnnotationFile(prepared.files['train'])
    return {query.kind for query in record.queries}


def test_expressions_are_further_queries(root):
    assert kinds(root) == {'one-hop'}
    assert kinds(root, expressions=True) > {'one-hop', 'position'}


def test_expressions_on_crops_that_are_still_to_be_written(root):
    converter = DotaConverter(root, crop_size=120, expressions=ExpressionGenerator())
    for item in converter.items():
        record = converter.record(item)
        assert item.image.is_file() == (record is not None)
        if item.name.endswith('train/P1_0_0.png'):
            assert {query.kind for query in record.queries} > {'one-hop'}
