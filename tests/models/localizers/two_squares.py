"""Images of two things that only the text tells apart, for tests of what a localizer learns."""

from __future__ import annotations

import torch

from xemap.structures import XeMapDataSample


def two_squares(number: int, seed: int) -> tuple[torch.Tensor, list[XeMapDataSample]]:
    """Images with a red and a green square, (number, 3, 64, 64), one of them in each half, and their samples with masks
    and boxes.
    """
    generator = torch.Generator().manual_seed(seed)
    images, samples = torch.zeros(number, 3, 64, 64), []
    for image in images:
        sample = XeMapDataSample(metainfo={'img_shape': (64, 64), 'ori_shape': (64, 64)})
        sample.texts, sample.gt_masks = ['the red field', 'the green lake'], torch.zeros(2, 64, 64, dtype=torch.bool)
        sample.gt_boxes = torch.zeros(2, 4)
        left = torch.randint(2, (), generator=generator)
        for channel, mask in enumerate(sample.gt_masks):
            side, y, x = (
                int(torch.randint(*limits, (), generator=generator)) for limits in ((20, 28), (2, 35), (1, 4))
            )
            x += 32 * int(left == channel)
            mask[y : y + side, x : x + side] = True
            sample.gt_boxes[channel] = torch.tensor([x, y, x + side, y + side])
            image[channel][mask] = 2.0
        samples.append(sample)
    return images, samples
