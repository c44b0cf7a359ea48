from __future__ import annotations

import json
import math
import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.functional import slow_selo
from tests.evaluation.functional.test_centers import two_blocks
from xemap.errors import ConfigError, DataError
from xemap.evaluation import attention_centers, bound_metrics, ceiling_map, selo_metrics, selo_target, to_gray8
from xemap.evaluation.functional import selo

SCORES = ('rmi', 'rsu', 'ras', 'rda')
UNIFORM_RSU = 1 - math.exp(-0.707)


def box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)


def curve(shift: float) -> float:
    return math.expm1(3 * shift) / math.expm1(3)


def test_reference_values_of_the_authors_evaluator(shared_dir):
    folder = shared_dir / 'golden' / 'selo_metrics'
    cases = json.loads((folder / 'cases.json').read_text())
    assert len(cases) >= 24
    for case in cases:
        gray = cv2.imread(str(folder / case['map']), cv2.IMREAD_GRAYSCALE)
        polygons = [np.array(polygon) for polygon in case['polygons']]
        ours = selo_metrics(gray, polygons)
        for score in SCORES:
            # Where the reference raised it has no value; ours is NaN there.
            theirs = float(case.get(score, 'nan'))
            assert ours[score] == pytest.approx(theirs, abs=1e-9, rel=0, nan_ok=True), (case['id'], score)
        assert (ours['problem'] is None) == (not math.isnan(float(case.get('rmi', 'nan')))), case['id']
        for exact in ('centers', 'regions'):
            assert ours[exact].tolist() == case[exact], (case['id'], exact)
        assert ours['mask_pixels'] == case['mask_pixels'], case['id']
        # On a map without centers the reference stops at the first region.
        known = len(case['offsets'])
        np.testing.assert_allclose(ours['offsets'][:known], case['offsets'], rtol=0, atol=1e-9, err_msg=case['id'])


def test_paper_protocol_differs_from_the_reference_as_the_equations_do(shared_dir):
    """Largest differences over the golden cases whose polygons do not overlap, as ``selo_protocol.md`` states them.

    Its 0.068 for Rda is more than any of these cases gives (0.041), so Rda is left to the cases worked by hand.
    """
    folder = shared_dir / 'golden' / 'selo_metrics'
    largest = dict.fromkeys(SCORES, 0.0)
    for case in json.loads((folder / 'cases.json').read_text()):
        if case['id'] in ('syn_overlap_two', 'syn_duplicate_polygon'):
            continue
        gray = cv2.imread(str(folder / case['map']), cv2.IMREAD_GRAYSCALE)
        scores = selo_metrics(gray, [np.array(polygon) for polygon in case['polygons']], protocol='paper')
        for score in SCORES:
            difference = abs(scores[score] - float(case.get(score, 'nan')))
            largest[score] = max(largest[score], 0.0 if math.isnan(difference) else difference)
    assert largest['rsu'] == pytest.approx(0.007, abs=5e-4)
    assert largest['ras'] == pytest.approx(0.315, abs=5e-4)
    assert largest['rmi'] == pytest.approx(0.113, abs=5e-4)


@pytest.mark.parametrize('value', [128, 200, 255])
def test_uniform_map_with_the_region_in_the_middle(value):
    # Attention ratio times area ratio is 1, so Rsu = 1 - e^-0.707. The center of a 101 x 101 map is
    # (50, 50), that of the region too: no shift, one center. r = int(1.5 * 10 sqrt 2) = int(21.2).
    scores = selo_metrics(np.full((101, 101), value, np.uint8), [box(40, 40, 60, 60)])
    assert scores['mask_pixels'] == 21 * 21
    assert scores['centers'].tolist() == [[50, 50]]
    assert scores['regions'].tolist() == [[50, 50, 21]]
    assert scores['rsu'] == pytest.approx(UNIFORM_RSU, abs=1e-9)
    assert (scores['ras'], scores['rda'], scores['problem']) == (0, 1, None)
    assert scores['rmi'] == pytest.approx(0.4 * UNIFORM_RSU + 0.35 + 0.25, abs=1e-9)


def test_shift_grows_exponentially_with_the_offset():
    # Center (50, 50), region's center (50, 30), r = 21: offset 20 px.
    scores = selo_metrics(np.full((101, 101), 255, np.uint8), [box(40, 20, 60, 40)])
    assert scores['offsets'].tolist() == [20]
    assert scores['ras'] == pytest.approx(curve(20 / 21), abs=1e-12)
    # Region's center (50, 28): offset 22 px is outside r, hence counted as r, and no center is in it.
    scores = selo_metrics(np.full((101, 101), 255, np.uint8), [box(40, 18, 60, 38)])
    assert (scores['offsets'].tolist(), scores['ras'], scores['rda']) == ([21], 1, 0)
    # Offset exactly r, (50, 29), is inside.
    scores = selo_metrics(np.full((101, 101), 255, np.uint8), [box(40, 19, 60, 39)])
    assert (scores['offsets'].tolist(), scores['ras'], scores['rda']) == ([21], 1, 1)


def test_mean_over_regions_before_or_after_the_exponential():
    # Two regions, r = 21, offsets 0 and "none inside" = 21.
    polygons = [box(40, 40, 60, 60), box(0, 0, 20, 20)]
    gray = np.full((101, 101), 255, np.uint8)
    assert selo_metrics(gray, polygons)['ras'] == pytest.approx(curve(0.5), abs=1e-12)
    assert selo_metrics(gray, polygons, protocol='paper')['ras'] == pytest.approx(0.5, abs=1e-12)
    assert selo_metrics(gray, polygons)['rda'] == 0.5


def test_two_centers_in_one_region():
    # Centers (302, 152) and (1102, 152); region's center (702, 152), vertices sqrt(650^2 + 50^2) away.
    # Both are 400 px from the region's center, which is also their mean. All attention is inside.
    gray, polygons = two_blocks(800), [box(52, 102, 1352, 202)]
    radius = 1.5 * math.hypot(650, 50)
    scores = selo_metrics(gray, polygons)
    assert scores['regions'].tolist() == [[702, 152, 977]]
    assert scores['rsu'] == pytest.approx(1, abs=1e-12)
    assert scores['ras'] == pytest.approx(curve(400 / 977), abs=1e-12)
    assert scores['rda'] == pytest.approx(0.5 * (1 - 400 / 977) + math.exp(-2), abs=1e-12)
    paper = selo_metrics(gray, polygons, protocol='paper')
    assert paper['regions'].tolist() == [[702, 152, radius]]
    assert paper['ras'] == pytest.approx(curve(400 / radius), abs=1e-12)
    assert paper['rda'] == pytest.approx(0.5 * (1 - 400 / radius + math.exp(-2)), abs=1e-12)


def test_map_without_a_center():
    scores = selo_metrics(np.full((101, 101), 127, np.uint8), [box(40, 40, 60, 60)])
    assert (scores['ras'], scores['rda'], scores['problem']) == (1, 0, None)
    assert scores['centers'].shape == (0, 2)
    assert scores['rmi'] == pytest.approx(0.4 * UNIFORM_RSU, abs=1e-9)


def test_overlapping_polygons():
    # 21 x 21 squares that share 11 x 11 pixels. The reference fills even-odd with borders, so the
    # 9 x 9 pixels inside both are a hole: 2 * 441 - 121 - 81. The paper adds the areas: 2 * 441.
    polygons = [box(10, 10, 30, 30), box(20, 20, 40, 40)]
    gray = np.full((100, 100), 51, np.uint8)
    gray[20:31, 20:31] = 255
    scores = selo_metrics(gray, polygons)
    assert scores['mask_pixels'] == 680
    total = 121 + (10_000 - 121) * 0.2
    inside = (121 - 81) + (680 - 40) * 0.2
    assert scores['rsu'] == pytest.approx(1 - math.exp(-0.707 * inside / (total - inside) * 9320 / 680), abs=1e-9)
    paper = selo_metrics(gray, polygons, protocol='paper')
    assert paper['mask_pixels'] == 882
    inside = 2 * (121 + 320 * 0.2)
    assert paper['rsu'] == pytest.approx(1 - math.exp(-0.694 * inside / (total - inside) * 9118 / 882), abs=1e-9)


def test_paper_sums_that_exceed_the_map_are_a_problem():
    gray = np.zeros((100, 100), np.uint8)
    gray[10:31, 10:31] = 255
    twice = [box(10, 10, 30, 30)] * 2
    scores = selo_metrics(gray, twice, protocol='paper')
    assert scores['problem'] == selo.OVERLAP
    assert math.isnan(scores['rsu'])
    assert math.isnan(scores['rmi'])
    assert selo_metrics(gray, twice)['problem'] is None


def test_mask_takes_the_place_of_the_fill():
    gray = np.full((101, 101), 255, np.uint8)
    mask = np.zeros((101, 101), bool)
    mask[45:56, 45:56] = True
    polygon = box(40, 40, 60, 60)
    scores = selo_metrics(gray, [polygon], mask=mask)
    assert scores['mask_pixels'] == 121
    assert scores['regions'].tolist() == [[50, 50, 21]]


@pytest.mark.parametrize('protocol', ['reference', 'paper'])
@pytest.mark.parametrize(
    'polygons, problem',
    [
        ([], selo.NO_POLYGON),
        ([box(500, 500, 600, 600)], selo.EMPTY_MASK),
        ([box(40, 40, 60, 60), np.array([[5, 5], [5, 5]])], selo.ZERO_RADIUS),
    ],
)
@pytest.mark.parametrize('value', [0, 255])
def test_what_cannot_be_scored_says_why(protocol, polygons, problem, value):
    scores = selo_metrics(np.full((101, 101), value, np.uint8), polygons, protocol)
    assert scores['problem'] == problem
    assert math.isnan(scores['rmi'])


def test_mask_over_the_whole_map_leaves_nothing_to_compare():
    scores = selo_metrics(np.full((50, 60), 200, np.uint8), [box(0, 0, 59, 49)])
    assert (scores['rsu'], scores['problem']) == (0, None)


@st.composite
def tasks(draw):
    height, width = draw(st.integers(8, 60)), draw(st.integers(8, 60))
    values = draw(st.sampled_from(['noise', 'blobs', 'levels']))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    gray = rng.integers(0, 256, (height, width), np.uint8)
    if values == 'blobs':
        gray = cv2.resize(gray[:4, :4], (width, height), interpolation=cv2.INTER_LINEAR)
    elif values == 'levels':
        gray = np.where(gray > 200, 255, 128).astype(np.uint8)
    coordinate = st.floats(-20, 80, allow_nan=False)
    polygon = st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=6)
    return gray, draw(st.lists(polygon, min_size=1, max_size=3))


@pytest.mark.parametrize('protocol', ['reference', 'paper'])
@settings(max_examples=100, deadline=None)
@given(task=tasks())
def test_equals_the_plain_formulas(protocol, task):
    gray, polygons = task
    fast = selo_metrics(gray, [np.array(polygon) for polygon in polygons], protocol)
    if fast['problem'] is not None:
        assert math.isnan(fast['rmi'])
        return
    centers = [tuple(center) for center in attention_centers(gray).tolist()]
    slow = slow_selo.metrics(gray, polygons, centers, protocol)
    for score in SCORES:
        assert fast[score] == pytest.approx(slow[score], abs=1e-9, rel=1e-9), score


def test_bounds_are_the_scores_of_a_uniform_map_and_of_the_mask():
    polygons = [box(40, 40, 60, 60), box(200, 100, 260, 130)]
    target = selo_target(polygons, (200, 300))
    mask = np.zeros((200, 300), np.uint8)
    mask[40:61, 40:61] = 255
    mask[100:131, 200:261] = 255
    np.testing.assert_array_equal(ceiling_map(target), mask)
    bounds = bound_metrics(target)
    uniform = selo_metrics(np.ones((200, 300)), polygons)
    for score in SCORES:
        assert bounds['floor'][score] == uniform[score]
        assert bounds['ceiling'][score] == selo_metrics(mask, polygons)[score]
    assert bounds['floor']['rsu'] == pytest.approx(UNIFORM_RSU, abs=1e-9)
    assert bounds['ceiling']['rsu'] == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize('dtype', [np.float16, np.float32, np.float64])
def test_float_maps_are_rounded_to_8_bits(dtype):
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(to_gray8((levels / 255).astype(dtype)), levels)
    assert to_gray8(np.array([[0.4 / 255, 0.6 / 255, 1.0004, -0.0004]])).tolist() == [[0, 1, 255, 0]]
    tall = np.linspace(0, 1, 3000, dtype=dtype).reshape(1500, 2)
    np.testing.assert_array_equal(to_gray8(tall), np.rint(tall.astype(np.float64) * 255))


@pytest.mark.parametrize(
    'bad, named',
    [
        (np.full((4, 4), np.nan), 'nan'),
        (np.full((4, 4), np.inf), 'inf'),
        (np.full((4, 4), 255.0), '255'),
        (np.full((4, 4), -0.5), '-0.5'),
        (np.zeros((1, 4, 4), np.uint8), '(1, 4, 4)'),
        (np.zeros((0, 4), np.uint8), '(0, 4)'),
        (np.zeros((4, 4), np.int64), 'int64'),
        ([[0.5]], 'list'),
    ],
)
def test_bad_map_is_named(bad, named):
    with pytest.raises(DataError) as caught:
        selo_metrics(bad, [box(0, 0, 2, 2)])
    assert named in str(caught.value)


@pytest.mark.parametrize('bad', [np.zeros(4), np.zeros((0, 2)), np.array([[1, np.nan]]), np.array([[1, 1e10]])])
def test_bad_polygon_is_refused(bad):
    with pytest.raises(DataError, match='polygon'):
        selo_metrics(np.zeros((4, 4), np.uint8), [bad])


def test_other_bad_arguments():
    gray = np.zeros((4, 4), np.uint8)
    with pytest.raises(ConfigError, match='refrence'):
        selo_metrics(gray, [], protocol='refrence')
    with pytest.raises(DataError, match=r'\(4, 5\)'):
        selo_metrics(gray, [], mask=np.zeros((4, 5), bool))
    with pytest.raises(DataError, match='uint8'):
        selo_metrics(gray, [], mask=gray)


def test_functions_do_not_bring_torch_along():
    code = 'import sys; from xemap.evaluation import selo_metrics; sys.exit("torch" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0
