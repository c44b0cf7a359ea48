from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from xemap.visualization import overlay, query_panel, save_panels, save_picture
from xemap.visualization.panel import MAX_TITLE_LINES, font, wrap

IMAGE = np.full((200, 300, 3), 120, np.uint8)
MAP = np.linspace(0, 1, 300, dtype=np.float32)[None].repeat(200, 0)


def contains(picture: np.ndarray, part: np.ndarray) -> bool:
    """Whether ``part`` stands somewhere in ``picture`` exactly."""
    height, width = part.shape[:2]
    for y, x in zip(*np.nonzero((picture == part[0, 0]).all(-1))):
        if np.array_equal(picture[y : y + height, x : x + width], part):
            return True
    return False


def test_columns_hold_image_target_and_prediction():
    target, prediction = overlay(IMAGE, MAP), overlay(IMAGE, MAP / 3)
    panel = query_panel(IMAGE, 'the lake', MAP / 3, MAP)
    assert panel.dtype == np.uint8
    for part in (IMAGE, target, prediction):
        assert contains(panel, part)
    without = query_panel(IMAGE, 'the lake', MAP / 3)
    assert without.shape[1] < panel.shape[1]
    assert contains(without, prediction) and not contains(without, target)
    data_alone = query_panel(IMAGE, 'the lake', target=MAP)
    assert contains(data_alone, target) and not contains(data_alone, prediction)


def test_outline_is_in_the_image_column():
    square = np.array([(30, 30), (80, 30), (80, 80), (30, 80)])
    assert not contains(query_panel(IMAGE, 'a', MAP, polygons=[square]), IMAGE)


def test_large_images_are_shrunk_first_and_tiny_ones_enlarged():
    large = np.zeros((3000, 6000, 3), np.uint8)
    square = np.array([(0, 0), (5999, 0), (5999, 2999), (0, 2999)])
    panel = query_panel(large, 'a', MAP, MAP, polygons=[square], max_side=300)
    assert panel.shape[0] < 220 and panel.shape[1] < 1000
    tiny = query_panel(np.zeros((4, 4, 3), np.uint8), 'a', MAP)
    assert tiny.shape[0] > 128


@pytest.mark.parametrize(
    'text', ['', ' \n\t ', 'the lake', 'word ' * 200, 'x' * 3000, '湖 の 東 🏞 – Ünïcode \x00\x07', 'سوق \u202e abc']
)
def test_any_text_is_wrapped_within_the_width(text):
    lines = wrap(text, 300, 15)
    assert 1 <= len(lines) <= MAX_TITLE_LINES
    assert all(font(15).getlength(line) <= 300 for line in lines)
    if len(lines) < MAX_TITLE_LINES:
        assert ''.join(lines).replace(' ', '') == ''.join(text.split())
    assert query_panel(IMAGE, text, MAP).ndim == 3


def test_panels_below_each_other(tmp_path):
    wide, narrow = query_panel(IMAGE, 'a', MAP, MAP), query_panel(IMAGE, 'b', MAP)
    path = tmp_path / 'deep' / 'er' / 'a.png'
    save_panels(path, (panel for panel in (wide, narrow)))
    read = np.asarray(Image.open(path))
    assert np.array_equal(read[: wide.shape[0]], wide)
    assert np.array_equal(read[wide.shape[0] :, : narrow.shape[1]], narrow)
    assert (read[wide.shape[0] :, narrow.shape[1] :] == 255).all()


def test_picture_is_written_completely_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / 'a.png'
    save_picture(path, IMAGE)

    def fail(*args):
        raise OSError('disk full')

    monkeypatch.setattr('os.replace', fail)
    with pytest.raises(OSError, match='disk full'):
        save_picture(path, IMAGE[:10])
    assert np.asarray(Image.open(path)).shape == IMAGE.shape
    assert list(tmp_path.iterdir()) == [path]
