"""Captioned tiles of synthetic scenes: what the retrieval models under SeLo train on.

SeLo compares queries with square tiles of a scene, resized to the model's input. A tile's captions name
the objects visible in it and how they lie to each other, in the words of the queries.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import shapely

from xemap.errors import ConfigError, DataError
from xemap.files import remove_parts, replacing, write_text
from xemap.language.expression import Expression
from xemap.language.scene import Scene
from xemap.language.wording import put_into_words
from xemap.parallel import map_in_order
from xemap.preparation.synthetic.layout import SceneObject
from xemap.preparation.synthetic.queries import synthetic_words
from xemap.preparation.synthetic.scene import GENERATOR_VERSION, SIZE_LIMITS, lay_out_scene
from xemap.preparation.synthetic.writer import JPEG_QUALITY, is_whole_jpeg, scene_seed, show_progress
from xemap.structures.captions import CaptionedImage, write_captions

TILE_SIZES = (256, 512, 768)
"""SeLo's scales, pixels of the scene."""
SCENE_SIZES = (1024, 1536, 2048)

VISIBLE = (0.03, 0.004, 0.5)
"""An object is named if it covers the first share of the tile, or the second and at least the third of the
object lies in the tile."""

RELATIONS: Mapping[str, float] = {
    'next to': 0.5, 'between': 0.2, 'left of': 0.075, 'right of': 0.075, 'above': 0.075, 'below': 0.075,
}  # fmt: skip
"""Relations that hold in a tile as in its scene, with their shares. Places in the image and extremes do not."""

RELATED = 0.45
"""Share of captions that tell a relation, where the tile has one."""
ATTRIBUTED = 0.5
"""Share of names that come with an attribute, where the object has one."""
TRIES = 12

FILE_NAME = 'dataset_synthetic.json'
_MANIFEST = 'generator.json'


def visible_objects(objects: Sequence[SceneObject], box: tuple[int, int, int, int]) -> list[SceneObject]:
    """The objects that can be recognized in a tile, cut to it.

    Args:
        objects: the objects of a scene.
        box: x0, y0, x1, y1 of the tile in pixels of the scene.

    Returns:
        objects with their outlines inside the tile, in pixels of the scene.
    """
    tile = shapely.box(*box)
    enough, little, part = VISIBLE
    seen = []
    for obj in objects:
        inside = obj.outline & tile
        share = inside.area / tile.area
        if share >= enough or (share >= little and inside.area >= part * obj.outline.area):
            seen.append(replace(obj, outline=inside))
    return seen


def describe(
    objects: Sequence[SceneObject], size: tuple[int, int], rng: np.random.Generator, count: int = 5
) -> tuple[str, ...]:
    """Captions of a tile; different ones as far as its objects allow.

    Args:
        objects: visible in the tile, at least one.
        size: (height, width) of the scene, which distances are measured by.
        rng: source of randomness.
        count: number of captions.
    """
    scene = Scene(objects, size, synthetic_words())
    captions: list[str] = []
    while len(captions) < count:
        for _ in range(TRIES):
            caption = (_related(scene, rng) if rng.random() < RELATED else None) or _listed(scene, rng)
            if caption not in captions:
                break
        captions.append(caption)
    return tuple(captions)


def _listed(scene: Scene, rng: np.random.Generator) -> str:
    """One to three categories, large ones rather than small ones."""
    area: Counter[str] = Counter()
    for obj, share in zip(scene.entities, scene.geometry.area.tolist()):
        area[obj.category] += share
    names = list(area)
    weight = np.sqrt([area[name] for name in names])
    number = min(len(names), int(rng.choice([1, 2, 3], p=[0.3, 0.4, 0.3])))
    chosen = rng.choice(len(names), number, replace=False, p=weight / weight.sum())
    phrases = [put_into_words(_named(names[i], scene, rng), scene, synthetic_words(), rng).text for i in chosen]
    return ' and '.join([', '.join(phrases[:-1]), phrases[-1]] if number > 1 else phrases)


def _named(category: str, scene: Scene, rng: np.random.Generator) -> Expression:
    """The objects of a category, or those that share an attribute."""
    values = [item for obj in scene.entities if obj.category == category for item in obj.attributes.items()]
    if values and rng.random() < ATTRIBUTED:
        return Expression(category, (values[int(rng.integers(len(values)))],))
    return Expression(category)


def _related(scene: Scene, rng: np.random.Generator) -> str | None:
    categories = list(dict.fromkeys(obj.category for obj in scene.entities))
    for _ in range(TRIES):
        relation = str(rng.choice(list(RELATIONS), p=list(RELATIONS.values())))
        needed = 3 if relation == 'between' else 2
        if len(categories) < needed:
            continue
        target, *anchors = (categories[i] for i in rng.permutation(len(categories))[:needed])
        attributes = _named(target, scene, rng).attributes
        anchor_expressions = tuple(Expression(name) for name in anchors)
        meaning = Expression(target, attributes, relation=relation, anchors=anchor_expressions)
        if scene.resolve(meaning):
            return put_into_words(meaning, scene, synthetic_words(), rng).text
    return None


def write_captioned_tiles(
    root: str | Path,
    counts: Mapping[str, int],
    seed: int,
    tiles: int = 6,
    pixels: int = 128,
    tile_sizes: Sequence[int] = TILE_SIZES,
    sizes: Sequence[int] = SCENE_SIZES,
    captions: int = 5,
    workers: int | None = None,
) -> dict:
    """Write ``<root>/images/<split>/000000_0.jpg`` … and ``<root>/dataset_synthetic.json``.

    The same arguments give the same files, byte for byte. Tiles that an earlier, perhaps interrupted, call
    with the same arguments left are kept; the JSON file is complete or absent. Scenes are never those of
    :func:`~xemap.preparation.synthetic.write_synthetic`.

    Args:
        root: folder of the data set.
        counts: number of scenes by split.
        seed: seed of the data set; splits of one seed never share a scene.
        tiles: number of tiles of each scene, at random places, with sides of ``tile_sizes`` in turn.
        pixels: side of the stored tiles; they are resized with OpenCV's bicubic interpolation, as SeLo
            resizes its slices.
        tile_sizes: sides in pixels of the scene.
        sizes: sides of the scenes.
        captions: number of captions of each tile.
        workers: processes; None takes one per core, up to 8.

    Returns:
        ``{split: {'scenes': …, 'images': …, 'captions': …}}``

    Raises:
        ConfigError: an argument that does not fit.
        DataError: the folder holds files of another origin or of other arguments, or cannot be written.
    """
    root = Path(root)
    if not counts or min(counts.values()) < 1 or min(tiles, pixels, captions) < 1 or seed < 0:
        raise ConfigError('captioned tiles: give at least 1 scene, tile, pixel and caption, and a seed of 0 or more')
    if not SIZE_LIMITS[0] <= min(sizes) <= max(sizes) <= SIZE_LIMITS[1] or max(tile_sizes) > min(sizes):
        raise ConfigError(
            f'scenes of {tuple(sizes)} pixels and tiles of {tuple(tile_sizes)}: scenes have sides from '
            f'{SIZE_LIMITS[0]} to {SIZE_LIMITS[1]} and no tile is larger than a scene'
        )
    options: dict[str, Any] = dict(
        seed=seed, tiles=tiles, pixels=pixels, tile_sizes=list(tile_sizes), sizes=list(sizes)
    )
    info = {'name': 'synthetic', 'generator': GENERATOR_VERSION, 'captions': captions, **options}
    done: list[CaptionedImage] = []
    summary = {}
    try:
        _claim(root, info)
        for split, count in counts.items():
            make = partial(_make, root=root, split=split, captions=captions, **options)
            tiles_of_scenes = show_progress(map_in_order(make, range(count), workers), count, split)
            made = [image for images in tiles_of_scenes for image in images]
            done += made
            summary[split] = {'scenes': count, 'images': len(made), 'captions': len(made) * captions}
        write_captions(root / FILE_NAME, done, {'info': info})
    except OSError as error:
        raise DataError(f'cannot write {error.filename or root}: {error.strerror}; give a folder with space') from error
    return summary


def _claim(root: Path, info: dict) -> None:
    manifest = root / _MANIFEST
    if manifest.is_file():
        if manifest.read_text() != json.dumps(info):
            raise DataError(f'{root} holds tiles made with other options; give another folder or remove it')
    elif root.is_dir() and (foreign := next(root.iterdir(), None)):
        raise DataError(f'{root} holds files of another origin, such as {foreign.name}; give another folder')
    else:
        write_text(manifest, json.dumps(info))
    remove_parts(root)


def _make(
    index: int,
    root: Path,
    split: str,
    captions: int,
    seed: int,
    tiles: int,
    pixels: int,
    tile_sizes: Sequence[int],
    sizes: Sequence[int],
) -> list[CaptionedImage]:
    """The tiles of scene ``index``; a place where nothing is to be named is drawn anew."""
    root_seed = scene_seed(f'tiles-{split}', seed, index)
    layout = lay_out_scene(root_seed, sizes=tuple(sizes))
    rng = np.random.default_rng(np.random.SeedSequence(root_seed.entropy, spawn_key=(*root_seed.spawn_key, 2)))
    height, width = layout.plan.size
    scene = None
    made = []
    for number in range(tiles):
        side = tile_sizes[(index + number) % len(tile_sizes)]
        for _ in range(TRIES):
            x, y = int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1))
            seen = visible_objects(layout.plan.objects, (x, y, x + side, y + side))
            if seen:
                break
        else:
            continue
        name = f'{split}/{index:06d}_{number}.jpg'
        made.append(CaptionedImage(name, describe(seen, layout.plan.size, rng, captions), split))
        path = root / 'images' / name
        if not is_whole_jpeg(path):
            scene = layout.draw() if scene is None else scene
            tile = cv2.resize(scene[y : y + side, x : x + side], (pixels, pixels), interpolation=cv2.INTER_CUBIC)
            with replacing(path) as part:
                cv2.imwrite(str(part), np.ascontiguousarray(tile[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return made
