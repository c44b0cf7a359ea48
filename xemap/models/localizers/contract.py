"""What stands around the ``localize`` of every localizer: the two sides of its contract, checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np
import torch

from xemap.errors import ConfigError
from xemap.structures import FORMS, Answers, BoxAnswers, MapAnswers, MaskAnswers


def no_answers(form: str, size: tuple[int, int]) -> Answers:
    """Answers of an image without queries."""
    if form == BoxAnswers.form:
        return BoxAnswers(np.zeros((0, 4)), size)
    nothing = np.zeros((0, *size), np.float32)
    return MaskAnswers(nothing) if form == MaskAnswers.form else MapAnswers(nothing)


def checked(localize: Callable) -> Callable:
    """A ``localize`` that keeps the contract or says what breaks it."""

    @wraps(localize)
    def wrapped(self: Any, images: Sequence[np.ndarray], texts: Sequence[Sequence[str]]) -> list[Answers]:
        images, texts = list(images), list(texts)
        name = type(self).__name__
        _check_arguments(name, images, texts)
        chosen = [i for i, queries in enumerate(texts) if len(queries)]
        answers = [no_answers(self.form, image.shape[:2]) for image in images]
        if not chosen:
            return answers
        trains = self.training
        if trains:
            self.eval()
        try:
            with torch.no_grad():
                results = list(localize(self, [images[i] for i in chosen], [list(texts[i]) for i in chosen]))
        finally:
            if trains:
                self.train()
        if len(results) != len(chosen):
            raise ConfigError(
                f'{name}.localize returned {len(results)} answers for {len(chosen)} images; return one per image'
            )
        for i, result in zip(chosen, results):
            if not isinstance(result, Answers) or result.form != self.form:
                kind = result.form if isinstance(result, Answers) else type(result).__name__
                right = FORMS[self.form].__name__
                raise ConfigError(f'{name}.localize returned a {kind}; its form is "{self.form}", return {right}')
            if len(result) != len(texts[i]):
                raise ConfigError(f'{name}.localize gave {len(result)} answers to {len(texts[i])} queries of an image')
            answers[i] = result
        return answers

    return wrapped


def _check_arguments(name: str, images: Sequence[Any], texts: Sequence[Any]) -> None:
    if len(images) != len(texts):
        raise ConfigError(f'{name}.localize: {len(images)} images, queries for {len(texts)}; give one list for each')
    for image, queries in zip(images, texts):
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            what = f'{image.dtype} {image.shape}' if isinstance(image, np.ndarray) else type(image).__name__
            raise ConfigError(f'{name}.localize takes uint8 images (H, W, 3), not {what}; give RGB as in the file')
        if isinstance(queries, str) or not all(isinstance(text, str) for text in queries):
            raise ConfigError(f'{name}.localize: queries {queries!r} of an image; give a list of texts for each image')
