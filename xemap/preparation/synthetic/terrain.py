"""Land cover: open ground, forest, farmland, and water with its shore."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import shapely
from shapely.geometry import LineString
from shapely.ops import nearest_points

from xemap.preparation.synthetic.canvas import Canvas, Color, circle, tint, varied
from xemap.preparation.synthetic.layout import Plan, SceneObject
from xemap.preparation.synthetic.noise import crowns, fractal, ramp, slope

GROUND: dict[str, tuple[Color, Color, Color]] = {
    'meadow': ((112, 121, 80), (134, 136, 96), (152, 140, 108)),
    'dry': ((158, 144, 108), (138, 130, 92), (176, 160, 128)),
    'soil': ((146, 122, 96), (128, 116, 86), (168, 146, 120)),
}
"""Open ground: main color, second color, worn patches."""

CROPS: dict[str, tuple[Color, Color]] = {
    'green': ((86, 140, 56), (126, 166, 78)),
    'yellow': ((206, 180, 84), (190, 166, 94)),
    'brown': ((116, 84, 60), (142, 108, 80)),
}
"""Farmland: the two ends of a parcel's color."""

WATER: dict[str, tuple[Color, Color, Color]] = {
    'lake': ((34, 62, 76), (58, 92, 96), (120, 116, 88)),
    'river': ((62, 88, 88), (88, 110, 98), (136, 126, 98)),
    'sea': ((26, 62, 92), (74, 134, 142), (206, 190, 154)),
}
"""Water: far from the shore, at the shore, and the rim of land beside it."""

RIM = {'lake': 3.0, 'river': 4.0, 'sea': 14.0}
"""Width of the rim, meters."""


BUILT = ('buildings', 'parking', 'tanks', 'solar', 'football', 'tennis', 'track', 'apron')
"""Categories that a track may lead to."""


def open_ground(plan: Plan, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) uint8 of grass, dry grass or soil, with nothing on it."""
    size, meter = plan.size, plan.meter
    main, second, worn = (np.asarray(varied(rng, c, 0.06, 4), np.float32) for c in GROUND[plan.ground])
    large, middle = fractal(rng, size, 130 * meter, 4), fractal(rng, size, 24 * meter, 4, 0.75)
    image = main + ramp(large + 0.5 * middle, -0.6, 1.0)[..., None] * (second - main)
    image += ramp(middle + 0.5 * large, 1.0, 2.0)[..., None] * (worn - image)
    relief = 1 + 0.035 * middle + 0.05 * fractal(rng, size, 2.5 * meter, 2)
    return np.clip(image * relief[..., None], 0, 255).astype(np.uint8)


def draw_tracks(canvas: Canvas, rng: np.random.Generator) -> None:
    """Dirt tracks from built places to the nearest road: narrow, and no object of a category."""
    objects = canvas.plan.objects
    roads = [obj.outline for obj in objects if obj.category in ('road', 'crossroads', 'runway')]
    built = [obj for obj in objects if obj.category in BUILT]
    if not roads:
        return
    color = varied(rng, (168, 152, 124), 0.08)
    network = shapely.union_all(roads)
    for obj in built:
        start, end = nearest_points(obj.outline, network)
        straight = np.array([[start.x, start.y], [end.x, end.y]])
        center = np.array([obj.outline.centroid.x, obj.outline.centroid.y])
        obstacles = [o.outline for o in objects if o is not obj and o.category not in ('road', 'crossroads', 'runway')]
        length = float(np.hypot(*(straight[1] - straight[0])))
        blocked = shapely.intersects(np.array(obstacles), LineString(straight)).any() if obstacles else False
        if blocked or length > 0.3 * max(canvas.plan.size) or rng.random() < 0.2:
            continue
        t = np.linspace(0, 1, 9)[:, None]
        sideways = (straight[1] - straight[0])[::-1] * (-1, 1)
        bend = rng.normal(0, 0.06) * np.sin(np.pi * t) * sideways
        path = straight[0] + t * (straight[1] - straight[0]) + bend
        path = np.concatenate([[straight[0] + 0.3 * (center - straight[0])], path])
        canvas.surface(LineString(path).buffer(rng.uniform(1.4, 2.2) * canvas.meter), color, 0.06)


def draw_forest(canvas: Canvas, obj: SceneObject, rng: np.random.Generator) -> Iterator[None]:
    window = canvas.window(obj.outline)
    canvas.cast_outline(obj.outline, 7.0)
    yield
    if window is None:
        return
    shape = canvas.image[window].shape[:2]
    canopy, tree = crowns(rng, shape, rng.uniform(4.5, 7.0) * canvas.meter)
    light = -slope(canopy, canvas.plan.sun) * canvas.meter
    dark, bright = np.array([30, 52, 28], np.float32), np.array([74, 98, 46], np.float32)
    stand = fractal(rng, shape, 60 * canvas.meter, 3)
    leaves = fractal(rng, shape, 2.5 * canvas.meter, 2)
    mix = np.clip(0.15 + 0.5 * tree + 0.12 * stand, 0, 1)
    color = (dark + mix[..., None] * (bright - dark)) * (0.64 + 0.4 * canopy + 2.0 * light + 0.05 * leaves)[..., None]
    # Crowns at the edge are whole or absent, not cut: whether one stands is decided at its center.
    cover = canvas.cover(obj.outline, window)
    rim = np.clip(cv2.GaussianBlur(cover, (0, 0), 1.2 * canvas.meter) * 2 - 0.5 + 0.5 * (tree - 0.5), 0, 1)
    canvas.blend(window, np.minimum(ramp(rim, 0.35, 0.6), cv2.dilate(cover, np.ones((3, 3)))), color)


def draw_farmland(canvas: Canvas, obj: SceneObject, rng: np.random.Generator) -> Iterator[None]:
    """A block of parcels of one crop, each with its own shade and direction of rows."""
    window, frame = canvas.window(obj.outline), obj.frame
    if window is None or frame is None:
        return
    rows, columns = window
    y, x = np.mgrid[rows, columns].astype(np.float32)
    cos, sin = np.cos(frame.angle), np.sin(frame.angle)
    u = (x - frame.x) * cos + (y - frame.y) * sin
    v = (y - frame.y) * cos - (x - frame.x) * sin
    parcels_u = max(1, round(frame.length / canvas.meter / rng.uniform(45, 90)))
    parcels_v = max(1, round(frame.width / canvas.meter / rng.uniform(40, 90)))
    edges_u = _cuts(rng, parcels_u) * frame.length * 1.3
    edges_v = _cuts(rng, parcels_v) * frame.width * 1.3
    column = np.searchsorted(edges_u, u)
    row = np.searchsorted(edges_v, v)
    index = column * (parcels_v + 1) + row
    count = (parcels_u + 1) * (parcels_v + 1)

    low, high = (np.asarray(c, np.float32) for c in CROPS[obj.attributes['crop']])
    mix = rng.uniform(0, 1, count).astype(np.float32)
    colors = (low + mix[:, None] * (high - low)) * rng.uniform(0.9, 1.1, (count, 1)).astype(np.float32)
    along = rng.random(count) < 0.7
    period = (rng.uniform(4.5, 9, count) * canvas.meter).astype(np.float32)
    depth = rng.uniform(0.04, 0.13, count).astype(np.float32)
    across_rows = np.where(along[index], v, u)
    stripes = np.sin(2 * np.pi * across_rows / period[index]) * depth[index]
    patch = 0.05 * fractal(rng, u.shape, 30 * canvas.meter, 4) + 0.04 * fractal(rng, u.shape, 2 * canvas.meter, 1)
    texture = colors[index] * (1 + stripes + patch)[..., None]
    to_edge = np.minimum(_distance(edges_u, u), _distance(edges_v, v))
    track = np.clip(1.2 * canvas.meter - to_edge, 0, 1)
    texture += 0.7 * track[..., None] * (np.array([158, 146, 112], np.float32) - texture)
    canvas.blend(window, canvas.cover(obj.outline, window), texture)
    yield


def draw_water(canvas: Canvas, obj: SceneObject, rng: np.random.Generator) -> Iterator[None]:
    """A lake, river or sea: a rim of sand or reed, shallows along the shore, ripples."""
    deep, shallow, rim = (np.asarray(varied(rng, c, 0.12, 5), np.float32) for c in WATER[obj.category])
    width = RIM[obj.category] * canvas.meter
    window = canvas.window(obj.outline, pad=int(1.5 * width))
    if window is None:
        return
    cover = canvas.cover(obj.outline, window)
    water = (cover > 0.5).astype(np.uint8)
    shape = cover.shape
    wobble = fractal(rng, shape, 25 * canvas.meter, 3)
    land = cv2.distanceTransform(1 - water, cv2.DIST_L2, 5)
    beach = ramp(-(land + 0.3 * width * wobble), -width, -0.5 * width) * (1 - water)
    grain = 1 + 0.04 * fractal(rng, shape, 3 * canvas.meter, 2)
    canvas.blend(window, beach.astype(np.float32), rim * grain[..., None])
    # A pixel outside counts as water, so that the image's border is no shore.
    padded = cv2.copyMakeBorder(water, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1] / canvas.meter
    mix = np.exp(-np.maximum(depth, 0) / (5 if obj.category != 'sea' else 22)) * (1 + 0.15 * wobble)
    ripples = 0.02 * fractal(rng, shape, 7 * canvas.meter, 3, 0.8, stretch=3) + 0.05 * wobble
    color = (deep + np.clip(mix, 0, 1)[..., None] * (shallow - deep)) * (1 + ripples)[..., None]
    if obj.category == 'sea':
        broken = ramp(fractal(rng, shape, 9 * canvas.meter, 2), -0.6, 0.8)
        foam = np.exp(-((depth - 2.5 - 1.2 * wobble) ** 2)) * broken
        color += 0.55 * foam[..., None] * (235 - color)
    canvas.blend(window, cover, color)
    yield


def scatter_trees(canvas: Canvas, rng: np.random.Generator, free: np.ndarray, density: float) -> Iterator[None]:
    """Single trees and bushes on open ground.

    Args:
        canvas: to draw on.
        rng: source of randomness.
        free: (H, W) distance of every pixel to the next object, pixels.
        density: trees a hectare.
    """
    height, width = free.shape
    count = int(density * height * width / canvas.meter**2 / 1e4)
    clumps = fractal(rng, free.shape, 60 * canvas.meter, 3)
    x, y = rng.uniform(0, width, 3 * count), rng.uniform(0, height, 3 * count)
    radius = rng.uniform(1.6, 4.2, 3 * count) * canvas.meter
    rows, columns = y.astype(int), x.astype(int)
    keep = (free[rows, columns] > radius + 2) & (clumps[rows, columns] > rng.normal(0.3, 0.6, 3 * count))
    trees = list(zip(x[keep][:count], y[keep][:count], radius[keep][:count]))
    for tx, ty, r in trees:
        canvas.cast(circle((tx, ty), r * 0.9, 10), 3.5 * r / canvas.meter / 2)
    yield
    sun = np.array(canvas.plan.sun)
    for tx, ty, r in trees:
        color = varied(rng, (62, 84, 42), 0.2, 6)
        canvas.disc((tx, ty), r, tint(color, 0.72))
        canvas.disc(np.array([tx, ty]) - 0.25 * r * sun, 0.7 * r, color)
        canvas.disc(np.array([tx, ty]) - 0.4 * r * sun, 0.35 * r, tint(color, 1.2))


def _cuts(rng: np.random.Generator, parts: int) -> np.ndarray:
    """Inner cuts of [-0.5, 0.5] into ``parts`` of uneven length, (parts,) with the last beyond the end."""
    edges = np.cumsum(rng.uniform(0.7, 1.3, parts))
    return edges / edges[-1] - 0.5


def _distance(edges: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Distance of every value to the nearest edge, same shape as ``values``."""
    right = np.clip(np.searchsorted(edges, values), 0, len(edges) - 1)
    left = np.maximum(right - 1, 0)
    return np.minimum(np.abs(values - edges[right]), np.abs(values - edges[left]))
