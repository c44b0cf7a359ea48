"""Reading the image of a sample."""

from __future__ import annotations

from mmcv.transforms import BaseTransform

from xemap.errors import ConfigError, DataError
from xemap.raster.image_io import read_reduced
from xemap.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadImage(BaseTransform):
    """Read ``img_path`` as 8-bit RGB (see :func:`~xemap.raster.image_io.read_reduced`).

    Reads ``img_path`` and, where given, ``ori_shape``; adds ``img`` (H, W, 3) uint8 RGB, ``img_shape``
    (h, w) of ``img`` and ``ori_shape`` (h, w) of the file; where ``img`` is smaller than the file, ``extent``: the
    file's (height, width) in pixels of ``img``, by which :class:`ResizeImage` goes.

    Args:
        stretch: lower and upper percentile of each 16-bit band that become 0 and 255.
        at_least: decode JPEG and TIFF at 1/2, 1/4 or 1/8 of their size as long as no side gets shorter than
            this many pixels. For training, where :class:`ResizeImage` follows: twice its larger side costs a
            tenth of the time for about one level of 255. Evaluation decodes everything (None).

    Raises:
        DataError: the file is missing, truncated or no image, or its size is not the annotated one.
    """

    def __init__(self, stretch: tuple[float, float] = (2.0, 98.0), at_least: int | None = None) -> None:
        low, high = stretch
        if not 0 <= low < high <= 100:
            raise ConfigError(f'LoadImage: stretch={stretch!r}; give two rising percentiles, as (2, 98)')
        if at_least is not None and at_least < 1:
            raise ConfigError(f'LoadImage: at_least={at_least!r}; give a side in pixels, or None for everything')
        self.stretch, self.at_least = (low, high), at_least

    def transform(self, results: dict) -> dict:
        img, shape, extent = read_reduced(results['img_path'], self.stretch, self.at_least)
        expected = tuple(results.get('ori_shape', shape))
        if shape != expected:
            raise DataError(
                f'{results["img_path"]} is {shape[1]} x {shape[0]} pixels, its annotation says '
                f'{expected[1]} x {expected[0]}; use the images that the annotation file was made from'
            )
        results['img'] = img
        results['img_shape'], results['ori_shape'] = img.shape[:2], shape
        if img.shape[:2] != shape:
            results['extent'] = extent
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(stretch={self.stretch}, at_least={self.at_least})'
