"""What tools/analysis/select_objects.py does: score objects, write those that a query means, draw them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np

from xemap.errors import ConfigError, DataError
from xemap.files import write_json
from xemap.inference.selection import read_detections, read_gray, select_areas, select_boxes
from xemap.raster.image_io import read_image
from xemap.raster.resize import resize_map
from xemap.visualization import query_panel, save_picture

PICTURE_SIDE = 768


def select_objects(
    image: str | Path,
    make_map: Callable[[tuple[int, int]], np.ndarray],
    out: str | Path,
    *,
    boxes: str | Path | None = None,
    image_id: str | None = None,
    mask: str | Path | None = None,
    threshold: float = 0.5,
    statistic: str = 'mean',
    title: str = '',
) -> tuple[int, int]:
    """Keep the objects of one image that a query means.

    Writes ``OUT.json``: the kept entries of the detections with their ``map_score``, or all areas of the
    mask with ``score`` and ``kept``; for a mask also ``OUT.mask.png``, the mask without the rest; and
    ``OUT.picture.png``, the kept outlines beside the map.

    Args:
        image: file.
        make_map: called with the image's (height, width); returns the map, (h, w) float32 in [0, 1].
        out: prefix of the files written.
        boxes: COCO results JSON; either this or ``mask``.
        image_id: whose detections to take, where the file has several images.
        mask: gray or palette picture at the image's size.
        threshold, statistic: see :func:`~xemap.inference.selection.select_boxes` and ``select_areas``.
        title: title of the picture.

    Returns:
        numbers of kept and of all objects.

    Raises:
        DataError, ConfigError: what does not fit.
    """
    if (boxes is None) == (mask is None):
        raise ConfigError('give either boxes or a mask to select from')
    pixels = read_image(image)
    size = (pixels.shape[0], pixels.shape[1])
    if boxes is not None:
        detections = read_detections(boxes, image_id)  # before the map, which may take minutes
        map = resize_map(make_map(size), size)
        scores, kept = select_boxes(map, [row['bbox'] for row in detections], threshold, statistic)
        chosen = [
            {**row, 'map_score': round(float(s), 6)} for row, s, is_kept in zip(detections, scores, kept) if is_kept
        ]
        outlines = [
            np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)]) for x, y, w, h in (r['bbox'] for r in chosen)
        ]
        report, counts = chosen, (len(chosen), len(detections))
    elif mask is not None:
        objects = read_gray(mask)
        if objects.shape != size:
            raise DataError(f'mask {mask} is {objects.shape} and the image {size} (height, width); they must agree')
        map = resize_map(make_map(size), size)
        chosen_mask, areas = select_areas(map, objects, threshold, statistic)
        contours, _ = cv2.findContours((chosen_mask > 0).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        outlines = [outline.reshape(-1, 2) for outline in contours]
        report, counts = [asdict(area) for area in areas], (sum(area.kept for area in areas), len(areas))
        save_picture(f'{out}.mask.png', chosen_mask)
    save_picture(f'{out}.picture.png', query_panel(pixels, title, map, polygons=outlines, max_side=PICTURE_SIDE))
    write_json(f'{out}.json', report)
    return counts
