"""Small parts of CroBIM with random weights, and what goes into them."""

from __future__ import annotations

import torch

CHANNELS, WIDTH = (4, 6, 8, 10), 12


def seeded(module):
    """The module in float64 and eval mode with random weights everywhere."""
    generator = torch.Generator().manual_seed(3)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.3
    return module.double().eval()


def pyramid(images: int = 2, coarsest: tuple[int, int] = (2, 3), channels=CHANNELS):
    generator = torch.Generator().manual_seed(5)
    sizes = [(coarsest[0] << k, coarsest[1] << k) for k in range(len(channels) - 1, -1, -1)]
    return [torch.randn(images, c, *size, generator=generator, dtype=torch.float64) for c, size in zip(channels, sizes)]


def words(pairs: int = 3, tokens: int = 5):
    generator = torch.Generator().manual_seed(7)
    text = torch.randn(pairs, tokens, WIDTH, generator=generator, dtype=torch.float64)
    padding = torch.zeros(pairs, tokens, dtype=torch.bool)
    padding[0, 3:] = True
    padding[2:, 4:] = True
    return text, padding
