from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

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
