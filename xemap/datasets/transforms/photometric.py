"""Changes of light and sensor that leave every query true."""

from __future__ import annotations

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from xemap.errors import ConfigError
from xemap.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PhotometricAugment(BaseTransform):
    """Random brightness, contrast, saturation, hue and noise of ``img``, drawn from ``rng``.

    Each amount is drawn uniformly. Place it after the resize: it costs what the pixels it sees cost.

    Args:
        brightness: largest shift, as a fraction of the full range, in [0, 1].
        contrast: factor in [1 - c, 1 + c] around mid gray, in [0, 1].
        saturation: factor in [1 - s, 1 + s], in [0, 1].
        hue: largest shift in degrees of the color circle, at most 30. Keep it small: queries name
            colors, and red becomes orange at about 20 degrees.
        noise: largest standard deviation of the noise, as a fraction of the full range, in [0, 1]; the
            noise is gray (one value per pixel) and normally distributed.
        prob: probability of each of the four groups (light, color, hue, noise).
    """

    def __init__(
        self,
        brightness: float = 0.12,
        contrast: float = 0.2,
        saturation: float = 0.2,
        hue: float = 5.0,
        noise: float = 0.02,
        prob: float = 0.5,
    ) -> None:
        fractions = dict(brightness=brightness, contrast=contrast, saturation=saturation, noise=noise, prob=prob)
        for name, value in fractions.items():
            if not 0 <= value <= 1:
                raise ConfigError(f'PhotometricAugment: {name}={value!r}; give a number in [0, 1]')
        if not 0 <= hue <= 30:
            raise ConfigError(f'PhotometricAugment: hue={hue!r}; give degrees in [0, 30]; color words must stay true')
        self.brightness, self.contrast, self.saturation = brightness, contrast, saturation
        self.hue, self.noise, self.prob = hue, noise, prob

    def transform(self, results: dict) -> dict:
        rng: np.random.Generator = results['rng']
        light, color, hue, noise = rng.random(4) < self.prob
        # Every number is drawn always, so that one switch does not move the others.
        shift, contrast, saturation, turn = rng.uniform(-1, 1, 4)
        deviation = rng.random() * self.noise
        img = results['img']
        if light:
            values = np.arange(256) - 127.5
            table = values * (1 + contrast * self.contrast) + 127.5 + 255 * shift * self.brightness
            img = cv2.LUT(img, np.round(table).clip(0, 255).astype(np.uint8))
        if color and self.saturation > 0:
            # Away from or towards the pixel's own gray, as a matrix on RGB.
            factor = 1 + saturation * self.saturation
            luma = np.array([0.299, 0.587, 0.114])
            img = cv2.transform(img, factor * np.eye(3) + (1 - factor) * luma[None, :])
        if hue and self.hue > 0:
            hsv = cv2.cvtColor(img, cv2.COLOR_RGB2HSV_FULL)
            steps = round(turn * self.hue * 256 / 360)
            hsv[..., 0] += np.uint8(steps % 256)
            img = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)
        if noise and deviation > 0:
            gray = rng.standard_normal(img.shape[:2], dtype=np.float32) * np.float32(255 * deviation)
            img = np.round(img + gray[..., None]).clip(0, 255).astype(np.uint8)
        results['img'] = img
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(brightness={self.brightness}, contrast={self.contrast}, '
            f'saturation={self.saturation}, hue={self.hue}, noise={self.noise}, prob={self.prob})'
        )
