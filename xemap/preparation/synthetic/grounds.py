"""What is painted on flat ground, and the vehicles on it: roads, parking lots, sports grounds, airfields, ships."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import shapely

from xemap.preparation.synthetic.buildings import ASPHALT, CONCRETE
from xemap.preparation.synthetic.canvas import Canvas, Color, tint, varied
from xemap.preparation.synthetic.layout import HULL, SceneObject
from xemap.preparation.synthetic.shapes import Frame, band

CARS: list[Color] = [(235, 235, 235), (200, 202, 206), (60, 62, 66), (150, 30, 30), (40, 60, 120), (120, 122, 126)]
COURTS: dict[str, tuple[Color, Color]] = {
    'blue': ((48, 98, 168), (84, 132, 96)),
    'green': ((58, 126, 84), (46, 98, 66)),
    'orange': ((196, 106, 62), (170, 92, 58)),
}
"""Tennis courts: playing surface and surround."""
WHITE: Color = (228, 228, 224)


def draw_road(canvas: Canvas, obj: SceneObject, rng: np.random.Generator) -> Iterator[None]:
    """One road, or several that cross: asphalt with verge, edge lines and a dashed center line."""
    lines = obj.lines
    width = obj.width / canvas.meter
    color = varied(rng, ASPHALT, 0.12, 3)
    canvas.surface(obj.outline.buffer(1.5 * canvas.meter), varied(rng, (156, 146, 122), 0.06), 0.06)
    canvas.surface(obj.outline, color, 0.05)
    paint = tint(color, 1.75)
    for line in lines:
        for side in (-1, 1):
            canvas.line(_offset(line, side * (obj.width / 2 - 1.1 * canvas.meter)), paint, 0.35)
    for line in lines:
        if width > 15:
            for side in (-1, 1):
                _dashes(canvas, _offset(line, side * obj.width / 4), 6, 6, paint, 0.35)
            canvas.line(line, (150, 146, 110), 1.4)
        else:
            _dashes(canvas, line, 6, 6, paint, 0.4)
    if len(lines) == 2:
        crossing = shapely.intersection(band(lines[0], obj.width), band(lines[1], obj.width))
        canvas.surface(crossing, color, 0.05)
    cars = _traffic(canvas, lines, obj.width, rng)
    for car in cars:
        canvas.cast(car.rectangle(), 1.5)
    yield
    for car in cars:
        _car(canvas, car, rng)


def _traffic(canvas: Canvas, lines: np.ndarray, width: float, rng: np.random.Generator) -> list[Frame]:
    cars, (height, image_width) = [], canvas.plan.size
    for line in lines:
        for _ in range(int(rng.integers(3, 12))):
            i = int(rng.integers(1, len(line)))
            position = line[i - 1] + rng.random() * (line[i] - line[i - 1])
            direction = line[i] - line[i - 1]
            angle = math.atan2(direction[1], direction[0])
            side = rng.choice([-1, 1]) * width / 4
            x, y = position + side * np.array([-math.sin(angle), math.cos(angle)])
            if 0 < x < image_width and 0 < y < height:
                length = rng.choice([4.6, 4.8, 11.0], p=[0.45, 0.4, 0.15])
                cars.append(Frame(x, y, angle, length * canvas.meter, (2.0 if length < 6 else 2.6) * canvas.meter))
    return cars


def _car(canvas: Canvas, box: Frame, rng: np.random.Generator) -> None:
    color = varied(rng, CARS[int(rng.integers(len(CARS)))], 0.08, 4)
    canvas.fill(box.rectangle(), color)
    if canvas.meter > 1.2:
        canvas.fill(box.rectangle(0.12 * box.length, 0, 0.16 * box.length, 0.8 * box.width), (40, 44, 50))
        canvas.fill(box.rectangle(-0.3 * box.length, 0, 0.12 * box.length, 0.8 * box.width), (44, 48, 54))


def draw_parking(canvas: Canvas, obj: SceneObject, rng: np.random.Generator) -> Iterator[None]:
    """Double rows of painted bays; nearly all taken, or nearly none."""
    frame, m = obj.built_in, canvas.meter
    color = varied(rng, (96, 96, 98), 0.1, 2)
    canvas.surface(obj.outline, color, 0.06)
    paint = tint(color, 1.95)
    occupancy = rng.uniform(0.8, 0.95) if obj.attributes['fill'] == 'full' else rng.uniform(0.0, 0.05)
    bay, length, aisle = 2.9 * m, 5.4 * m, 7.0 * m
    pitch = 2 * length + aisle
    rows = max(1, round(frame.width / pitch))
    pitch = frame.width / rows
    bays = int((frame.length - 6 * m) // bay)
    cars = []
    for row in range(rows):
        v = (row + 0.5) * pitch - frame.width / 2
        half = bays * bay / 2
        canvas.line(frame.points([[-half, v], [half, v]]), paint, 0.4)
        for k in range(bays + 1):
            u = k * bay - half
            canvas.line(frame.points([[u, v - length], [u, v + length]]), paint, 0.3)
        taken = rng.random((bays, 2)) < occupancy
        for k, side in zip(*np.nonzero(taken)):
            u = (k + 0.5) * bay - half + rng.normal(0, 0.15) * m
            x, y = frame.points([u, v + (2 * side - 1) * length * rng.uniform(0.48, 0.54)])
            cars.append(Frame(x, y, frame.angle + math.pi / 2 + rng.normal(0, 0.02), 4.6 * m, 2.0 * m))
    for car in cars:
        canvas.cast(car.rectangle(), 1.5)
    yield
    for car in cars:
        _car(canvas, car, rng)


def draw_track(canvas: Canvas, obj: SceneObject, rng: np.random.Generator) -> Iterator[None]:
    """A running track with lanes around a football field."""
    frame = obj.built_in
    color = varied(rng, (176, 86, 66), 0.08, 5)
    canvas.surface(obj.outline, color, 0.04)
    lanes = 0.115 * frame.width
    for k in range(1, 6):
        ring = obj.outline.buffer(-lanes * k / 5.5)
        canvas.line(np.asarray(ring.exterior.coords)[:-1], tint(color, 1.35), 0.25, closed=True)
    infield = obj.outline.buffer(-lanes)
    canvas.surface(infield, varied(rng, (88, 128, 70), 0.08), 0.05)
    straight = frame.length - frame.width
    pitch = Frame(frame.x, frame.y, frame.angle, 1.08 * straight, 0.58 * frame.width)
    _pitch(canvas, pitch, varied(rng, (86, 134, 66), 0.1))
    for side in (-1, 1):
        box = frame.rectangle(side * (straight / 2 + 0.14 * frame.width), 0, 0.1 * frame.width, 0.2 * frame.width)
        canvas.line(box, tint(color, 0.9), 1.5, closed=True)
    yield


def draw_football(canvas: Canvas, obj: SceneObject, rng: np.random.Generator) -> Iterator[None]:
    frame = obj.built_in
    canvas.surface(obj.outline, varied(rng, (90, 126, 70), 0.08), 0.05)
    _pitch(canvas, frame.inset(0.05 * frame.width), varied(rng, (88, 136, 68), 0.1))
    yield


def _pitch(canvas: Canvas, frame: Frame, color: Color) -> None:
    """Mown stripes and the lines of a football field."""
    stripes = 10
    for k in range(stripes):
        u = ((k + 0.5) / stripes - 0.5) * frame.length
        canvas.fill(frame.rectangle(u, 0, frame.length / stripes + 1, frame.width), tint(color, 1.1 if k % 2 else 0.92))
    line_width = 0.55
    canvas.line(frame.rectangle(), WHITE, line_width, closed=True)
    canvas.line(frame.points([[0, -frame.width / 2], [0, frame.width / 2]]), WHITE, line_width)
    t = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    circle = 0.135 * frame.width * np.stack([np.cos(t), np.sin(t)], axis=1)
    canvas.line(frame.points(circle), WHITE, line_width, closed=True)
    for side in (-1, 1):
        for depth, width in ((0.155, 0.6), (0.055, 0.28)):
            u = side * (0.5 - depth / 2) * frame.length
            box = frame.rectangle(u, 0, depth * frame.length, width * frame.width)
            canvas.line(box, WHITE, line_width, closed=True)


def draw_tennis(canvas: Canvas, obj: SceneObject, rng: np.random.Generator) -> Iterator[None]:
    """A block of courts side by side."""
    frame = obj.built_in
    surface, surround = COURTS[obj.attributes['surface']]
    canvas.surface(obj.outline, varied(rng, surround, 0.06), 0.04)
    rows = max(1, round(frame.width / canvas.meter / 36))
    columns = max(2, round(frame.length / canvas.meter / 19))
    color = varied(rng, surface, 0.06)
    for i in range(columns):
        for j in range(rows):
            u, v = ((i + 0.5) / columns - 0.5) * frame.length, ((j + 0.5) / rows - 0.5) * frame.width
            size = 0.7 * frame.width / rows, 0.66 * frame.length / columns
            court = frame.part(u, v, *size, turn=math.pi / 2)
            canvas.fill(court.rectangle(length=1.22 * court.length, width=1.3 * court.width), tint(color, 0.9))
            canvas.fill(court.rectangle(), color)
            canvas.line(court.rectangle(), WHITE, 0.45, closed=True)
            canvas.line(court.rectangle(width=0.75 * court.width), WHITE, 0.3, closed=True)
            canvas.line(court.rectangle(length=0.54 * court.length, width=0.75 * court.width), WHITE, 0.3, closed=True)
            canvas.line(court.points([[0, -0.6 * court.width], [0, 0.6 * court.width]]), (60, 60, 60), 0.4)
            canvas.line(court.points([[-0.27 * court.length, 0], [0.27 * court.length, 0]]), WHITE, 0.3)
    yield


def draw_runway(canvas: Canvas, obj: SceneObject, rng: np.random.Generator) -> Iterator[None]:
    """Asphalt with shoulder, center line, edge lines, and a threshold with its bars."""
    m, width = canvas.meter, obj.width
    color = varied(rng, (84, 84, 88), 0.1, 2)
    canvas.surface(obj.outline, tint(color, 1.18), 0.05)
    start, end = obj.lines[0][[0, -1]]
    length = float(np.hypot(*(end - start)))
    angle = math.atan2(end[1] - start[1], end[0] - start[0])
    x, y = (start + end) / 2
    frame = Frame(x, y, angle, length, 0.88 * width)
    canvas.surface(frame.polygon(), color, 0.06)
    for side in (-1, 1):
        v = side * 0.47 * frame.width
        canvas.line(frame.points([[-length / 2, v], [length / 2, v]]), WHITE, 1.0)
    _dashes(canvas, np.stack([start, end]), 24, 18, WHITE, 1.1)
    u = rng.uniform(-0.22, 0.22) * length
    for k in range(-4, 4):
        canvas.fill(frame.rectangle(u, (k + 0.5) * 0.1 * width, 26 * m, 0.05 * width), WHITE)
    for side in (-1, 1):
        canvas.fill(frame.rectangle(u + 70 * m, side * 0.18 * width, 40 * m, 0.1 * width), WHITE)
    for _ in range(5):
        along, sideways = (rng.uniform(50, 70) * m, rng.uniform(120, 200) * m), rng.normal(0, 0.05, 2) * width
        skid = np.stack([u + np.array(along), sideways], axis=1)
        canvas.line(frame.points(skid), tint(color, 0.8), 1.0)
    yield


def draw_apron(canvas: Canvas, obj: SceneObject, rng: np.random.Generator) -> Iterator[None]:
    """Concrete slabs with a yellow guide line and parked aircraft."""
    frame, m = obj.built_in, canvas.meter
    color = varied(rng, CONCRETE, 0.06, 3)
    canvas.surface(obj.outline, color, 0.05)
    for u in np.arange(-frame.length / 2, frame.length / 2, 12 * m)[1:]:
        canvas.line(frame.points([[u, -frame.width / 2], [u, frame.width / 2]]), tint(color, 0.94), 0.2)
    guide = 0.34 * frame.width
    canvas.line(frame.points([[-frame.length / 2, guide], [frame.length / 2, guide]]), (206, 168, 50), 0.6)
    span = min(0.56 * frame.width, frame.length / 2.3, 52 * m)
    count = max(2, int(frame.length // (1.18 * span)))
    planes = []
    for k in range(count):
        if k > 1 and rng.random() < 0.12:
            continue
        u = ((k + 0.5) / count - 0.5) * frame.length
        canvas.line(frame.points([[u, guide], [u, -0.35 * frame.width]]), (206, 168, 50), 0.5)
        planes.append(frame.part(u, -0.09 * frame.width, span, span, turn=-math.pi / 2 - rng.normal(0, 0.05)))
    for plane in planes:
        for part in _aircraft(plane):
            canvas.cast(part, 4)
    yield
    for plane in planes:
        body = varied(rng, (236, 238, 240), 0.03, 2)
        for part, shade in zip(_aircraft(plane), (0.86, 0.86, 0.8, 0.8, 1.0, 0.72)):
            canvas.fill(part, tint(body, shade))


def _aircraft(plane: Frame) -> list[np.ndarray]:
    """Wings, tailplanes, fuselage and fin of an aircraft whose nose points along the frame; lists of points."""
    s = plane.length / 2
    wing = np.array([[0.22, 0.06], [-0.02, 0.1], [-0.34, 0.98], [-0.22, 0.98]]) * s
    tail = np.array([[-0.72, 0.04], [-0.86, 0.05], [-1.0, 0.36], [-0.9, 0.36]]) * s
    half = np.array([[1.0, 0], [0.93, 0.06], [0.8, 0.1], [-0.5, 0.1], [-0.98, 0.03]]) * s
    body = np.concatenate([half, half[:0:-1] * (1, -1)])
    fin = np.array([[-0.7, 0.02], [-0.98, 0.025], [-0.98, -0.025], [-0.7, -0.02]]) * s
    mirror = np.array([1, -1])
    return [plane.points(part) for part in (wing, wing * mirror, tail, tail * mirror, body, fin)]


def draw_ship(canvas: Canvas, obj: SceneObject, rng: np.random.Generator) -> Iterator[None]:
    """A cargo ship: hull, deck, hatches or containers, and the bridge aft."""
    frame = obj.built_in
    half_l, half_w = frame.length / 2, frame.width / 2
    outline = frame.points(HULL * (half_l, half_w))
    canvas.cast(outline, 9)
    yield
    color = varied(rng, [(120, 52, 44), (66, 70, 78), (44, 62, 90)][int(rng.integers(3))], 0.1)
    canvas.fill(outline, color)
    canvas.fill(frame.points(HULL * (0.975 * half_l, 0.86 * half_w)), tint((158, 112, 92), rng.uniform(0.85, 1.1)))
    boxes = int(rng.integers(5, 9))
    load = [(176, 62, 48), (52, 92, 150), (196, 150, 60), (90, 130, 92), (188, 188, 184)]
    for k in range(boxes):
        u = (-0.52 + 1.12 * (k + 0.5) / boxes) * half_l
        shade = varied(rng, load[int(rng.integers(len(load)))], 0.08)
        canvas.fill(frame.rectangle(u, 0, 0.94 * 1.12 / boxes * half_l, 1.35 * half_w), shade)
    canvas.fill(frame.rectangle(-0.72 * half_l, 0, 0.24 * half_l, 1.6 * half_w), (236, 236, 232))
    canvas.fill(frame.rectangle(-0.86 * half_l, 0, 0.08 * half_l, 0.5 * half_w), (70, 70, 74))


def _offset(line: np.ndarray, distance: float) -> np.ndarray:
    """A line (V, 2) shifted sideways, pixels."""
    tangent = np.gradient(line, axis=0)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1) / np.linalg.norm(tangent, axis=1, keepdims=True)
    return line + distance * normal


def _dashes(canvas: Canvas, line: np.ndarray, dash: float, gap: float, color: Color, width: float) -> None:
    """A dashed line; lengths in meters."""
    steps = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    starts = np.arange(0, steps[-1], (dash + gap) * canvas.meter)
    ends = starts + dash * canvas.meter
    points = [np.stack([np.interp(at, steps, line[:, i]) for i in (0, 1)], axis=1) for at in (starts, ends)]
    for first, last in zip(*points):
        canvas.line([first, last], color, width)
