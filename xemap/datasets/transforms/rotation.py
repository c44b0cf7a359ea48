"""Rotation by right angles, with the direction words of the queries."""

from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform

from xemap.datasets.transforms.geometry import moved_query
from xemap.datasets.transforms.targets import refuse_after_targets
from xemap.errors import ConfigError
from xemap.language.rotation import rotate_directions
from xemap.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomRotate90(BaseTransform):
    """Rotate the image by 90, 180 or 270 degrees, with the regions and direction words of its queries.

    "on the left" becomes "at the bottom" by a quarter turn counterclockwise (see
    :func:`~xemap.language.rotation.rotate_directions`). An image with a query that cannot be rewritten safely is left
    as it is. A quarter turn swaps height and width: unless the images are square, place it before the step that
    brings them to one size, and always before the targets are made. Sets ``quarter_turns`` (0 = as it was).

    Args:
        prob: probability of trying to rotate, by one of the three angles.

    Raises:
        ConfigError: a probability outside [0, 1], or targets were made before.
    """

    def __init__(self, prob: float = 0.75) -> None:
        if not 0 <= prob <= 1:
            raise ConfigError(f'RandomRotate90: prob={prob!r}; give a probability in [0, 1]')
        self.prob = prob

    def transform(self, results: dict) -> dict:
        refuse_after_targets(self, results)
        rng = results['rng']
        # Both numbers are drawn always, so that what follows does not depend on the texts.
        rotates, turns = rng.random() < self.prob, int(rng.integers(1, 4))
        results['quarter_turns'] = 0
        texts = [rotate_directions(query.text, turns) for query in results['queries']] if rotates else [None]
        if any(text is None for text in texts):
            return results
        size = tuple(results['ori_shape'])
        results['queries'] = [
            moved_query(
                query, text, lambda words: rotate_directions(words, turns), lambda region: region.rotated(size, turns)
            )
            for query, text in zip(results['queries'], texts)
            if text is not None
        ]
        if 'content' in results:
            results['content'] = _rotated_box(results['content'], results['img_shape'], turns)
        results['img'] = np.ascontiguousarray(np.rot90(results['img'], turns))
        if turns % 2:
            for key in ('ori_shape', 'img_shape', 'extent'):
                if key in results:
                    results[key] = tuple(results[key])[::-1]
        results['quarter_turns'] = turns
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob})'


def _rotated_box(box: tuple[int, ...], size: tuple[int, int], turns: int) -> tuple[int, ...]:
    """x0, y0, x1, y1 in an image of ``size`` (height, width) after quarter turns counterclockwise."""
    (x0, y0, x1, y1), (height, width) = box, size
    for _ in range(turns):
        x0, y0, x1, y1 = y0, width - x1, y1, width - x0
        height, width = width, height
    return x0, y0, x1, y1
