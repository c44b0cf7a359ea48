"""What lies where in a scene: objects, their outlines and attributes, without any pixel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import shapely
from shapely.geometry import LineString, Polygon

from xemap.preparation.synthetic.shapes import (
    Frame,
    Outline,
    across,
    band,
    blob,
    image_box,
    largest,
    rings,
    tidy,
)


@dataclass(frozen=True)
class SceneObject:
    """An object or region that queries can refer to.

    Args:
        category: key of :data:`CATEGORIES`.
        outline: its polygon(s), pixels of the image.
        attributes: name to value, e.g. ``{'roof': 'red'}``.
        frame: the rectangle it is built in, None for what follows a line.
        line: (V, 2) center line of roads, rivers and runways; (2, V, 2) of roads that cross.
        width: width of the band along ``line``, pixels.
    """

    category: str
    outline: Outline
    attributes: Mapping[str, str] = field(default_factory=dict)
    frame: Frame | None = None
    line: np.ndarray | None = None
    width: float = 0.0

    boxed = upright = False

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.outline.area

    @property
    def polygons(self) -> list[np.ndarray]:
        """Outline(s), each (V, 2) float64 x, y."""
        return rings(self.outline)

    @property
    def built_in(self) -> Frame:
        """The frame of an object that must have one."""
        if self.frame is None:
            raise ValueError(f'{self.category} has no frame')
        return self.frame

    @property
    def lines(self) -> np.ndarray:
        """Center lines (n, V, 2) of an object that must have them."""
        if self.line is None:
            raise ValueError(f'{self.category} has no center line')
        return self.line.reshape(-1, *self.line.shape[-2:])


@dataclass(frozen=True)
class Plan:
    """Everything that is decided before drawing.

    Args:
        size: (height, width) in pixels.
        meter: pixels per meter.
        sun: unit vector (x, y) along which shadows fall.
        shadow: length of a shadow for a height of one.
        ground: key of the open ground's colors.
        objects: in drawing order, later ones on top.
    """

    size: tuple[int, int]
    meter: float
    sun: tuple[float, float]
    shadow: float
    ground: str
    objects: list[SceneObject]


@dataclass(frozen=True)
class Category:
    """Shape and size of a category that is placed by :class:`Layout`.

    Args:
        shape: ``'rectangle'``, ``'stadium'`` (rounded ends), ``'hull'`` (of a ship), ``'blob'`` or
            ``'patch'`` (straight sides).
        length: range of the longer side, meters.
        aspect: range of width over length.
        attributes: name to possible values.
        gives_way: placed last, and cut back where something else is.
    """

    shape: str
    length: tuple[float, float]
    aspect: tuple[float, float]
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    gives_way: bool = False


CATEGORIES: Mapping[str, Category] = {
    'buildings': Category('rectangle', (75, 165), (0.6, 0.95), {'roof': ('red', 'gray', 'white', 'blue')}),
    'parking': Category('rectangle', (60, 125), (0.5, 0.9), {'fill': ('full', 'empty')}),
    'track': Category('stadium', (110, 178), (0.53, 0.6)),
    'football': Category('rectangle', (90, 115), (0.62, 0.7)),
    'tennis': Category('rectangle', (65, 125), (0.45, 0.8), {'surface': ('blue', 'green', 'orange')}),
    'tanks': Category('rectangle', (75, 150), (0.55, 0.95), {'paint': ('white', 'brown')}),
    'solar': Category('rectangle', (85, 170), (0.5, 0.9)),
    'apron': Category('rectangle', (120, 200), (0.45, 0.65)),
    'lake': Category('blob', (80, 200), (0.5, 0.9)),
    'forest': Category('blob', (90, 240), (0.5, 0.95), gives_way=True),
    'farmland': Category('patch', (110, 240), (0.6, 0.95), {'crop': ('green', 'yellow', 'brown')}, True),
    'ship': Category('hull', (75, 150), (0.17, 0.22)),
}
"""Categories of compact objects. Sea, river, road, crossroads and runway are made by :class:`Layout`."""

THEMES: Mapping[str, tuple[float, Mapping[str, float]]] = {
    'rural': (0.22, {'farmland': 3, 'forest': 2, 'lake': 1.5, 'buildings': 1.5, 'solar': 1.2, 'tanks': 0.4}),
    'town': (
        0.26,
        {'buildings': 3, 'parking': 2, 'football': 0.7, 'tennis': 1.2, 'track': 1.6, 'forest': 1, 'lake': 0.8},
    ),
    'industry': (0.2, {'tanks': 3, 'buildings': 2, 'parking': 1.6, 'solar': 1.5, 'forest': 0.7, 'farmland': 0.5}),
    'leisure': (
        0.18,
        {'track': 3.5, 'football': 1.5, 'tennis': 2, 'parking': 1.6, 'lake': 2, 'forest': 1.6, 'buildings': 1},
    ),
    'airport': (0.14, {'apron': 3, 'buildings': 1.2, 'parking': 1.5, 'tanks': 1, 'forest': 0.7, 'farmland': 1}),
}
"""Theme: (share of scenes, weights of the categories in it)."""

REPEATABLE = {'buildings', 'parking', 'tanks', 'lake', 'forest', 'farmland', 'tennis', 'solar', 'football', 'apron'}
"""Categories that a scene may hold several of, so that place and neighbors tell them apart."""

HULL = np.array(
    [[1, 0], [0.9, 0.5], [0.74, 0.95], [0.6, 1], [-0.9, 1], [-1, 0.8], [-1, -0.8], [-0.9, -1], [0.6, -1], [0.74, -0.95],
     [0.9, -0.5]]
)  # fmt: skip
"""Outline of a ship in units of half its length and half its width."""

LONGEST_SIDE = 0.46
"""Upper limit of a compact object's length as a fraction of the image's side."""


def make_plan(rng: np.random.Generator, size: tuple[int, int]) -> Plan:
    """Draw up a scene of ``size`` (height, width)."""
    side = math.sqrt(size[0] * size[1])
    extent = rng.uniform(330, 520) * (side / 768) ** 0.35
    azimuth = rng.uniform(0, 2 * np.pi)
    layout = Layout(rng, size, side / extent)
    layout.build()
    return Plan(
        size,
        layout.meter,
        (math.cos(azimuth), math.sin(azimuth)),
        float(rng.uniform(0.45, 1.0)),
        str(rng.choice(['meadow', 'dry', 'soil'], p=[0.5, 0.3, 0.2])),
        layout.objects,
    )


class Layout:
    """Places objects one after the other; what does not fit is left out.

    Args:
        rng: source of randomness.
        size: (height, width) in pixels.
        meter: pixels per meter.
    """

    def __init__(self, rng: np.random.Generator, size: tuple[int, int], meter: float) -> None:
        self.rng, self.size, self.meter = rng, size, meter
        self.side = math.sqrt(size[0] * size[1])
        self.box = image_box(size)
        self.angle = rng.uniform(0, np.pi)
        self.gap = 0.016 * self.side
        self.objects: list[SceneObject] = []
        self.neighbor: dict[str, SceneObject] = {}

    def build(self) -> None:
        names = list(THEMES)
        theme = str(self.rng.choice(names, p=[THEMES[name][0] for name in names]))
        if theme == 'airport':
            self._runway()
        else:
            self._water()
            self._roads()
        self._compact(THEMES[theme][1])
        self._ships()

    # Lines

    def _water(self) -> None:
        kind = self.rng.choice(['none', 'river', 'sea'], p=[0.42, 0.33, 0.25])
        angle = self.rng.uniform(0, 2 * np.pi)
        if kind == 'river':
            line = across(self.rng, self.size, angle, self.rng.uniform(0.02, 0.07), self.rng.uniform(-0.22, 0.22))
            width = self.rng.uniform(0.06, 0.11) * self.side
            varying = width * (1 + 0.25 * np.sin(np.linspace(0, self.rng.uniform(8, 20), len(line))))
            self._add('river', band(line, varying), line=line, width=width)
        elif kind == 'sea':
            # The image's right-hand side of the line is water: the shore is the line itself.
            line = across(self.rng, self.size, angle, self.rng.uniform(0.02, 0.05), self.rng.uniform(0.08, 0.22), 96)
            fine = np.cumsum(self.rng.normal(0, 0.0035 * self.side, len(line)))
            along = np.array([math.cos(angle), math.sin(angle)])
            normal = np.array([-along[1], along[0]])
            line = line + (fine - fine.mean())[:, None] * normal
            far = line[[-1, 0]] + 2 * self.side * normal
            self._add('sea', largest(self.box & Polygon(np.concatenate([line, far])).buffer(0)), line=line)

    def _roads(self) -> None:
        kind = self.rng.choice(['none', 'one', 'two', 'cross'], p=[0.14, 0.4, 0.2, 0.26])
        if kind == 'none':
            return
        width = self.rng.uniform(0.028, 0.045) * self.side
        bend = self.rng.choice([0.0, self.rng.uniform(0.005, 0.03)])
        offsets = [self.rng.uniform(-0.2, 0.2)] if kind != 'two' else [-0.17, 0.17] + self.rng.uniform(-0.06, 0.06, 2)
        lines = [across(self.rng, self.size, self.angle, bend, offset) for offset in offsets]
        if kind == 'cross':
            turn = self.angle + np.pi / 2 + self.rng.uniform(-0.2, 0.2)
            lines.append(across(self.rng, self.size, turn, 0.0, self.rng.uniform(-0.2, 0.2)))
        wet = [obj.outline for obj in self.objects if obj.category == 'sea']
        lines = [line for line in lines if self._is_dry(line, wet)]
        bands = [band(line, width) & self.box for line in lines]
        if not bands:
            return
        if kind == 'cross' and len(bands) == 2 and bands[0].intersects(bands[1]):
            self._add('crossroads', shapely.union_all(bands), line=np.stack(lines), width=width)
            return
        for i, (line, strip) in enumerate(zip(lines, bands)):
            if all(strip.distance(other) > 3 * self.gap for other in bands[:i]):
                self._add('road', strip, line=line, width=width)

    def _is_dry(self, line: np.ndarray, wet: list[Outline]) -> bool:
        """Whether a line keeps away from the sea and runs through enough of the image."""
        inside = LineString(line) & self.box
        return inside.length > 0.4 * self.side and all(inside.distance(sea) > 3 * self.gap for sea in wet)

    def _runway(self) -> None:
        width = self.rng.uniform(0.085, 0.12) * self.side
        lateral = self.rng.uniform(-0.22, 0.22)
        line = across(self.rng, self.size, self.angle, 0.0, lateral)
        self._add('runway', band(line, width), line=line, width=width)
        if self.rng.random() < 0.35:
            line = across(self.rng, self.size, self.angle, 0.0, lateral - math.copysign(0.27, lateral))
            self._add('runway', band(line, width * 0.8), line=line, width=width * 0.8)

    def _add(self, category: str, outline: Outline, **kwargs) -> bool:
        """Append an object; what lies beneath gives way to it. False where hardly any of it is visible."""
        outline = tidy(outline, self.size)
        if outline.area < 0.002 * self.side**2:
            return False
        for i, below in enumerate(self.objects):
            if below.outline.intersects(outline):  # only a road over a river
                rest = tidy(below.outline - outline, self.size)
                self.objects[i] = SceneObject(
                    below.category, rest, below.attributes, below.frame, below.line, below.width
                )
        self.objects.append(SceneObject(category, outline, **kwargs))
        return True

    # Compact objects

    def _compact(self, weights: Mapping[str, float]) -> None:
        """A few repeated categories and some single ones; those that give way come last."""
        names = list(weights)
        share = np.array([weights[name] for name in names])
        count = min(len(names), int(self.rng.integers(4, 6)))
        chosen = [str(n) for n in self.rng.choice(names, count, replace=False, p=share / share.sum())]
        if {'track', 'football'} <= set(chosen):  # a track has a football field inside: which is meant?
            chosen.remove(str(self.rng.choice(['track', 'football'])))
        repeated = [name for name in chosen if name in REPEATABLE][: int(self.rng.integers(2, 4))]
        wishes: list[str] = []
        for name in chosen:
            times = int(self.rng.choice([2, 3, 4], p=[0.45, 0.4, 0.15])) if name in repeated else 1
            wishes += [name] * times
        self.rng.shuffle(wishes)
        wishes.sort(key=lambda name: (CATEGORIES[name].gives_way, name not in ('track', 'apron')))
        for name in wishes:
            self._place(name)

    def _place(self, name: str) -> bool:
        spec = CATEGORIES[name]
        attributes = {key: str(self.rng.choice(values)) for key, values in spec.attributes.items()}
        for attempt in range(40):
            near = self.objects and self.rng.random() < 0.55
            shrink = 1 - 0.35 * attempt / 40
            frame = self._frame(spec, shrink, beside=self._pick(name) if near else None)
            outline = self._outline(spec, frame)
            if spec.gives_way:
                outline = self._clearing(outline, corners=spec.shape == 'patch')
                least = frame.length * frame.width * 0.35
                if outline.area < max(least, 0.012 * self.side**2) or outline.interiors:
                    continue
            else:
                fits = outline.area - (outline & self.box).area < (0.25 if name == 'lake' else 1e-9) * outline.area
                if not fits or any(outline.distance(other.outline) < self.gap for other in self.objects):
                    continue
            return self._add(name, outline, attributes=attributes, frame=frame)
        return False

    def _pick(self, name: str) -> SceneObject:
        """Something to lie beside; often what the last object of the category was laid beside."""
        if name not in self.neighbor or self.rng.random() < 0.6:
            self.neighbor[name] = self.objects[int(self.rng.integers(len(self.objects)))]
        return self.neighbor[name]

    def _frame(self, spec: Category, shrink: float, beside: SceneObject | None) -> Frame:
        """A random frame; ``beside`` an object it touches that object's rim and follows its direction."""
        low, high = spec.length
        length = np.exp(self.rng.uniform(np.log(low), np.log(high))) * self.meter * shrink
        length = min(length, LONGEST_SIDE * self.side)
        width = length * self.rng.uniform(*spec.aspect)
        angle = float(self.angle + self.rng.integers(2) * np.pi / 2)
        height, image_width = self.size
        if beside is None:
            x, y = self.rng.uniform(0.06, 0.94, 2) * (image_width, height)
            return Frame(x, y, angle, length, width)
        ring = rings(beside.outline)[0]
        i = int(self.rng.integers(len(ring)))
        if beside.line is not None and beside.line.ndim == 2:
            ends = ring[i - 1], ring[i]
            angle = math.atan2(*(ends[1] - ends[0])[::-1])
        elif beside.frame is not None:
            angle = float(beside.frame.angle + self.rng.integers(2) * np.pi / 2)
        rim = ring[i - 1] + self.rng.random() * (ring[i] - ring[i - 1])
        away = angle + self.rng.choice([-1, 1]) * np.pi / 2
        reach = width / 2 + self.gap * self.rng.uniform(1.05, 2.2)
        return Frame(rim[0] + reach * math.cos(away), rim[1] + reach * math.sin(away), angle, length, width)

    def _outline(self, spec: Category, frame: Frame) -> Polygon:
        if spec.shape == 'rectangle':
            return frame.polygon()
        if spec.shape == 'hull':
            return Polygon(frame.points(HULL * (frame.length / 2, frame.width / 2)))
        if spec.shape == 'stadium':
            half = (frame.length - frame.width) / 2
            return LineString(frame.points([[-half, 0], [half, 0]])).buffer(frame.width / 2, quad_segs=12)
        if spec.shape == 'blob':
            return blob(self.rng, frame)
        corners = frame.rectangle() + self.rng.normal(0, 0.06 * frame.width, (4, 2))
        return Polygon(corners)

    def _clearing(self, outline: Polygon, corners: bool) -> Polygon:
        """The part of an outline inside the image and clear of all objects, without thin appendages."""
        taken = shapely.union_all([obj.outline for obj in self.objects]).buffer(self.gap, quad_segs=3)
        thin = 0.02 * self.side
        free = (outline & self.box) - taken
        join = 'mitre' if corners else 'round'
        opened = free.buffer(-thin, quad_segs=3, join_style=join).buffer(thin, quad_segs=3, join_style=join)
        return largest((opened & free).simplify(0.3))

    def _ships(self) -> None:
        """Ships lie on the sea; the water's polygon runs on beneath them."""
        for sea in [obj for obj in self.objects if obj.category == 'sea']:
            water = sea.outline.buffer(-2 * self.gap)
            afloat: list[SceneObject] = []
            for _ in range(60):
                if len(afloat) >= 3 or self.rng.random() < 0.03:
                    break
                frame = self._frame(CATEGORIES['ship'], 1.0, None)
                hull = self._outline(CATEGORIES['ship'], frame)
                if water.contains(hull) and all(hull.distance(s.outline) > 2 * self.gap for s in afloat):
                    afloat.append(SceneObject('ship', tidy(hull, self.size), {}, frame))
            self.objects += afloat
