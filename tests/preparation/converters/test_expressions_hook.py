from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from tests.tools.command import run_tool
from xemap.datasets.annotations import AnnotationFile
from xemap.preparation.converters import Converter, Instance, Item
from xemap.preparation.expressions import ExpressionGenerator
from xemap.structures import PolygonRegion


class Ships(Converter):
    """Two tanks, the left one red and the right one blue, and a lone ship of a class to be renamed."""

    def items(self) -> list[Item]:
        return [Item(self.data_root / 'a.png', 'a.png', None)]

    def instances(self, item: Item, size: tuple[int, int]):
        for category, left, top in (('tank', 20, 90), ('tank', 150, 90), ('schiff', 20, 10)):
            corners = [[left, top], [left + 29, top], [left + 29, top + 29], [left, top + 29]]
            yield Instance(category, PolygonRegion([corners]))


class FalseColorShips(Ships):
    true_color: ClassVar[bool] = False


class UnlabeledShips(Ships):
    complete: ClassVar[bool] = False


@pytest.fixture
def root(tmp_path: Path) -> Path:
    image = np.full((200, 200, 3), 90, np.uint8)
    image[90:120, 20:50] = 200, 30, 30
    image[90:120, 150:180] = 30, 60, 200
    Image.fromarray(image).save(tmp_path / 'a.png')
    return tmp_path


def converted(cls: type[Converter], root: Path, **options):
    converter = cls(root, category_map={'tank': 'storage tank', 'schiff': 'ship'}, **options)
    return converter.record(converter.items()[0]).queries


def test_expressions_follow_the_category_queries(root):
    plain = converted(Ships, root)
    both = converted(Ships, root, expressions=ExpressionGenerator(max_per_image=12))
    assert both[: len(plain)] == plain and {query.kind for query in plain} == {'one-hop'}
    more = both[len(plain) :]
    assert {query.kind for query in more} == {'attribute', 'position', 'multi-hop'}
    assert {query.category for query in more} == {'storage tank'}  # renamed, and there is only one ship
    assert any('red' in query.text or 'blue' in query.text for query in more)


def test_false_colors_are_not_named(root):
    more = converted(FalseColorShips, root, expressions=ExpressionGenerator(max_per_image=12))
    assert len(more) > 3
    assert not any('red' in query.text or 'blue' in query.text for query in more)


def tool(root: Path, *options, source: type[Converter] = Ships):
    where = f'{__file__}:{source.__name__}', '--data-root', root, '--out', root / 'out', '--map', 'tank=storage tank'
    return run_tool('convert_dataset', *where, *options)


@pytest.mark.parametrize('mode', ['too', 'only'])
def test_minimal_pairs_by_command(root, mode):
    assert tool(root, '--expressions').returncode == 0
    file = AnnotationFile(root / 'out/train.arrow')
    assert 'minimal_pairs' not in file.info['expressions']
    plain = file[0]
    done = tool(root, '--expressions', '--minimal-pairs', mode)
    assert done.returncode == 0, done.stderr
    file = AnnotationFile(root / 'out/train.arrow')
    assert file.info['expressions']['minimal_pairs'] == mode
    (record,) = file
    first = 0 if mode == 'only' else len(plain.queries)
    assert record.queries[:first] == plain.queries[:first] and len(record.queries) > first
    pairs = record.queries[first:]
    assert all(one.pair and one.pair == other.pair for one, other in zip(pairs[::2], pairs[1::2]))
    assert len({query.pair for query in pairs}) == len(pairs) / 2
    assert {query.pair.split('/')[0] for query in pairs} == {'attribute', 'place', 'distance'}
    red, blue = (query for query in pairs if query.needed[0][0] == 'color')
    masks = [query.region.mask((200, 200)) for query in (red, blue)]
    assert {('red' in red.text, bool(masks[0][105, 35])), ('red' in blue.text, bool(masks[1][105, 35]))} == {
        (True, True), (False, False)
    }  # fmt: skip


def test_words_of_ones_own_by_command(root):
    words = root / 'mine.json'
    words.write_text('{"attributes": {"color": {"red": ["crimson {noun}"]}}}')
    assert tool(root, '--expressions', '--minimal-pairs', 'only', '--words', words).returncode == 0
    file = AnnotationFile(root / 'out/train.arrow')
    assert file.info['expressions']['words'] == 'mine.json'
    assert any('crimson' in query.text for query in file[0].queries)


@pytest.mark.parametrize(
    ('options', 'source', 'message'),
    [
        (['--minimal-pairs', 'only'], Ships, '--minimal-pairs concerns --expressions'),
        (['--words', 'mine.json'], Ships, '--words concerns --expressions'),
        (['--expressions', '--minimal-pairs', 'only', '--wordings', 2], Ships, '--wordings'),
        (['--expressions', '--minimal-pairs', 'only', '--min-area', 0.1], Ships, '--min-area'),
        (['--expressions', '--minimal-pairs', 'too'], UnlabeledShips, 'need every object labeled'),
    ],
)
def test_options_without_effect_are_refused(root, options, source, message):
    done = tool(root, *options, source=source)
    assert done.returncode == 2 and message in done.stderr and not (root / 'out').exists()
