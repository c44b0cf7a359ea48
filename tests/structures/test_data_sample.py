"""The sample that travels from the pipeline to the metrics, and the cost of importing its neighbors."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import xemap.structures
from xemap.structures import MapAnswers, PolygonRegion, Query, XeMapDataSample


def test_keeps_what_it_is_given() -> None:
    query = Query('the lake', PolygonRegion([[0, 0, 4, 0, 4, 4]]), hops=2, referents=1)
    sample = XeMapDataSample(metainfo={'ori_shape': (10, 20), 'query_ids': [3]})
    sample.queries, sample.texts, sample.gt_maps = [query], ['the lake'], torch.rand(1, 8, 8)
    sample.answers = MapAnswers(torch.rand(1, 4, 4))
    moved = sample.to(torch.float64)
    assert (
        moved.gt_maps.dtype == torch.float64
        and moved.answers is sample.answers
        and moved.queries == [query]
        and moved.query_ids == [3]
    )
    assert {'answers', 'queries', 'ori_shape', 'query_ids', 'texts', 'gt_maps'} <= set(sample.to_dict())


def test_attributes_of_a_query() -> None:
    region = PolygonRegion([])
    assert Query('a', region).multi_hop is None and Query('a', region).multi_ref is None
    assert Query('a', region, hops=2).multi_hop is True and Query('a', region, hops=1).multi_hop is False
    assert Query('a', region, referents=3).multi_ref is True and Query('a', region, referents=1).multi_ref is False


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match='Nothing'):
        _ = xemap.structures.Nothing


def test_annotations_and_maps_need_no_torch() -> None:
    code = (
        'import sys; from xemap.datasets import AnnotationFile, correlation_map, write_annotations; '
        'import xemap.structures; sys.exit("torch" in sys.modules or "mmengine" in sys.modules)'
    )
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0
