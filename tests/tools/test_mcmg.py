"""tools/data/mcmg.py, run as a user runs it, and interrupted."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.datasets.toy import write_toy
from tests.tools.command import run_tool, start_tool
from xemap.datasets.annotations import AnnotationFile, write_annotations
from xemap.datasets.mcmg import correlation_map
from xemap.errors import ConfigError, DataError
from xemap.preparation.reports.mcmg_export import export_maps
from xemap.structures import ImageRecord, PolygonRegion, Query


def pngs(folder: Path) -> list[Path]:
    return [path for path in folder.rglob('*.png') if path.is_file()]


def test_writes_every_map_once(tmp_path) -> None:
    ann_file, out = write_toy(tmp_path), tmp_path / 'maps'
    arguments = (ann_file, '--out', out, '--size', 64, '--grids', 4, 8, '--sigma', 0.02)
    done = start_tool('mcmg', *arguments)
    assert done.returncode == 0, done.stderr
    assert '11 maps written, 0 kept' in done.stdout
    with open(out / 'index.csv', newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    queries = [(r, i) for r in AnnotationFile(ann_file) for i in range(len(r.queries))]
    assert len(rows) == 11 == len(pngs(out))
    for row, (record, i) in zip(rows, queries, strict=True):
        query = record.queries[i]
        assert (row['image'], row['query'], row['text']) == (record.image, str(i), query.text)
        expected = correlation_map(query.region.coverage(record.size, (64, 64)), (4, 8), 0.02)
        written = cv2.imread(str(out / row['map']), cv2.IMREAD_UNCHANGED)
        assert written.dtype == np.uint8 and written.max() == 255
        np.testing.assert_allclose(written, expected * 255, atol=0.51)
    assert '0 maps written, 11 kept' in run_tool('mcmg', *arguments).stdout
    other = run_tool('mcmg', ann_file, '--out', out, '--size', 32)
    assert other.returncode == 2 and "'size': 64" in other.stderr and len(other.stderr.strip().splitlines()) == 1


def test_goes_on_after_an_interruption(tmp_path) -> None:
    ann_file, out = write_toy(tmp_path), tmp_path / 'maps'

    def stop(done: int, total: int) -> None:
        assert total == 5
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_maps(ann_file, out, 32, progress=stop)
    assert len(pngs(out)) == 7 and not list(out.rglob('*.part')) and not (out / 'index.csv').exists()
    first = {path: path.stat().st_mtime_ns for path in pngs(out)}
    assert export_maps(ann_file, out, 32) == {'written': 4, 'kept': 7}
    assert {path: path.stat().st_mtime_ns for path in first} == first and (out / 'index.csv').exists()


def test_refuses_bad_settings_before_writing(tmp_path) -> None:
    ann_file = write_toy(tmp_path)
    for options in ({'size': 0}, {'grids': (0,)}, {'sigma': -1}):
        with pytest.raises(ConfigError):
            export_maps(ann_file, tmp_path / 'maps', **options)
    assert not (tmp_path / 'maps').exists()


@pytest.mark.parametrize('image', ['../escaped', '/escaped', 'a/../../escaped'])
def test_stays_in_its_folder(tmp_path, image) -> None:
    row = ImageRecord(image, 9, 9, 's', [Query('a', PolygonRegion([[0, 0, 3, 0, 3, 3]]))])
    write_annotations(tmp_path / 'a.arrow', [row])
    with pytest.raises(DataError, match='escaped'):
        export_maps(tmp_path / 'a.arrow', tmp_path / 'maps')
    assert not list(tmp_path.rglob('*.png')) and not list(tmp_path.parent.glob('escaped*'))
