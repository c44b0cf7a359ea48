"""The sliding-window systems that XeMap-Network is compared with: a retrieval model and a map generator."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import torch
from mmengine.logging import print_log

from xemap.errors import ConfigError, DataError
from xemap.models.localizers.base import Localizer
from xemap.models.localizers.selo.generators import Score
from xemap.models.localizers.selo.stacking import stack_slices, to_gray
from xemap.registry import MODELS
from xemap.structures import Answers, MapAnswers

STAGES = ('cut', 'similarity', 'stacking', 'filtering')
"""The rows of Table VI of the SeLo paper (Cut, Sim, Gnt, Flt)."""


@MODELS.register_module()
class SeLoLocalizer(Localizer):
    """Correlation maps from the similarity of slices of an image with its queries.

    Slices are encoded once per image, for all its queries. The generator says which slices there are, which
    phrasings of a query they are compared with, and how the mean similarities become a map. The localizer
    does not train: its weights are those of the retrieval model.

    ``stage_seconds`` sums up the time that the stages of Table VI took since the model was built or
    :meth:`reset_stage_seconds` was called: ``cut`` (slices cut and resized), ``similarity`` (texts and
    slices encoded and compared), ``stacking``, ``filtering``.

    Args:
        retrieval: a :class:`~xemap.models.retrieval.base.RetrievalModel`. Of it are used ``image_size``,
            ``mean``, ``std``, ``image_features``, ``text_features`` and ``similarity``. A checkpoint of it is
            a checkpoint of this localizer.
        generator: ``SeLoV1Generator`` or ``SeLoV2Generator``.
        batch_size: slices, or texts, encoded at a time. Memory beyond the image and its maps follows it.
        data_preprocessor: leave it as it is.
        init_cfg: as in MMEngine.
    """

    form = 'map'
    stages = STAGES

    def __init__(
        self,
        retrieval: dict,
        generator: dict,
        batch_size: int = 64,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        if batch_size < 1:
            raise ConfigError(f'SeLoLocalizer: batch_size={batch_size}; give at least 1')
        self.retrieval = MODELS.build(retrieval)
        self.generator = MODELS.build(generator)
        self.batch_size = batch_size
        self._warned: set[tuple[int, int]] = set()

    def localize(self, images: Sequence[np.ndarray], texts: Sequence[Sequence[str]]) -> list[Answers]:
        """Maps at the images' own size, multiples of 1/255.

        Raises:
            DataError: a similarity that is not finite.
        """
        return [MapAnswers(self._maps(image, queries)) for image, queries in zip(images, texts)]

    def _maps(self, image: np.ndarray, texts: Sequence[str]) -> np.ndarray:
        """(Q, H, W) float32."""
        size = (image.shape[0], image.shape[1])
        distinct = list(dict.fromkeys(texts))
        planes = np.ascontiguousarray(image.transpose(2, 0, 1))
        scored = self.generator.scored_slices(size, self._scorer(planes, distinct))
        with self.stage('stacking'):
            cells = [to_gray(stack_slices(boxes, similarity, size)) for boxes, similarity in scored]
        if cells[0].values.size == 1:
            self._warn_of_one_slice(size)
        with self.stage('filtering'), ThreadPoolExecutor(torch.get_num_threads()) as pool:
            grays = dict(zip(distinct, pool.map(self.generator.smooth, cells)))
        maps = np.empty((len(texts), *size), np.float32)
        for map, text in zip(maps, texts):
            np.divide(grays[text], np.float32(255), out=map)
        return maps

    def _scorer(self, planes: np.ndarray, texts: list[str]) -> Score:
        """The function that scores slices of one image with its queries, which are encoded now."""
        model, device = self.retrieval, self.data_preprocessor.device
        mean, std = (torch.tensor(values, device=device).view(3, 1, 1) for values in (model.mean, model.std))
        phrasings = [self.generator.phrasings(text) for text in texts]
        with self.stage('similarity'):
            flat = [phrasing for variants in phrasings for phrasing in variants]
            features = [
                model.text_features(flat[i : i + self.batch_size]) for i in range(0, len(flat), self.batch_size)
            ]
        starts = np.cumsum([0, *map(len, phrasings[:-1])])

        def score(boxes: np.ndarray) -> np.ndarray:
            similarity = np.empty((len(boxes), len(texts)))
            for first in range(0, len(boxes), self.batch_size):
                part = slice(first, first + self.batch_size)
                with self.stage('cut'):
                    slices = torch.from_numpy(cut_slices(planes, boxes[part], model.image_size))
                with self.stage('similarity'):
                    images = model.image_features((slices.to(device).float() - mean) / std)
                    columns = [model.similarity(images, part).float() for part in features]
                    each = torch.cat(columns, 1).cpu().numpy().astype(np.float64)
                    similarity[part] = np.add.reduceat(each, starts, axis=1) / list(map(len, phrasings))
            for text, column in zip(texts, similarity.T):
                if not np.isfinite(column).all():
                    raise DataError(
                        f'{type(model).__name__} gives "{text}" a similarity that is not finite; check its checkpoint'
                    )
            return similarity

        return score

    def _warn_of_one_slice(self, size: tuple[int, int]) -> None:
        if size not in self._warned:
            self._warned.add(size)
            print_log(
                f'image of {size[1]} x {size[0]} pixels is a single slice: nothing in it stands out and its maps are '
                '0; give the generator smaller tiles',
                logger='current',
                level=logging.WARNING,
            )

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        named = self.adapt_weights({name.removeprefix(prefix): value for name, value in state_dict.items()})
        state_dict.clear()
        state_dict.update({prefix + name: value for name, value in named.items()})
        super()._load_from_state_dict(state_dict, prefix, *args)

    def adapt_weights(self, weights: dict) -> dict:
        ours = any(name.startswith('retrieval.') for name in weights)
        return weights if ours else {f'retrieval.{name}': value for name, value in weights.items()}


def cut_slices(planes: np.ndarray, boxes: np.ndarray, side: int) -> np.ndarray:
    """Slices of an image, resized with OpenCV's bicubic interpolation, which does not smooth first.

    OpenCV and not torch: it interpolates 8-bit pixels as they lie in the image and rounds back to 8 bits,
    as the reference does; torch would first need the slices as float32, four times the memory.

    Args:
        planes: (3, H, W) uint8.
        boxes: (N, 4) x0, y0, x1, y1.
        side: height and width of the results.

    Returns:
        (N, 3, side, side) uint8.
    """
    slices = np.empty((len(boxes), 3, side, side), np.uint8)
    for out, (x0, y0, x1, y1) in zip(slices, boxes.tolist()):
        for plane, resized in zip(planes[:, y0:y1, x0:x1], out):
            cv2.resize(plane, (side, side), dst=resized, interpolation=cv2.INTER_CUBIC)
    return slices
