"""Reading the image of a sample."""

from __future__ import annotations

from mmcv.transforms import BaseTransform

from xemap.datasets.image_io import read_image
from xemap.errors import ConfigError, DataError
from xemap.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadImage(BaseTransform):
    """Read ``img_path`` as 8-bit RGB (see :func:`~xemap.datasets.image_io.read_image`).

    Reads ``img_path`` and, where given, ``ori_shape``; adds ``img`` (H, W, 3) uint8 RGB, ``img_shape``
    and ``ori_shape`` (h, w).

    Args:
        stretch: lower and upper percentile of each 16-bit band that become 0 and 255.

    Raises:
        DataError: the file is missing, truncated or no image, or its size is not the annotated one.
    """

    def __init__(self, stretch: tuple[float, float] = (2.0, 98.0)) -> None:
        low, high = stretch
        if not 0 <= low < high <= 100:
            raise ConfigError(f'LoadImage: stretch={stretch!r}; give two rising percentiles, as (2, 98)')
        self.stretch = (low, high)

    def transform(self, results: dict) -> dict:
        img = read_image(results['img_path'], self.stretch)
        shape = img.shape[:2]
        expected = tuple(results.get('ori_shape', shape))
        if shape != expected:
            raise DataError(
                f'{results["img_path"]} is {shape[1]} x {shape[0]} pixels, its annotation says '
                f'{expected[1]} x {expected[0]}; use the images that the annotation file was made from'
            )
        results['img'] = img
        results['img_shape'] = results['ori_shape'] = shape
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(stretch={self.stretch})'
