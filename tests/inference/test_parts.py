from __future__ import annotations

import json
from types import SimpleNamespace

import cv2
import numpy as np
import shapely

from tests.tools.small_run import write_run
from tests.tools.test_train import load_tool
from xemap.cli import run
from xemap.inference.map_store import MapStore
from xemap.inference.parts import PartsInferencer
from xemap.inference.result import Result
from xemap.language.decompose import whole_and_parts
from xemap.raster.georeference import Georeference
from xemap.visualization.overlay import OUTLINE
from xemap.visualization.parts import PICTURE_SIDE, parts_picture


def stand_in(image, queries, **options):
    """Map of query i is i / 10 everywhere."""
    store = MapStore(len(queries), image.shape[:2])
    for i in range(len(queries)):
        store.write(i, 0, np.full(image.shape[:2], i / 10, np.float32))
    pictures = [np.zeros((4, 4, 3), np.uint8)] * len(queries) if options.get('pictures') else None
    return Result('array', list(queries), store, Georeference(), pictures=pictures)


def test_picture_of_a_multi_hop_query_shows_whole_and_parts():
    image = np.full((200, 300, 3), 128, np.uint8)
    queries, parts = whole_and_parts(['the road', 'the lake next to the road'])
    result = PartsInferencer(stand_in, parts)(image, queries, pictures=True)
    flat = [np.full((200, 300), value, np.float32) for value in (0.1, 0.2, 0.0)]
    expected = parts_picture(image, queries[1], flat[0], {'the lake': flat[1], 'the road': flat[2]})
    assert np.array_equal(result.pictures[1], expected)
    assert expected.shape[1] > 4 * 300, 'image, whole and two parts'
    assert result.pictures[0].shape == (4, 4, 3), 'one hop: as it was'
    assert PartsInferencer(stand_in, parts)(image, queries).pictures is None


def test_picture_has_the_outlines_of_the_whole():
    def with_regions(image, queries, **options):
        result = stand_in(image, queries, **options)
        result.regions = [[], [SimpleNamespace(polygon=shapely.box(300, 200, 600, 400))], [], []]
        return result

    queries, parts = whole_and_parts(['the road', 'the lake next to the road'])
    image = np.full((600, 900, 3), 128, np.uint8)
    picture = PartsInferencer(with_regions, parts)(image, queries, pictures=True).pictures[1]
    rows, columns = np.nonzero((picture == OUTLINE).all(axis=2))
    scale = PICTURE_SIDE / 900
    assert abs(np.ptp(columns) - 300 * scale) <= 3 and abs(np.ptp(rows) - 200 * scale) <= 3
    assert columns.max() < PICTURE_SIDE, 'on the image, not on the maps'


def test_tool_draws_the_parts(tmp_path, capsys):
    config = write_run(tmp_path)
    tool = load_tool('infer')

    def infer(*words):
        model = ['--config', config, '--checkpoint', 'none', '--device', 'cpu', '--out', tmp_path / 'out']
        words = [tmp_path / '0.png', '--query', 'the meadow next to the river', *model, *words]
        return run(tool.main, tool.parse_args([str(word) for word in words]))

    assert infer() == 0
    file = tmp_path / 'out/0/01_the-meadow-next-to-the-river.png'
    alone = cv2.imread(str(file)).shape
    assert infer('--overwrite', '--decompose') == 0
    assert cv2.imread(str(file)).shape[1] > 1.5 * alone[1]
    assert [path.name for path in sorted(file.parent.glob('*.png'))][1:] == ['02_the-meadow.png', '03_the-river.png']
    record = json.loads((file.parent / 'result.json').read_text())
    assert record['settings']['parts'] == {'the meadow next to the river': ['the meadow', 'the river']}
    assert infer('--resume', '--decompose', 'meadow', 'river') == 2
    assert 'was made with parts' in capsys.readouterr().err
    assert infer('--overwrite', '--decompose', '--format', 'npy') == 2
    assert '--decompose draws pictures' in capsys.readouterr().err
