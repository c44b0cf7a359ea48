from __future__ import annotations

import json
from types import SimpleNamespace

import cv2
import numpy as np
import shapely

from tests.tools.command import load_tool
from tests.tools.small_run import write_run
from xemap.cli import run
from xemap.inference.map_store import MapStore
from xemap.inference.pictures import SIDE, SIDE_OF_SEVERAL, draw_pictures
from xemap.inference.result import Result
from xemap.language.decompose import whole_and_parts
from xemap.raster.georeference import Georeference
from xemap.raster.raster import ArrayRaster
from xemap.visualization import query_panel
from xemap.visualization.overlay import OUTLINE


def result_of(image, queries, regions=None):
    """Map of query i is i / 10 everywhere."""
    store = MapStore(len(queries), image.shape[:2])
    for i in range(len(queries)):
        store.write(i, 0, np.full(image.shape[:2], i / 10, np.float32))
    return Result('array', list(queries), store, Georeference(), regions=regions)


def test_picture_of_a_multi_hop_query_shows_whole_and_parts():
    image = np.full((200, 300, 3), 128, np.uint8)
    queries, parts = whole_and_parts(['the road', 'the lake next to the road'])
    texts = {query: [part.text for part in parts_of_query] for query, parts_of_query in parts.items()}
    alone, several, *_ = draw_pictures(ArrayRaster(image), result_of(image, queries), texts)
    flat = [np.full((200, 300), value, np.float32) for value in (0.1, 0.2, 0.0)]
    columns = {'whole': flat[0], 'the lake': flat[1], 'the road': flat[2]}
    assert np.array_equal(several, query_panel(image, queries[1], columns, max_side=SIDE_OF_SEVERAL))
    assert np.array_equal(alone, query_panel(image, 'the road', flat[2], max_side=SIDE))


def test_picture_has_the_outlines_of_the_whole():
    queries, parts = whole_and_parts(['the road', 'the lake next to the road'])
    image = np.full((600, 900, 3), 128, np.uint8)
    regions = [[], [SimpleNamespace(polygon=shapely.box(300, 200, 600, 400))], [], []]
    texts = {query: [part.text for part in parts_of_query] for query, parts_of_query in parts.items()}
    picture = draw_pictures(ArrayRaster(image), result_of(image, queries, regions), texts)[1]
    rows, columns = np.nonzero((picture == OUTLINE).all(axis=2))
    scale = SIDE_OF_SEVERAL / 900
    assert abs(np.ptp(columns) - 300 * scale) <= 3 and abs(np.ptp(rows) - 200 * scale) <= 3
    assert columns.max() < SIDE_OF_SEVERAL, 'on the image, not on the maps'


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
    assert infer('--overwrite', '--levels') == 0
    levels = cv2.imread(str(file)).shape
    assert levels[1] > 1.5 * alone[1]
    assert infer('--overwrite', '--levels', '--mode', 'tile') == 2
    assert 'levels in mode "tile"' in capsys.readouterr().err
    assert infer('--overwrite', '--decompose', '--format', 'npy') == 2
    assert '--decompose draws pictures' in capsys.readouterr().err
