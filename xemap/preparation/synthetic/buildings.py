"""What stands up: building clusters, storage tanks, solar panels."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from xemap.preparation.synthetic.canvas import Canvas, Color, circle, tint, varied
from xemap.preparation.synthetic.layout import SceneObject
from xemap.preparation.synthetic.shapes import Frame

ROOFS: dict[str, Color] = {
    'red': (168, 76, 58),
    'gray': (112, 112, 116),
    'white': (226, 226, 222),
    'blue': (66, 106, 162),
}
"""Roof colors."""

TANKS: dict[str, Color] = {'white': (232, 232, 228), 'brown': (140, 88, 62)}
"""Colors of storage tanks."""

ASPHALT: Color = (92, 92, 94)
CONCRETE: Color = (172, 168, 160)


def draw_buildings(canvas: Canvas, obj: SceneObject, rng: np.random.Generator) -> Iterator[None]:
    """Rows of houses with gardens, or of larger blocks on paved ground."""
    frame = obj.built_in
    roof, m = obj.attributes['roof'], canvas.meter
    houses = roof in ('red', 'gray') and rng.random() < 0.55
    canvas.surface(obj.outline, varied(rng, (126, 132, 96) if houses else (164, 158, 148), 0.06), 0.07)
    depth, lane = (rng.uniform(9, 12), rng.uniform(5, 8)) if houses else (rng.uniform(15, 24), rng.uniform(7, 11))
    rows = max(2, int((frame.width / m - 2) // (depth + lane)))
    pitch = (frame.width / m) / rows
    depth = min(depth, 0.72 * pitch)
    plans = []
    for row in range(rows):
        v = (-frame.width / 2 / m + (row + 0.5) * pitch) * m
        if row:
            street = frame.rectangle(0, v - pitch / 2 * m, frame.length, (4.5 if houses else 6) * m)
            canvas.fill(street, varied(rng, (120, 118, 116), 0.04, 2))
        u = -frame.length / 2 + 2.5 * m
        while True:
            length = rng.uniform(9, 15) * m if houses else rng.uniform(18, 46) * m
            length = min(length, frame.length / 2 - 7 * m)  # at least two in a row
            if u + length > frame.length / 2 - 2 * m:
                break
            turn = 0.0 if not houses else rng.normal(0, 0.03)
            shift = rng.uniform(-0.6, 0.6) * m
            box = frame.part(u + length / 2, v + shift, length, depth * m * rng.uniform(0.88, 1.0), turn)
            plans.append((box, rng.uniform(5, 8) if houses else rng.uniform(7, 14)))
            u += length + (rng.uniform(3.5, 7) if houses else rng.uniform(5, 9)) * m
    for box, height in plans:
        canvas.cast(box.rectangle(), height)
    trees = frame.points(rng.uniform(-0.48, 0.48, (int(rng.integers(3, 12)), 2)) * (frame.length, frame.width))
    yield
    for x, y in trees:
        canvas.disc((x, y), rng.uniform(1.2, 2.6) * m, varied(rng, (66, 88, 46), 0.15))
    for box, _ in plans:
        color = varied(rng, ROOFS[roof], 0.1, 6)
        if houses or (roof != 'gray' and rng.random() < 0.6):
            _gable(canvas, box, color, hipped=houses and rng.random() < 0.4)
        else:
            _flat(canvas, box, color, rng)


def _gable(canvas: Canvas, box: Frame, color: Color, hipped: bool) -> None:
    """Two roof faces along a ridge, or four with a hipped roof; each as bright as it faces the sun."""
    half_l, half_w = box.length / 2, box.width / 2
    ridge = max(0.0, half_l - half_w) if hipped else half_l
    a, b, c, d = box.rectangle()
    left, right = box.points([[-ridge, 0], [ridge, 0]])
    normal = box.angle + math.pi / 2
    canvas.fill([a, b, right, left], tint(color, canvas.lit(normal + math.pi)))
    canvas.fill([d, c, right, left], tint(color, canvas.lit(normal)))
    if hipped:
        canvas.fill([a, left, d], tint(color, canvas.lit(box.angle + math.pi)))
        canvas.fill([b, right, c], tint(color, canvas.lit(box.angle)))
    canvas.line([left, right], tint(color, 1.15), 0.3)


def _flat(canvas: Canvas, box: Frame, color: Color, rng: np.random.Generator) -> None:
    """A flat roof with a parapet and a few installations, sometimes with an inner court or a wing."""
    m = canvas.meter
    canvas.fill(box.rectangle(), tint(color, 1.1))
    inner = box.inset(0.7 * m)
    canvas.fill(inner.rectangle(), tint(color, 0.93))
    for _ in range(int(rng.integers(1, 5))):
        u, v = rng.uniform(-0.4, 0.4) * inner.length, rng.uniform(-0.32, 0.32) * inner.width
        size = rng.uniform(1.5, 4, 2) * m
        canvas.fill(inner.rectangle(u + 0.25 * size[0], v + 0.25 * size[1], *size), tint(color, 0.6))
        canvas.fill(inner.rectangle(u, v, *size), tint(color, rng.uniform(0.95, 1.12)))
    for u in np.arange(-0.5, 0.5, 0.25)[1:]:
        seam = inner.points([[u * inner.length, -inner.width / 2], [u * inner.length, inner.width / 2]])
        canvas.line(seam, tint(color, 0.86), 0.2)


def draw_tanks(canvas: Canvas, obj: SceneObject, rng: np.random.Generator) -> Iterator[None]:
    """A grid of round tanks on a gravel pad, each with a bund around it."""
    frame, m = obj.built_in, canvas.meter
    pad = varied(rng, (150, 142, 128), 0.08)
    canvas.surface(obj.outline, pad, 0.07)
    across_count = max(1, round(frame.width / m / rng.uniform(26, 42)))
    cell = frame.width / across_count
    along_count = max(2, int(frame.length // cell))
    cell_u = frame.length / along_count
    tanks: list[tuple[np.ndarray, float]] = []
    for i in range(along_count):
        for j in range(across_count):
            u, v = (i + 0.5) * cell_u - frame.length / 2, (j + 0.5) * cell - frame.width / 2
            canvas.line(frame.rectangle(u, v, 0.94 * cell_u, 0.94 * cell), tint(pad, 1.16), 1.0, closed=True)
            if len(tanks) < 2 or rng.random() < 0.95:
                tanks.append((frame.points([u, v]), rng.uniform(0.33, 0.4) * min(cell, cell_u)))
    for center, radius in tanks:
        canvas.cast(circle(center, radius), rng.uniform(9, 13))
    yield
    for center, radius in tanks:
        color = varied(rng, TANKS[obj.attributes['paint']], 0.05, 3)
        canvas.disc(center, radius, tint(color, 0.72))
        canvas.disc(center, radius - 0.5 * m, color)
        canvas.disc(np.asarray(center) + 0.12 * radius * np.array(canvas.plan.sun), 0.82 * radius, tint(color, 0.95))
        canvas.disc(center, 0.12 * radius, tint(color, 0.8))
        spoke = rng.uniform(0, 2 * np.pi)
        ladder = 0.95 * radius * np.array([math.cos(spoke), math.sin(spoke)])
        canvas.line([center, center + ladder], tint(color, 0.68), 0.6)


def draw_solar(canvas: Canvas, obj: SceneObject, rng: np.random.Generator) -> Iterator[None]:
    """Rows of dark blue panels on grass or gravel."""
    frame, m = obj.built_in, canvas.meter
    canvas.surface(obj.outline, varied(rng, (140, 142, 112), 0.08), 0.06)
    depth, pitch = rng.uniform(4.5, 6), rng.uniform(8, 10.5)
    rows = max(2, int((frame.width / m - 3) // pitch))
    panel = varied(rng, (38, 50, 92), 0.12, 4)
    tables = []
    sections = max(1, round(frame.length / m / rng.uniform(35, 60)))
    for row in range(rows):
        v = ((row + 0.5) / rows - 0.5) * (frame.width - 2 * m)
        for k in range(sections):
            u = ((k + 0.5) / sections - 0.5) * (frame.length - 4 * m)
            tables.append((u, v, (frame.length - 4 * m) / sections - 3 * m))
    for u, v, length in tables:
        canvas.cast(frame.rectangle(u, v, length, depth * m), 1.6)
    yield
    for u, v, length in tables:
        canvas.fill(frame.rectangle(u, v, length, depth * m), varied(rng, panel, 0.05, 2))
        canvas.line(frame.points([[u - length / 2, v], [u + length / 2, v]]), (96, 108, 140), 0.2)
