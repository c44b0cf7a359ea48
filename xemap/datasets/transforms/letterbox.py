"""Bringing an image into a frame of fixed size with its aspect ratio kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform

from xemap.datasets.transforms.geometry import ResizeImage
from xemap.errors import ConfigError
from xemap.registry import TRANSFORMS

PLACEMENTS = ('center', 'random')


@TRANSFORMS.register_module()
class Letterbox(BaseTransform):
    """Resize ``img`` until it fits into a frame, aspect ratio kept, and pad it.

    Sets ``content``: the part x0, y0, x1, y1 of the frame, in whole pixels, that shows the image. Targets, flips and
    predictions follow it. The image is resized as by :class:`ResizeImage`, to which a square image makes no
    difference.

    Args:
        size: (height, width) of the frame.
        color: color of the border, RGB in 0..255.
        shrink: augmentation: the image is fitted to a part of the frame, a share of its sides that is drawn from
            these, in (0, 1].
        placement: ``'center'``, or ``'random'``, augmentation: anywhere in the frame.

    Raises:
        ConfigError: an option that does not fit; see also :class:`ResizeImage`.
    """

    def __init__(
        self,
        size: tuple[int, int] = (640, 640),
        color: tuple[float, float, float] = (123.7, 116.3, 103.5),
        shrink: Sequence[float] = (1.0,),
        placement: str = 'center',
    ) -> None:
        if placement not in PLACEMENTS:
            raise ConfigError(f'Letterbox: placement "{placement}"; use one of {", ".join(PLACEMENTS)}')
        if not shrink or not all(0 < share <= 1 for share in shrink):
            raise ConfigError(f'Letterbox: shrink={tuple(shrink)}; give shares of the frame in (0, 1]')
        if len(color) != 3 or not all(0 <= value <= 255 for value in color):
            raise ConfigError(f'Letterbox: color={tuple(color)}; give red, green and blue in 0..255')
        self.size = ResizeImage(size).size
        self.color, self.shrink, self.placement = tuple(color), tuple(shrink), placement

    def transform(self, results: dict) -> dict:
        (height, width), rng = results['ori_shape'], results['rng']
        share = self.shrink[rng.integers(len(self.shrink))] if len(self.shrink) > 1 else self.shrink[0]
        ratio = share * min(self.size[0] / height, self.size[1] / width)
        inner = max(1, round(height * ratio)), max(1, round(width * ratio))
        results = ResizeImage(inner).transform(results)
        top, left = (self._offset(frame - side, rng) for frame, side in zip(self.size, inner))
        results['content'] = (left, top, left + inner[1], top + inner[0])
        if inner != self.size:
            frame = np.empty((*self.size, 3), np.uint8)
            frame[:] = np.rint(self.color)
            frame[top : top + inner[0], left : left + inner[1]] = results['img']
            results['img'] = frame
        results['img_shape'] = self.size
        return results

    def _offset(self, room: int, rng: np.random.Generator) -> int:
        return int(rng.integers(room + 1)) if self.placement == 'random' else room // 2

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(size={self.size}, color={self.color}, shrink={self.shrink}, '
            f'placement={self.placement})'
        )
