from __future__ import annotations

import csv
import json
from unittest import mock

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from xemap.errors import ConfigError, DataError
from xemap.evaluation import SeLoMetric, scoring, selo_metrics
from xemap.registry import METRICS
from xemap.structures import MapAnswers, MaskRegion, PolygonRegion, Query, XeMapDataSample

SIZE = (120, 160)
SCORES = ('rmi', 'rsu', 'ras', 'rda')


def box(left, top, right, bottom):
    return [left, top, right, top, right, bottom, left, bottom]


def image(index: int, queries: int = 2, shape=(30, 40)) -> XeMapDataSample:
    """A sample with random maps; its queries are of different kinds, sizes and places."""
    rng = np.random.default_rng(index)
    made = [
        Query(
            text=f'query {i} of image {index}',
            region=PolygonRegion([box(10 + 12 * i, 10 + index, 50 + 12 * i, 60 + 2 * index)]),
            kind='multi-hop' if i % 2 else 'one-hop',
            hops=1 + i % 2,
            referents=1,
        )
        for i in range(queries)
    ]
    sample = XeMapDataSample(
        metainfo={
            'img_path': f'images/{index}.png',
            'ori_shape': SIZE,
            'img_shape': shape,
            'source': f'source-{index % 2}',
            'sample_idx': index,
            'query_ids': list(range(queries)),
        }
    )
    sample.queries = made
    sample.answers = MapAnswers(rng.random((queries, *shape), np.float32))
    return sample


def run(samples, **options) -> tuple[dict, SeLoMetric]:
    metric = SeLoMetric(**options)
    for sample in samples:
        metric.process(None, [sample.to_dict()])
    return metric.evaluate(len(samples)), metric


def one_query(region, pred=None, size=SIZE, **options):
    sample = image(0, 1)
    sample.set_metainfo({'ori_shape': size})
    sample.queries = [Query('it', region)]
    if pred is not None:
        sample.answers = MapAnswers(torch.as_tensor(pred)[None])
    metric = SeLoMetric(**options)
    metric.process(None, [sample.to_dict()])
    return metric.results[0]


def test_is_built_by_name_and_reports_misspelt_keys():
    built = METRICS.build({'type': 'SeLoMetric', 'protocol': 'paper', 'with_bounds': False})
    assert isinstance(built, SeLoMetric)
    with pytest.raises(ConfigError, match='with_bounds'):
        METRICS.build({'type': 'SeLoMetric', 'with_bound': False})
    with pytest.raises(ConfigError, match='papper'):
        SeLoMetric(protocol='papper')
    with pytest.raises(ConfigError, match='12'):
        SeLoMetric(min_region_area=12)


@pytest.mark.parametrize('protocol', ['reference', 'paper'])
def test_scores_maps_at_the_original_size(protocol):
    samples = [image(i) for i in range(3)]
    result, _ = run(samples, protocol=protocol)
    expected = []
    for sample in samples:
        for query, pred in zip(sample.queries, torch.from_numpy(sample.answers.data)):
            full = torch.nn.functional.interpolate(pred[None, None], SIZE, mode='bilinear', align_corners=False)
            expected.append(selo_metrics(full[0, 0].numpy(), query.region.polygons(SIZE), protocol))
    for score in SCORES:
        # cv2's interpolation differs in the last bits, which may move a value to the next of 255 levels.
        assert result[score] == pytest.approx(np.mean([e[score] for e in expected]), abs=1e-5)
    assert (result['queries'], result['unscored']) == (6, 0)
    for score in SCORES:
        assert {f'floor/{score}', f'ceiling/{score}'} <= set(result)
    assert {'kind/one-hop/rmi', 'kind/multi-hop/rmi'} <= set(result)
    assert result['rmi'] == pytest.approx((result['kind/one-hop/rmi'] + result['kind/multi-hop/rmi']) / 2)


def test_maps_of_full_size_and_half_precision():
    pred = np.zeros(SIZE, np.float32)
    pred[20:60, 30:90] = 0.75
    polygons = [np.reshape(box(30, 20, 89, 59), (-1, 2))]
    row = one_query(PolygonRegion(polygons), pred)
    assert {score: row[score] for score in SCORES} == {score: selo_metrics(pred, polygons)[score] for score in SCORES}
    half = one_query(PolygonRegion(polygons), torch.from_numpy(pred).half())
    assert half['rmi'] == row['rmi']
    assert (row['area_share'], row['region_size']) == (60 * 40 / (120 * 160), '>= 10 %')


def test_true_mask_scores_its_own_ceiling_and_a_uniform_map_its_floor():
    region = PolygonRegion([box(20, 20, 60, 70)])
    ceiling = one_query(region, region.mask(SIZE).astype(np.float32))
    floor = one_query(region, np.full(SIZE, 0.8, np.float32))
    for score in SCORES:
        assert ceiling[score] == ceiling[f'ceiling_{score}'] == floor[f'ceiling_{score}']
        assert floor[score] == pytest.approx(floor[f'floor_{score}'], abs=1e-9)
    assert ceiling['rmi'] > floor['rmi']


def test_mask_regions_use_their_pixels_and_the_outlines_of_their_larger_parts():
    mask = np.zeros(SIZE, bool)
    mask[20:61, 20:61] = True
    mask[35:45, 35:45] = False  # a hole: no attention wanted there
    mask[100:103, 100:103] = True  # 9 pixels of 19200, outline's area 4
    pred = np.random.default_rng(0).random(SIZE, np.float32)
    large, small = np.array(box(20, 20, 60, 60)).reshape(4, 2), np.array(box(100, 100, 102, 102)).reshape(4, 2)
    for share, outlines in ((5 / 19200, [large]), (4 / 19200, [large, small])):
        row = one_query(MaskRegion.from_mask(mask), pred, min_region_area=share)
        expected = selo_metrics(pred, outlines, mask=mask)
        assert {score: row[score] for score in SCORES} == {score: expected[score] for score in SCORES}
        assert row['area_share'] == mask.sum() / mask.size
    # Where nothing is large enough, the largest part counts.
    row = one_query(MaskRegion.from_mask(mask), pred, min_region_area=1.0)
    assert row['rmi'] == selo_metrics(pred, [large], mask=mask)['rmi']


def test_overlapping_boxes_are_united_and_hand_drawn_polygons_are_not():
    boxes = [[20, 30, 60, 30, 60, 70, 20, 70]] * 2
    shares = {drawn: one_query(PolygonRegion(boxes, hand_drawn=drawn))['area_share'] for drawn in (False, True)}
    assert shares[False] == 41 * 41 / (SIZE[0] * SIZE[1]) and shares[True] < 0.2 * shares[False]
    same = one_query(PolygonRegion(boxes))
    for bound in ('floor', 'ceiling'):
        assert same[f'{bound}_rmi'] == one_query(PolygonRegion(boxes[:1]))[f'{bound}_rmi']


def test_queries_that_cannot_be_scored_are_counted_and_left_out(caplog):
    samples = [image(0), image(1)]
    samples[0].queries[1] = Query('gone', PolygonRegion([box(900, 900, 950, 950)]), kind='position')
    samples[1].queries[0] = Query('nothing', MaskRegion.from_mask(np.zeros(SIZE, bool)), kind='one-hop')
    good = SeLoMetric()
    good.process(None, [sample.to_dict() for sample in samples])
    kept = [row['rmi'] for row in good.results if row['problem'] is None]
    reasons = [row['problem'] for row in good.results if row['problem'] is not None]
    assert reasons == ['region covers no pixel of the image', 'no polygon']
    result = good.evaluate(2)
    assert (result['queries'], result['unscored']) == (2, 2)
    assert result['rmi'] == pytest.approx(np.mean(kept))
    assert 'kind/position/rmi' not in result


def test_order_and_duplicates_do_not_matter():
    samples = [image(i, queries=1 + i % 3) for i in range(5)]
    expected, _ = run(samples)
    shuffled = [samples[i] for i in (3, 0, 4, 1, 2, 0, 3)]
    assert run(shuffled)[0] == expected
    assert expected['queries'] == 9


def test_second_evaluation_starts_empty_and_reuses_the_bounds():
    samples = [image(i) for i in range(2)]
    result, kept = run(samples)
    assert kept.results == []
    with mock.patch.object(scoring, 'ceiling_map', side_effect=AssertionError('computed again')):
        for sample in samples:
            kept.process(None, [sample.to_dict()])
        assert kept.evaluate(2) == result


def test_measures_of_all_pixels_can_be_left_out(monkeypatch):
    whole, _ = run([image(0)])
    monkeypatch.setattr(scoring, 'histogram', None)  # what costs is not computed
    monkeypatch.setattr(scoring, 'correlation_map', None)
    short, metric = run([image(0)], measures=False)
    left_out = {name for name in whole if name.split('/')[0] == 'target' or name.split('/')[-1] in scoring.MEASURES}
    assert short == {name: value for name, value in whole.items() if name not in left_out}
    assert {'pointing', 'pixel_ap', 'soft_iou', 'target/rmi'} <= left_out
    assert not set(scoring.MEASURES) & metric.rows[0].keys()


def test_bounds_can_be_switched_off():
    result, _ = run([image(0)], with_bounds=False)
    assert not [name for name in result if 'floor' in name or 'ceiling' in name]
    assert result['rmi'] == run([image(0)])[0]['rmi']


def test_results_carry_a_prefix_only_where_one_is_given():
    plain, _ = run([image(0)])
    assert 'rmi' in plain
    assert run([image(0)], prefix='test')[0] == {f'test/{name}': value for name, value in plain.items()}


def test_writes_rows_and_summary(tmp_path, log):
    result, _ = run([image(1), image(0)], outfile_prefix=str(tmp_path / 'out' / 'val'))
    with (tmp_path / 'out' / 'val.queries.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert [(r['sample_idx'], r['query_id']) for r in rows] == [('0', '0'), ('0', '1'), ('1', '0'), ('1', '1')]
    assert float(rows[0]['ceiling_rmi']) > float(rows[0]['floor_rmi'])
    assert rows[1]['text'] == 'query 1 of image 0'
    assert (rows[1]['hops'], rows[1]['multi_hop'], rows[1]['multi_ref']) == ('2', 'True', 'False')
    summary = json.loads((tmp_path / 'out' / 'val.summary.json').read_text())
    assert summary['protocol'] == 'reference'
    assert summary['overall']['rmi'] == result['rmi']
    assert summary['floor']['rmi'] == result['floor/rmi']
    for name in ('all queries', 'uniform map', 'true mask', 'MCMG target', 'kind: one-hop', 'source: source-1'):
        assert name in log[0]


def test_nothing_to_average_is_an_error():
    with pytest.raises(DataError, match='no query was evaluated'):
        SeLoMetric().evaluate(0)
    lost = image(0, 1)
    lost.queries = [Query('gone', PolygonRegion([box(900, 900, 950, 950)]))]
    with pytest.raises(DataError, match='none of 1 queries .*region covers no pixel'):
        run([lost])


def test_unfit_samples_are_named():
    unpredicted = image(0)
    del unpredicted.answers
    with pytest.raises(DataError, match=r'images/0.png lacks answers'):
        run([unpredicted])
    short = image(0)
    short.answers = short.answers[:1]
    with pytest.raises(DataError, match=r'images/0.png: 1 answers for 2 queries'):
        run([short])
    broken = image(0)
    broken.answers.data[1, 3, 3] = float('nan')
    with pytest.raises(DataError, match=r'images/0.png, query "query 1 of image 0": .*nan'):
        run([broken])


def _rank(rank: int, folder: str, images: int) -> None:
    dist.init_process_group('gloo', init_method=f'file://{folder}/rendezvous', rank=rank, world_size=2)
    # As mmengine's DefaultSampler deals and pads: rank 0 has images 0 and 2, rank 1 has 1 and 0 again.
    indices = [i % images for i in range(rank, images + images % 2, 2)]
    # More queries in one image than there are images, so that cutting to the data set's size would show.
    result, _ = run([image(i, queries=5 if i == 1 else 1) for i in indices], outfile_prefix=f'{folder}/two')
    with open(f'{folder}/rank{rank}.json', 'w') as file:
        json.dump(result, file)
    dist.destroy_process_group()


def test_two_ranks_equal_one(tmp_path):
    mp.spawn(_rank, args=(str(tmp_path), 3), nprocs=2)
    expected, _ = run([image(i, queries=5 if i == 1 else 1) for i in range(3)], outfile_prefix=str(tmp_path / 'one'))
    assert expected['queries'] == 7
    for rank in range(2):
        assert json.loads((tmp_path / f'rank{rank}.json').read_text()) == expected
    for name in ('queries.csv', 'summary.json'):
        assert (tmp_path / f'two.{name}').read_bytes() == (tmp_path / f'one.{name}').read_bytes()
