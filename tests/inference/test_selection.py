from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.tools.command import load_tool
from tests.tools.small_run import write_run
from xemap.cli import run
from xemap.errors import ConfigError, DataError
from xemap.inference.selection import read_detections, read_gray, read_map, select_areas, select_boxes

MAP = np.zeros((40, 60), np.float32)
MAP[10:20, 30:50] = 0.8
MAP[12, 35] = 1.0


def tool(*words) -> int:
    module = load_tool('select_objects')
    return run(module.main, module.parse_args([str(word) for word in words]))


def save(path: Path, array: np.ndarray) -> Path:
    Image.fromarray(array).save(path)
    return path


def test_boxes_are_scored_by_the_pixels_in_them():
    boxes = [[30, 10, 20, 10], [30, 10, 20, 20], [34.5, 11.5, 1.2, 0.8], [-5, -5, 20, 20], [55, 35, 100, 100]]
    scores, kept = select_boxes(MAP, boxes)
    inside = (0.8 * 199 + 1) / 200
    assert scores == pytest.approx([inside, inside / 2, (0.8 * 3 + 1) / 4, 0, 0], abs=1e-6)
    assert kept.tolist() == [True, False, True, False, False]
    highest, kept = select_boxes(MAP, boxes, threshold=1.0, statistic='max')
    assert highest.tolist() == [1, 1, 1, 0, 0] and kept.tolist() == [True, True, True, False, False]


@pytest.mark.parametrize('box', [[60, 0, 5, 5], [0, -9, 5, 9], [5, 5, 0, 4], [5, 5, 4, -1]])
def test_a_box_without_pixels_is_refused(box):
    with pytest.raises(DataError, match='box 1 '):
        select_boxes(MAP, [[0, 0, 5, 5], box])


def test_areas_of_a_mask_are_kept_or_not_as_a_whole():
    mask = np.zeros((40, 60), np.uint8)
    mask[12:18, 32:40] = 1
    mask[18, 40] = 1  # touches at a corner
    mask[12:18, 40:44] = 2  # another value that touches
    mask[30:35, 0:9] = 1
    kept, areas = select_areas(MAP, mask)
    assert [(a.value, a.bbox, a.pixels, a.kept) for a in areas] == [
        (1, (32, 12, 9, 7), 49, True),
        (1, (0, 30, 9, 5), 45, False),
        (2, (40, 12, 4, 6), 24, True),
    ]
    assert [a.score for a in areas] == pytest.approx([(0.8 * 48 + 1) / 49, 0, 0.8], abs=1e-6)
    expected = mask.copy()
    expected[30:] = 0
    assert np.array_equal(kept, expected)
    only, areas = select_areas(MAP, mask, 0.9, 'max')
    assert [a.kept for a in areas] == [True, False, False] and set(np.unique(only)) == {0, 1}


def test_pixels_of_what_hangs_together_are_kept_one_by_one():
    road = np.zeros((40, 60), np.uint8)
    road[15, :] = 255
    kept, areas = select_areas(MAP, road, 0.5, 'pixel')
    assert np.flatnonzero(kept[15]).tolist() == list(range(30, 50)) and kept.sum() == 20 * 255
    assert len(areas) == 1 and areas[0].kept and areas[0].score == pytest.approx(0.8 * 20 / 60)
    assert not select_areas(MAP, road, 0.5, 'mean')[0].any()


def test_an_empty_mask_has_no_areas():
    kept, areas = select_areas(MAP, np.zeros((40, 60), np.uint8))
    assert areas == [] and not kept.any()


def test_what_does_not_fit_is_named():
    with pytest.raises(ConfigError, match='threshold is 2'):
        select_boxes(MAP, [[0, 0, 5, 5]], threshold=2)
    with pytest.raises(ConfigError, match='"pixel" is unknown; use one of mean, max'):
        select_boxes(MAP, [[0, 0, 5, 5]], statistic='pixel')
    with pytest.raises(DataError, match=r'\(40, 61\)'):
        select_areas(MAP, np.zeros((40, 61), np.uint8))


def test_maps_are_read_at_the_size_of_the_image(tmp_path):
    path = save(tmp_path / 'm.png', np.rint(MAP * 255).astype(np.uint8))
    np.testing.assert_allclose(read_map(path, (40, 60)), MAP, atol=0.002)
    np.save(tmp_path / 'm.npy', MAP.astype(np.float64))
    np.testing.assert_array_equal(read_map(tmp_path / 'm.npy', (40, 60)), MAP)
    assert read_map(path, (80, 30)).shape == (80, 30)
    np.save(tmp_path / 'high.npy', MAP * 255)
    np.save(tmp_path / 'objects.npy', np.array([{}]), allow_pickle=True)
    (tmp_path / 'cut.png').write_bytes(path.read_bytes()[:60])
    color = save(tmp_path / 'color.png', np.zeros((4, 4, 3), np.uint8))
    for bad in (tmp_path / 'high.npy', tmp_path / 'objects.npy', tmp_path / 'cut.png', color, tmp_path / 'none.png'):
        with pytest.raises(DataError, match=bad.name):
            read_map(bad, (40, 60))


def test_palette_and_bilevel_masks_are_read_as_values(tmp_path):
    palette = Image.fromarray(np.array([[0, 3]], np.uint8), 'P')
    palette.putpalette([0, 0, 0, 9, 9, 9, 8, 8, 8, 255, 0, 0])
    palette.save(tmp_path / 'p.png')
    Image.fromarray(np.array([[0, 255]], np.uint8)).convert('1').save(tmp_path / 'b.png')
    assert read_gray(tmp_path / 'p.png').tolist() == [[0, 3]]
    assert read_gray(tmp_path / 'b.png').tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ('content', 'image_id', 'message'),
    [
        ('{"a": 1}', None, 'is a list, not dict'),
        ('[1', None, 'no JSON'),
        ('[]', None, 'are an empty list'),
        ('[{"image_id": 1}]', None, 'entry 0 has no "bbox"'),
        ('[{"image_id": 1, "bbox": [0, 0, NaN, 1]}]', None, 'entry 0'),
        ('[{"image_id": 1, "bbox": [0,0,1,1]}, {"image_id": 2, "bbox": [0,0,1,1]}]', None, '--image-id'),
        ('[{"image_id": 1, "bbox": [0,0,1,1]}]', 7, 'none of image 7'),
    ],
)
def test_bad_detections_are_named(tmp_path, content, image_id, message):
    path = tmp_path / 'd.json'
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_detections(path, image_id)


def test_the_tool_keeps_boxes_by_a_map_from_a_file(tmp_path, capsys):
    image = save(tmp_path / 'i.png', np.full((40, 60, 3), 90, np.uint8))
    map = save(tmp_path / 'm.png', np.rint(MAP[::2, ::2] * 255).astype(np.uint8))
    rows = [
        {'image_id': 3, 'category_id': 1, 'bbox': [31, 11, 18, 8], 'score': 0.9},
        {'image_id': 3, 'category_id': 1, 'bbox': [0, 0, 9, 9], 'score': 0.8},
        {'image_id': 4, 'category_id': 1, 'bbox': [31, 11, 18, 8], 'score': 0.7},
    ]
    (tmp_path / 'd.json').write_text(json.dumps(rows))
    out = tmp_path / 'new' / 'kept'
    arguments = (image, '--map', map, '--boxes', tmp_path / 'd.json', '--out', out, '--query', 'the bright one')
    assert tool(*arguments) == 2 and not out.parent.exists()
    assert 'choose one with --image-id' in capsys.readouterr().err
    assert tool(*arguments, '--image-id', 3) == 0
    assert '1 of 2 objects kept' in capsys.readouterr().out
    kept = json.loads(Path(f'{out}.json').read_text())
    assert len(kept) == 1 and kept[0].pop('map_score') == pytest.approx(0.8, abs=0.05) and kept == rows[:1]
    assert np.asarray(Image.open(f'{out}.picture.png')).ndim == 3
    assert sorted(path.name for path in out.parent.iterdir()) == ['kept.json', 'kept.picture.png']


def test_the_tool_keeps_areas_by_a_map_that_it_computes(tmp_path):
    config = write_run(tmp_path)
    mask = np.zeros((40, 56), np.uint8)
    mask[5:20, 10:30] = 9
    out = tmp_path / 'kept'
    mask_file = save(tmp_path / 'mask.png', mask)
    options = ('--config', config, '--query', 'a green field', '--mask', mask_file, '--threshold', 0)
    assert tool(tmp_path / '0.png', *options, '--out', out) == 0
    assert np.array_equal(np.asarray(Image.open(f'{out}.mask.png')), mask)
    (area,) = json.loads(Path(f'{out}.json').read_text())
    assert area['bbox'] == [10, 5, 20, 15] and area['pixels'] == 300 and 0 <= area['score'] <= 1 and area['kept']


def test_a_retrieval_model_or_a_missing_gpu_is_one_line(tmp_path, capsys):
    image = save(tmp_path / 'i.png', np.zeros((40, 56, 3), np.uint8))
    mask = save(tmp_path / 'mask.png', np.ones((40, 56), np.uint8))
    config = Path(__file__).parents[2] / 'configs/retrieval/amfmn_small_synthetic.py'
    words = (image, '--config', config, '--query', 'a field', '--mask', mask, '--out', tmp_path / 'kept')
    assert tool(*words, '--device', 'cpu') == 2
    assert 'AMFMN is no Localizer' in capsys.readouterr().err
    assert tool(*words, '--device', 'cuda:77') == 2
    assert 'device "cuda:77" is not there' in capsys.readouterr().err
