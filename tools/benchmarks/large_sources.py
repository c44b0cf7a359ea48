"""The training pipeline on sources much larger than the network's input: decoded whole, and at a fraction."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
from mmengine.config import Config

from benchmarks.data import pipeline_size, training_pipeline
from benchmarks.timing import limited_threads, measure
from xemap.datasets.annotations import write_annotations
from xemap.datasets.xemap_dataset import XeMapDataset
from xemap.errors import ConfigError
from xemap.structures import ImageRecord, MaskRegion, PolygonRegion, Query, Region

QUERIES = 9


def make_source(side: int, seed: int = 0) -> np.ndarray:
    """An image with detail at scales from 1 to 256 pixels, more of it at the large ones as in real scenes.

    Returns:
        (side, side, 3) uint8.
    """
    rng = np.random.default_rng(seed)
    image = np.full((side, side, 3), 60, np.uint8)
    for scale, contrast in ((256, 90), (32, 50), (4, 30), (1, 8)):
        cells = -(-side // scale)
        detail = rng.integers(0, contrast, (cells, cells, 3), dtype=np.uint8)
        cv2.add(image, cv2.resize(detail, (side, side), interpolation=cv2.INTER_LINEAR), image)
    return image


def write_sources(folder: str | Path, side: int, seed: int = 0) -> dict[str, str]:
    """One image in the formats of large sources, and for each an annotation file ``NAME.arrow`` with polygons.

    JPEG of quality 90; GeoTIFF in tiles of 256 with LZW, without and with overviews (where rasterio is
    installed). Of the JPEG also ``jpeg_masks.arrow``, with the same regions as masks.

    Returns:
        name of the image file by name of the annotation file.
    """
    folder = Path(folder)
    image = make_source(side, seed)
    cv2.imwrite(str(folder / 'jpeg.jpg'), image, [cv2.IMWRITE_JPEG_QUALITY, 90])
    files = {'jpeg': 'jpeg.jpg', 'jpeg_masks': 'jpeg.jpg'}
    try:
        import rasterio
    except ImportError:
        pass
    else:
        profile = dict(driver='GTiff', width=side, height=side, count=3, dtype='uint8', photometric='RGB')
        layout = dict(interleave='pixel', tiled=True, blockxsize=256, blockysize=256, compress='lzw')
        place = rasterio.transform.from_origin(0, 0, 0.5, 0.5)
        for name, steps in (('geotiff', ()), ('geotiff_overviews', (2, 4, 8, 16))):
            with rasterio.open(folder / f'{name}.tif', 'w', transform=place, **profile, **layout) as file:
                file.write(np.moveaxis(image, 2, 0))
                file.build_overviews(steps, rasterio.enums.Resampling.average)
            files[name] = f'{name}.tif'
    for name, file_name in files.items():
        regions = [_region(side, k, name == 'jpeg_masks') for k in range(QUERIES)]
        queries = [Query(f'field {k} in the middle', region) for k, region in enumerate(regions)]
        write_annotations(folder / f'{name}.arrow', [ImageRecord(file_name, side, side, 'made up', queries)])
    return files


def benchmark_large_sources(
    cfg: Config, size: tuple[int, int] | None, repeats: int, side: int = 10_000, seed: int = 0
) -> dict[str, Any]:
    """Time samples of large sources on one core, decoded whole and at a fraction, in turn.

    The sources are written before, into a temporary folder (2 GB at a side of 10,000), and read from the
    system's file cache.

    Args:
        cfg: whose training pipeline is taken; ``LoadImage`` once with ``at_least=None``, once with twice the
            larger side of the network's input.
        size: (height, width) to resize to; None = the config's.
        repeats: timed samples of each kind.
        side: side of the sources, in pixels.
        seed: seed of their content.

    Returns:
        ``side``, ``queries_per_sample``, ``at_least`` and by source ``whole`` and ``reduced``, each with
        ``samples_per_s`` (wall-clock), and ``mean_difference`` and ``largest_difference`` between their images, in
        levels of 0 .. 255.

    Raises:
        ConfigError: the pipeline has no ``LoadImage``.
    """
    pipeline = training_pipeline(cfg, size)
    if not any(step['type'] == 'LoadImage' for step in pipeline):
        raise ConfigError(f'config {cfg.filename}: no LoadImage in the training pipeline, which is to be measured')
    at_least = 2 * max(size or pipeline_size(cfg))
    result: dict[str, Any] = {'side': side, 'queries_per_sample': QUERIES, 'at_least': at_least}
    with TemporaryDirectory(prefix='xemap-benchmark-') as folder, limited_threads(1):
        files = write_sources(folder, side, seed)
        data_sets = {
            f'{name} {way}': XeMapDataset(f'{name}.arrow', folder, _loading(pipeline, least), seed=seed)
            for name in files
            for way, least in (('whole', None), ('reduced', at_least))
        }
        calls = {name: (lambda data_set=data_set: data_set[0]) for name, data_set in data_sets.items()}
        times = measure(calls, repeats, title='samples of large sources')
        for name in files:
            whole, reduced = (_image(data_sets[f'{name} {way}'][0]) for way in ('whole', 'reduced'))
            difference = np.abs(whole - reduced)
            result[name] = {
                **{way: _rate(times[f'{name} {way}']) for way in ('whole', 'reduced')},
                'mean_difference': float(difference.mean()),
                'largest_difference': float(difference.max()),
            }
    return result


def _region(side: int, number: int, as_mask: bool) -> Region:
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    center = np.array([number % 3 + 1, number // 3 + 1]) * side / 4
    polygons = PolygonRegion([center + side / 10 * np.stack([np.cos(angles), np.sin(angles)], 1)])
    return MaskRegion.from_mask(polygons.mask((side, side))) if as_mask else polygons


def _loading(pipeline: list[dict], at_least: int | None) -> list[dict]:
    return [{**step, 'at_least': at_least} if step['type'] == 'LoadImage' else step for step in pipeline]


def _image(sample: dict) -> np.ndarray:
    return sample['inputs'].numpy().astype(np.float32)


def _rate(time: dict[str, float]) -> dict[str, float]:
    return {'samples_per_s': 1 / time['median_s'], **time}
