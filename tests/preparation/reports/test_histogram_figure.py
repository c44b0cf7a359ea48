from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from xemap.preparation.reports.histogram_figure import MAX_BARS, bars, format_histograms, save_histograms
from xemap.preparation.reports.histograms import HISTOGRAMS


@pytest.mark.parametrize(
    'name, counts, edges, heights',
    [
        ('queries_per_image', {0: 2, 3: 5}, [0, 1, 2, 3, 4], [2, 0, 0, 5]),
        ('words_per_query', {4: 1, 5: 2, 9: 3, 11: 4}, [0, 5, 10, 15], [1, 5, 4]),
        ('multi_hop_per_image', {0: 7}, [0, 1], [7]),
    ],
)
def test_bars(name, counts, edges, heights) -> None:
    drawn = bars(name, counts)
    assert drawn[0].tolist() == edges and drawn[1].tolist() == heights


@pytest.mark.parametrize('largest', [23, 24, 119, 120, 5000])
@pytest.mark.parametrize('name', HISTOGRAMS)
def test_long_tails_share_bars(name, largest) -> None:
    edges, heights = bars(name, {0: 1, largest: 2})
    assert len(heights) <= MAX_BARS and heights.sum() == 3 and heights[-1] == 2
    assert edges[-2] <= largest < edges[-1] and len(set(np.diff(edges))) == 1


def numbers(**known) -> dict:
    empty = {'counts': {}, 'mean': None, 'median': None, 'max': None}
    one = {'counts': {1: 40, 3: 2}, 'mean': 1.5, 'median': 1.0, 'max': 3}
    some = {'yes': 1, 'no': 2, 'unknown': 3}
    shown = {name: one if known.get(name, True) else empty for name in HISTOGRAMS}
    return {'file': 'a $b_c$ [d].arrow', 'images': 42, 'queries': 46, 'multi_hop': some, 'multi_ref': some, **shown}


def test_picture_has_a_row_a_file(tmp_path) -> None:
    save_histograms(tmp_path / 'new' / 'a.png', [numbers()])
    save_histograms(tmp_path / 'new' / 'b.png', [numbers(), numbers(multi_hop_per_image=False)])
    one, two = (np.asarray(Image.open(tmp_path / 'new' / name).convert('L')) for name in ('a.png', 'b.png'))
    assert two.shape == (2 * one.shape[0], one.shape[1])
    bars = two < 140  # the bars' color; text and lines are thinner
    middle = two.shape[1] // 4, two.shape[1] // 2
    with_bars, without = bars[: one.shape[0], slice(*middle)], bars[one.shape[0] :, slice(*middle)]
    assert with_bars.mean() > 5 * without.mean()
    assert sorted(path.name for path in (tmp_path / 'new').iterdir()) == ['a.png', 'b.png']


def test_table_shows_every_file() -> None:
    from xemap.terminal import PlainConsole

    console = PlainConsole(width=100, file=open('/dev/null', 'w'), record=True)  # noqa: SIM115
    console.print(format_histograms([numbers(), numbers(multi_hop_per_image=False)]))
    text = console.export_text()
    assert text.count('[d].arrow') == 2 and '1 / 2 / 3' in text and '- / - / -' in text and '1.5 / 1 / 3' in text
