"""A retrieval model that knows the colors, and images to ask it about."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor, nn

from xemap.registry import MODELS

COLORS = {'red': 0, 'green': 1, 'blue': 2}


@MODELS.register_module(force=True)
class ToyRetrieval(nn.Module):
    """Images are their mean color over four quarters, texts the sum of their words' vectors."""

    image_size, mean, std = 8, (110.0, 120.0, 130.0), (50.0, 60.0, 80.0)

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Parameter(torch.eye(12))
        self.images_seen: list[int] = []
        self.texts_seen: list[str] = []

    def image_features(self, pixels: Tensor) -> Tensor:
        assert pixels.dtype == torch.float32 and pixels.shape[1:] == (3, 8, 8)
        self.images_seen.append(len(pixels))
        quarters = torch.nn.functional.avg_pool2d(pixels, 4).flatten(1)
        return nn.functional.normalize(quarters @ self.mix, dim=1)

    def text_features(self, texts: list[str]) -> Tensor:
        self.texts_seen += texts
        rows = torch.tensor(np.stack([self._vector(text) for text in texts]), dtype=torch.float32)
        return nn.functional.normalize(rows, dim=1)

    def similarity(self, images: Tensor, texts: Tensor) -> Tensor:
        return images @ texts.T

    @staticmethod
    def _vector(text: str) -> np.ndarray:
        vector = np.zeros(12)
        for place, word in enumerate(text.split()):
            seed = list(hashlib.sha256(word.encode()).digest())
            vector += 0.1 * np.random.default_rng([*seed, place]).standard_normal(12)  # the order of words counts
            if word in COLORS:
                vector[4 * COLORS[word] : 4 * COLORS[word] + 4] += 3
        return vector


def raw_images(count: int, size: tuple[int, int], seed: int = 0) -> Tensor:
    """(count, 3, H, W) uint8 noise with a red square in the lower right quarter."""
    images = np.random.default_rng(seed).integers(60, 120, (count, 3, *size)).astype(np.uint8)
    height, width = size
    images[:, 0, height // 2 :, width // 2 :] = 250
    return torch.from_numpy(images)


def similarity_of(model: ToyRetrieval, image: Tensor, text: str):
    """The cosine of one slice and one text, computed by itself."""
    from xemap.models.localizers.selo.selo_localizer import cut_slices

    def score(box) -> float:
        pixels = cut_slices(image.numpy(), np.array([box]), model.image_size)[0].transpose(1, 2, 0)
        normalized = torch.tensor((pixels - np.array(model.mean)) / np.array(model.std), dtype=torch.float32)
        with torch.no_grad():
            features = model.image_features(normalized.permute(2, 0, 1)[None])
            return model.similarity(features, model.text_features([text])).item()

    return score
