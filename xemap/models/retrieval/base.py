"""What every retrieval model is: two encoders into one space, and how they train."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor
from torch.nn import functional as F

from xemap.errors import ConfigError
from xemap.registry import MODELS
from xemap.structures import XeMapDataSample

IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def unit(vectors: Tensor) -> Tensor:
    """Vectors along the last axis scaled to length one."""
    return F.normalize(vectors, dim=-1)


class RetrievalModel(BaseModel):
    """Images and texts as unit vectors of one space; their dot product says how well they match.

    Subclasses give :meth:`encode_images` and :meth:`encode_texts`. Batches are those of
    :class:`~xemap.datasets.captions.CaptionDataset`; the negatives of a pair are the other pairs of its batch and
    rank, except those with the same image or the same words.

    Args:
        loss: loss of a batch of pairs, see :mod:`xemap.models.retrieval.losses`.
        image_size: side of the square input in pixels.
        mean, std: for normalization, of the three channels of RGB pixels in 0..255.
        init_cfg: as in MMEngine.

    Attributes:
        image_size (int), mean (tuple), std (tuple): as above; whoever cuts images of their own needs them.
    """

    def __init__(
        self,
        loss: dict,
        image_size: int = 256,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        init_cfg: dict | None = None,
    ) -> None:
        mean, std = tuple(map(float, mean)), tuple(map(float, std))
        preprocessor = dict(type='ImgDataPreprocessor', mean=mean, std=std, bgr_to_rgb=False)
        super().__init__(preprocessor, init_cfg)
        self.image_size, self.mean, self.std = int(image_size), mean, std
        self.criterion = MODELS.build(loss)

    @abstractmethod
    def encode_images(self, pixels: Tensor) -> Tensor:
        """Images (n, 3, image_size, image_size), float, normalized -> (n, D) of unit length."""

    @abstractmethod
    def encode_texts(self, texts: list[str]) -> Tensor:
        """Texts -> (t, D) of unit length; the result of one does not depend on the others."""

    # What is compared. SCAN and CAMP, which compare more than two vectors, override the three.

    def image_features(self, pixels: Tensor) -> Tensor:
        """What of (n, 3, S, S) images is compared: (n, …)."""
        return self.encode_images(pixels)

    def text_features(self, texts: list[str]) -> Any:
        """What of t texts is compared: a sequence of t tensors, by default (t, D)."""
        return self.encode_texts(texts)

    def similarity(self, images: Tensor, texts: Any) -> Tensor:
        """Features of n images and t texts -> (n, t)."""
        return images @ (texts if isinstance(texts, Tensor) else torch.stack(list(texts))).T

    @torch.no_grad()
    def compare(self, images: Tensor, texts: Sequence[Tensor]) -> Tensor:
        """Similarities of features that may lie on another device, (n, t) float32 on the CPU."""
        device = next(self.parameters()).device
        return self.similarity(images.to(device), [text.to(device) for text in texts]).float().cpu()

    # Training and evaluation

    def forward(self, inputs: Tensor, data_samples: list[XeMapDataSample], mode: str = 'tensor'):
        """Run on a batch.

        Args:
            inputs: (B, 3, image_size, image_size) normalized images.
            data_samples: B samples with ``texts``, at least one each, and ``sample_idx``.
            mode: ``'tensor'`` -> similarities (B, N) with all N texts; ``'loss'`` -> dict of losses;
                ``'predict'`` -> the samples with ``image_features``, ``text_features`` (a sequence of
                one tensor a text) and ``compare``, the function that compares them.

        Raises:
            ConfigError: images of another size, samples without texts, or an unknown mode.
        """
        for sample in data_samples:
            if not sample.get('texts'):
                raise ConfigError(
                    f'image {sample.get("img_path", "")} has no text; use CaptionDataset, and end its pipeline in '
                    'PackXeMapInputs'
                )
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode == 'tensor':
            texts = [text for sample in data_samples for text in sample.texts]
            return self.similarity(self.image_features(inputs), self.text_features(texts))
        raise ConfigError(f'mode "{mode}" is unknown; use "tensor", "loss" or "predict"')

    def loss(self, inputs: Tensor, data_samples: list[XeMapDataSample]) -> dict[str, Tensor]:
        """Loss over all (image, text) pairs of the batch."""
        texts = [text for sample in data_samples for text in sample.texts]
        owner = torch.tensor([i for i, sample in enumerate(data_samples) for _ in sample.texts], device=inputs.device)
        images = self.image_features(inputs)[owner]
        shown = torch.tensor([sample.sample_idx for sample in data_samples], device=inputs.device)[owner]
        numbers = {text: i for i, text in enumerate(dict.fromkeys(text.lower() for text in texts))}
        text_numbers = torch.tensor([numbers[text.lower()] for text in texts], device=inputs.device)
        matching = (shown[:, None] == shown[None, :]) | (text_numbers[:, None] == text_numbers[None, :])
        return self.pair_loss(images, self.text_features(texts), matching)

    def pair_loss(self, images: Tensor, texts: Any, matching: Tensor) -> dict[str, Tensor]:
        """Loss of N pairs: their features, and which image and text match, (N, N) bool."""
        return {'loss': self.criterion(self.similarity(images, texts), matching)}

    def predict(self, inputs: Tensor, data_samples: list[XeMapDataSample]) -> list[XeMapDataSample]:
        """Features for :class:`~xemap.evaluation.metrics.retrieval.RetrievalMetric`, written into the samples."""
        images = self.image_features(inputs)
        texts = self.text_features([text for sample in data_samples for text in sample.texts])
        start = 0
        for sample, image in zip(data_samples, images):
            sample.image_features = image
            sample.text_features = texts[start : start + len(sample.texts)]
            sample.compare = self.compare
            start += len(sample.texts)
        return data_samples

    def check_size(self, pixels: Tensor) -> None:
        """Refuse images of another size.

        Raises:
            ConfigError: naming both sizes.
        """
        if pixels.ndim != 4 or tuple(pixels.shape[-2:]) != (self.image_size, self.image_size):
            raise ConfigError(
                f'{type(self).__name__} takes images of {self.image_size} x {self.image_size} pixels, got '
                f'{tuple(pixels.shape)}; resize them, or set model.image_size'
            )
