"""Reads an expression back and finds what it means in rasters: no code, no grammar and no geometry of the package.

Thresholds lie in the middle of the bands that docs/expressions.md states. An emitted expression has no
object in a band, so this must find exactly its referents, although rasters measure to a pixel only.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from scipy import ndimage

NOUNS = {
    'vehicle': 'vehicles?',
    'storage tank': '(?:storage )?tanks?',
    'ship': 'ships?|vessels?',
    'harbor': 'harbors?',
    'building': 'buildings?',
    'road': 'roads?',
    'water': 'bod(?:y|ies) of water|water areas?|water',
    'tree': 'patch(?:es)? of trees|trees',
    'agriculture': 'pieces? of (?:farm|crop)land|(?:farm|crop)land',
    'mystery thing': 'mystery things?',
}
SYNTHETIC_NOUNS = {
    'buildings': 'buildings|(?:groups? of|cluster of) buildings|building (?:clusters?|complex)',
    'parking': 'parking (?:lot|area)s?|car parks?',
    'track': '(?:running|athletics) tracks?|sports ground with a running track|track and field ground',
    'football': '(?:football|soccer) fields?|football pitch(?:es)?',
    'tennis': '(?:groups? of )?tennis courts',
    'tanks': '(?:groups? of )?storage tanks|oil tanks|tank farm',
    'solar': 'solar (?:farms?|panels|power plants?)',
    'apron': 'aircraft aprons?|aprons? with aircraft|parked (?:aircraft|airplanes)',
    'runway': '(?:airport )?runways?',
    'road': 'roads?|streets?',
    'crossroads': 'crossroads|road intersections?|crossing roads',
    'river': 'rivers?|river bank',
    'sea': 'seas?|sea water|ocean|coast|shore',
    'lake': 'lakes?|ponds?',
    'forest': '(?:patch(?:es)? of )?forests?|woodland|woods',
    'farmland': '(?:pieces? of )?farmland|cropland|(?:crop|farm) fields?',
    'ship': '(?:cargo )?ships?|vessels?',
}
ADJECTIVES = {
    'red': 'red(?:-roofed)?', 'brown': '(?:rusty |plowed )?brown', 'yellow': 'yellow', 'green': 'green',
    'blue': 'blue(?:-roofed)?', 'white': 'white(?:-roofed)?', 'gray': 'gr[ae]y(?:-roofed)?', 'black': 'black|dark',
    'orange': 'orange', 'full': 'full|crowded', 'empty': 'empty|vacant',
    'long': 'long|elongated', 'square': 'square', 'round': 'round|circular',
    'large': 'large|big', 'small': 'small|little',
    'largest': 'largest|biggest', 'smallest': 'smallest|tiniest',
    'leftmost': 'leftmost', 'rightmost': 'rightmost',
    'topmost': 'topmost|uppermost', 'bottommost': 'bottommost|lowermost',
}  # fmt: skip
ENDS = {
    'leftmost': 'farthest to the left', 'rightmost': 'farthest to the right',
    'topmost': 'closest to the top of the image', 'bottommost': 'closest to the bottom of the image',
    'red': 'with red roofs', 'gray': 'with gr[ae]y roofs', 'white': 'with white roofs|painted white',
    'blue': 'with blue roofs|with a blue surface', 'green': 'with a green surface|with green crops',
    'orange': 'with an orange surface', 'yellow': 'with yellow crops', 'brown': 'painted brown|with bare brown soil',
    'full': 'full of cars|with many cars', 'empty': 'without cars',
}  # fmt: skip
_V, _H = '(top|upper|bottom|lower)', '(left|right)'
PLACES = [
    rf'on the {_H}(?: side of the image)?',
    rf'in the {_H} part(?: of the image)?',
    rf'at the {_V}(?: of the image)?',
    rf'in the {_V} part(?: of the image)?',
    rf'(?:in|at) the {_V} {_H}(?: corner| part)?(?: of the image)?',
    r'in the (center|middle)(?: of the image)?',
]
BEFORE = [rf'{_V} {_H}', _V, _H, '(central)']
RELATIONS = {
    'next': 'next to|beside|adjacent to|along|alongside|right by|near',
    'surrounded': '(?:surrounded|enclosed) by',
    'far': 'far (?:away )?from',
    'closest': '(?:closest|nearest) to|nearest',
    'farthest': 'farthest (?:away )?from|most distant from',
    'left': '(?:to the |on the )?left of',
    'right': '(?:to the |on the )?right of',
    'above': '(?:directly )?above',
    'below': '(?:directly )?below',
    'larger': '(?:larg|bigg)er than',
    'smaller': 'smaller than',
    'between': '(?:lying |located )?between',
}
PALETTE = {
    'red': (200, 40, 40), 'brown': (110, 78, 45), 'yellow': (230, 210, 60), 'green': (60, 150, 70),
    'blue': (50, 80, 200), 'white': (240, 240, 240), 'gray': (130, 130, 130), 'black': (20, 20, 20),
    'orange': (240, 140, 20), 'pink': (240, 160, 190), 'light gray': (190, 190, 190), 'teal': (60, 140, 150),
}  # fmt: skip
"""The last four have no name in the package."""


@dataclass(frozen=True)
class Reading:
    category: str
    words: frozenset[str] = frozenset()
    place: frozenset[str] = frozenset()
    relation: str | None = None
    anchors: tuple[Reading, ...] = ()

    def mirrored(self, direction: str) -> Reading:
        pairs = {
            'horizontal': ['left right', 'leftmost rightmost'],
            'vertical': ['top bottom', 'topmost bottommost', 'above below'],
        }[direction]
        swap = {a: b for pair in pairs for a, b in (pair.split(), pair.split()[::-1])}
        return Reading(
            self.category,
            frozenset(swap.get(word, word) for word in self.words),
            frozenset(swap.get(word, word) for word in self.place),
            swap.get(self.relation, self.relation),
            tuple(anchor.mirrored(direction) for anchor in self.anchors),
        )


    def rotated(self) -> Reading:
        """In the image rotated by a quarter turn counterclockwise."""
        steps = 'right top left bottom', 'rightmost topmost leftmost bottommost', 'right above left below'
        turn = [dict(zip(cycle, cycle[1:] + cycle[:1])) for cycle in (words.split() for words in steps)]
        return Reading(
            self.category,
            frozenset(turn[1].get(word, word) for word in self.words),
            frozenset(turn[0].get(word, word) for word in self.place),
            turn[2].get(self.relation, self.relation),
            tuple(anchor.rotated() for anchor in self.anchors),
        )


def read(text: str, nouns: dict[str, str] = NOUNS) -> Reading:
    """What a text says; AssertionError where it is not understood, or understood in two ways."""
    body = re.sub(r'^(?:find |where is |where are |which |all )+', '', text)
    body = re.sub(r'^(?:all |the )+', '', body)
    readings = set(read_phrase(body, nouns))
    for pattern in PLACES:
        if match := re.fullmatch(rf'(.+?)(?: that)?(?: is| are)? {pattern}', body):
            readings |= {Reading(*noun, read_place(match.groups()[1:])) for noun in read_noun(match[1], nouns)}
    for name, pattern in RELATIONS.items():
        others = ' and the (.+)' if name == 'between' else ''
        if match := re.fullmatch(rf'(.+?)(?: that)?(?: is| are)? (?:{pattern}) the (.+?){others}', body):
            anchors = product(*(read_phrase(anchor, nouns) for anchor in match.groups()[1:]))
            pairs = list(product(read_noun(match[1], nouns), anchors))
            readings |= {Reading(*noun, relation=name, anchors=anchor) for noun, anchor in pairs}
    assert len(readings) == 1, f'{text!r} has {len(readings)} readings'
    return readings.pop()


def read_place(words) -> frozenset[str]:
    same = {'upper': 'top', 'lower': 'bottom', 'middle': 'center', 'central': 'center'}
    return frozenset(same.get(word, word) for word in words)


def read_phrase(text: str, nouns: dict[str, str]) -> list[Reading]:
    """Noun phrases without anything but what belongs to the noun."""
    readings = [Reading(*noun) for noun in read_noun(text, nouns)]
    for pattern in BEFORE:
        if match := re.fullmatch(rf'{pattern} (.+)', text):
            *place, rest = match.groups()
            readings += [Reading(*noun, read_place(place)) for noun in read_noun(rest, nouns)]
    return readings


def read_noun(text: str, nouns: dict[str, str]) -> list[tuple[str, frozenset[str]]]:
    words = set()
    again = True
    while again:
        again = False
        for word, end in ENDS.items():
            if match := re.search(rf' (?:{end})$', text):
                words.add(word)
                text = text[: match.start()]
                again = True
    while match := re.match('|'.join(f'(?P<{word}>(?:{forms}) )' for word, forms in ADJECTIVES.items()), text):
        words.add(match.lastgroup)
        text = text[match.end() :]
    return [(category, frozenset(words)) for category, forms in nouns.items() if re.fullmatch(forms, text)]


class RasterScene:
    """Objects as masks.

    Args:
        objects: category and (H, W) bool of each.
        image: (H, W, 3) uint8 RGB.
        known: values of attributes that each object has by its making, in place of colors.
    """

    def __init__(
        self, objects: list[tuple[str, np.ndarray]], image: np.ndarray, known: list[set[str]] | None = None
    ) -> None:
        self.known = known
        self.categories = [category for category, _ in objects]
        self.masks = [mask for _, mask in objects]
        self.image = image
        self.height, self.width = image.shape[:2]
        self.side = math.sqrt(self.height * self.width)
        self._away: dict[int, np.ndarray] = {}

    def flipped(self, direction: str) -> RasterScene:
        axis = {'horizontal': 1, 'vertical': 0}[direction]
        masks = [np.flip(mask, axis) for mask in self.masks]
        return RasterScene(list(zip(self.categories, masks)), np.flip(self.image, axis), self.known)

    def rotated(self, turns: int) -> RasterScene:
        masks = [np.rot90(mask, turns) for mask in self.masks]
        return RasterScene(list(zip(self.categories, masks)), np.rot90(self.image, turns), self.known)

    def cropped(self, box: tuple[int, int, int, int]) -> RasterScene:
        """The part x0, y0, x1, y1 with the objects that reach into it; what is cut has the color of the whole."""
        part = np.s_[box[1] : box[3], box[0] : box[2]]
        seen = [i for i, mask in enumerate(self.masks) if mask[part].any()]
        known = [self.colors[i] for i in seen]
        return RasterScene([(self.categories[i], self.masks[i][part]) for i in seen], self.image[part], known)

    @cached_property
    def colors(self) -> list[set[str]]:
        return self.known or [{color for color in PALETTE if self.has(i, color)} for i in range(len(self.masks))]

    def union(self, indices) -> np.ndarray:
        return np.logical_or.reduce([self.masks[i] for i in indices])

    def find(self, reading: Reading) -> list[int]:
        matching = [i for i, category in enumerate(self.categories) if category == reading.category]
        picks = {'largest', 'smallest', 'leftmost', 'rightmost', 'topmost', 'bottommost'}
        for word in reading.words - picks:
            matching = [i for i in matching if self.has(i, word)]
        for side in reading.place:
            matching = [i for i in matching if self.lies(i, side)]
        for word in reading.words & picks:
            matching = [min(matching, key=lambda i: self.rank(i, word))]
        if reading.relation:
            anchors = [self.find(anchor) for anchor in reading.anchors]
            assert all(anchors) and not {i for group in anchors for i in group} & set(matching)
            if reading.relation == 'between':
                ((first,), (second,)) = anchors
                return [i for i in matching if self.lies_between(i, first, second)]
            (anchors,) = anchors
            matching = self.related(matching, reading.relation, anchors)
        return matching

    @cached_property
    def areas(self) -> list[int]:
        return [int(mask.sum()) for mask in self.masks]

    @cached_property
    def centers(self) -> list[np.ndarray]:
        return [np.argwhere(mask).mean(axis=0)[::-1] / (self.width, self.height) for mask in self.masks]

    def away(self, i: int) -> np.ndarray:
        """Distance of every pixel to an object, in image sides."""
        if i not in self._away:
            self._away[i] = ndimage.distance_transform_edt(~self.masks[i]) / self.side
        return self._away[i]

    def gap(self, i: int, j: int) -> float:
        return float(self.away(j)[self.masks[i]].min())

    def rank(self, i: int, word: str) -> float:
        x, y = self.centers[i]
        return {
            'largest': -self.areas[i], 'smallest': self.areas[i],
            'leftmost': x, 'rightmost': -x, 'topmost': y, 'bottommost': -y,
        }[word]  # fmt: skip

    def lies(self, i: int, side: str) -> bool:
        x, y = self.centers[i]
        if side == 'center':
            return max(abs(x - 0.5), abs(y - 0.5)) < 0.19
        return {'left': x, 'right': 1 - x, 'top': y, 'bottom': 1 - y}[side] < 0.44

    def has(self, i: int, word: str) -> bool:
        share = self.areas[i] / (self.height * self.width)
        if word in ('large', 'small'):
            return share > 0.04 if word == 'large' else share < 0.0135
        if word in ('long', 'square'):
            long, short = self.sides(i)
            aspect, fill = long / short, self.areas[i] / (long * short)
            return aspect > 2.5 if word == 'long' else aspect < 1.32 and fill > 0.81
        if word == 'round':
            return self.areas[i] / (math.pi * self.radius(i) ** 2) > 0.75
        if self.known is not None:
            return word in self.known[i]
        depth = ndimage.distance_transform_edt(np.pad(self.masks[i], 1))[1:-1, 1:-1]
        inner = self.image[depth > 0.15 * depth.max()].astype(int)
        nearest = np.abs(inner[:, None] - list(PALETTE.values())).sum(axis=2).argmin(axis=1)
        return (nearest == list(PALETTE).index(word)).mean() > 0.43

    def corners(self, i: int) -> np.ndarray:
        """(n, 2) x, y of the corners of all pixels on the rim."""
        rim = self.masks[i] & ~ndimage.binary_erosion(self.masks[i])
        points = np.argwhere(rim)[:, ::-1].astype(float)
        return np.concatenate([points + offset for offset in ((-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5))])

    def sides(self, i: int) -> tuple[float, float]:
        """Longer and shorter side of the smallest rectangle around the object, by trying all angles."""
        angles = np.radians(np.arange(0, 90, 0.5))
        points = self.corners(i)
        along = np.ptp(points @ np.stack([np.cos(angles), np.sin(angles)]), axis=0)
        across = np.ptp(points @ np.stack([-np.sin(angles), np.cos(angles)]), axis=0)
        best = int(np.argmin(along * across))
        return max(along[best], across[best]), min(along[best], across[best])

    def radius(self, i: int) -> float:
        """Radius of the smallest circle around the object: the center creeps toward the farthest point."""
        points = self.corners(i)
        center = points.mean(axis=0)
        for step in range(1, 400):
            farthest = points[np.argmax(((points - center) ** 2).sum(axis=1))]
            center += (farthest - center) / (step + 1)
        return float(np.sqrt(((points - center) ** 2).sum(axis=1)).max())

    def related(self, candidates: list[int], relation: str, anchors: list[int]) -> list[int]:
        if relation == 'next':
            return [i for i in candidates if any(self.neighbors(i, j) for j in anchors)]
        gaps = {i: min(self.gap(i, j) for j in anchors) for i in candidates} if relation in _BY_GAP else {}
        if relation == 'far':
            return [i for i in candidates if gaps[i] > 0.2]
        if relation in ('closest', 'farthest'):
            return [(min if relation == 'closest' else max)(candidates, key=gaps.__getitem__)]
        if relation == 'surrounded':
            around = self.union(anchors)
            rings = {i: (self.away(i) > 0) & (self.away(i) <= 0.03) for i in candidates}
            return [i for i in candidates if around[rings[i]].mean() > 0.725]
        (anchor,) = anchors
        if relation in ('larger', 'smaller'):
            ratios = {i: self.areas[i] / self.areas[anchor] for i in candidates}
            return [i for i in candidates if (ratios[i] if relation == 'larger' else 1 / ratios[i]) > 1.33]
        step = {'left': (-1, 0), 'right': (1, 0), 'above': (0, -1), 'below': (0, 1)}[relation]
        offsets = {i: self.centers[i] - self.centers[anchor] for i in candidates}
        return [i for i in candidates if (o := offsets[i]) @ step > 0 and abs(o @ step[::-1]) < 0.85 * (o @ step)]

    def neighbors(self, i: int, j: int) -> bool:
        reach = min(0.064, math.sqrt(min(self.areas[i], self.areas[j])) / self.side)
        return self.gap(i, j) < 1.1 * reach

    def lies_between(self, i: int, first: int, second: int) -> bool:
        a, b = self.ray(i, first), self.ray(i, second)
        lengths = math.hypot(*a), math.hypot(*b)
        cosine = a @ b / (lengths[0] * lengths[1] + 1e-9)
        return min(lengths) > 0.01 and max(lengths) < 0.425 and math.degrees(math.acos(min(max(cosine, -1), 1))) > 130

    def ray(self, i: int, j: int) -> np.ndarray:
        """From the center of i to the nearest pixel of j, in image sides."""
        points = np.argwhere(self.masks[j])[:, ::-1] - self.centers[i] * (self.width, self.height)
        return points[(points**2).sum(axis=1).argmin()] / self.side


_BY_GAP = ('far', 'closest', 'farthest')
