"""The sliding-window systems that XeMap-Network is compared with: a retrieval model and a map generator."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import cv2
import numpy as np
import torch
from mmengine.logging import print_log
from mmengine.model import BaseModel
from torch import Tensor

from xemap.errors import ConfigError, DataError
from xemap.models.localizers.selo.generators import Score
from xemap.models.localizers.selo.stacking import stack_slices, to_gray
from xemap.registry import MODELS
from xemap.structures import XeMapDataSample

STAGES = ('cut', 'similarity', 'stacking', 'filtering')
"""The rows of Table VI of the SeLo paper (Cut, Sim, Gnt, Flt)."""


@MODELS.register_module()
class SeLoLocalizer(BaseModel):
    """Correlation maps from the similarity of slices of an image with its queries.

    Slices are encoded once an image, for all its queries. The generator says which slices there are, which
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

    def __init__(
        self,
        retrieval: dict,
        generator: dict,
        batch_size: int = 64,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor or dict(type='RawImages'), init_cfg)
        if batch_size < 1:
            raise ConfigError(f'SeLoLocalizer: batch_size={batch_size}; give at least 1')
        self.retrieval = MODELS.build(retrieval)
        self.generator = MODELS.build(generator)
        self.batch_size = batch_size
        self.stage_seconds: dict[str, float] = {}
        self.reset_stage_seconds()
        self._told: set[tuple[int, int]] = set()

    def reset_stage_seconds(self) -> None:
        """Start counting the stages' times anew."""
        self.stage_seconds = dict.fromkeys(STAGES, 0.0)

    def forward(self, inputs: Tensor | Sequence[Tensor], data_samples: list[XeMapDataSample], mode: str = 'tensor'):
        """Run on a batch.

        Args:
            inputs: B images (3, H, W) uint8 RGB; each may have its own size.
            data_samples: B samples with ``texts``.
            mode: ``'predict'`` -> the samples with ``pred_maps`` (Q, H, W) float32 in [0, 1], on the CPU;
                ``'tensor'`` -> (N, H, W), for images of one size.

        Raises:
            ConfigError: mode ``'loss'``; images that are not uint8; in mode ``'tensor'``, of several sizes.
            DataError: a similarity that is not finite.
        """
        if mode == 'predict':
            for image, sample in zip(inputs, data_samples):
                sample.pred_maps = self.localize(image, sample.texts)
            return data_samples
        if mode == 'tensor':
            sizes = {tuple(image.shape[-2:]) for image in inputs}
            if len(sizes) > 1:
                raise ConfigError(f'images of sizes {sorted(sizes)} (height, width) in one tensor; use mode "predict"')
            return torch.cat([self.localize(image, sample.texts) for image, sample in zip(inputs, data_samples)])
        if mode == 'loss':
            raise ConfigError('SeLoLocalizer does not train; train its retrieval model with a config of its own')
        raise ConfigError(f'mode "{mode}" is unknown; use "tensor" or "predict"')

    @torch.no_grad()
    def localize(self, image: Tensor, texts: Sequence[str]) -> Tensor:
        """Maps of one image.

        Args:
            image: (3, H, W) uint8 RGB.
            texts: Q queries.

        Returns:
            (Q, H, W) float32 on the CPU, multiples of 1/255 in [0, 1].
        """
        if image.dtype != torch.uint8:
            raise ConfigError(
                f'SeLoLocalizer takes uint8 images, not {image.dtype}; leave data_preprocessor out of its config'
            )
        size = (image.shape[-2], image.shape[-1])
        maps = torch.empty(len(texts), *size)
        distinct = list(dict.fromkeys(texts))
        if not distinct:
            return maps
        scored = self.generator.scored_slices(size, self._scorer(image.cpu().numpy(), distinct))
        with self._stage('stacking'):
            cells = [to_gray(stack_slices(boxes, similarity, size)) for boxes, similarity in scored]
        if cells[0].values.size == 1:
            self._tell_of_one_slice(size)
        with self._stage('filtering'), ThreadPoolExecutor(torch.get_num_threads()) as pool:
            grays = dict(zip(distinct, pool.map(self.generator.smooth, cells)))
        for own, text in zip(maps, texts):
            own.copy_(torch.from_numpy(grays[text])).div_(255)
        return maps

    def _scorer(self, planes: np.ndarray, texts: list[str]) -> Score:
        """The function that scores slices of one image with its queries, which are encoded now."""
        model, device = self.retrieval, self.data_preprocessor.device
        mean, std = (torch.tensor(values, device=device).view(3, 1, 1) for values in (model.mean, model.std))
        phrasings = [self.generator.phrasings(text) for text in texts]
        with self._stage('similarity'):
            flat = [phrasing for own in phrasings for phrasing in own]
            features = [
                model.text_features(flat[i : i + self.batch_size]) for i in range(0, len(flat), self.batch_size)
            ]
        starts = np.cumsum([0, *map(len, phrasings[:-1])])

        def score(boxes: np.ndarray) -> np.ndarray:
            similarity = np.empty((len(boxes), len(texts)))
            for first in range(0, len(boxes), self.batch_size):
                part = slice(first, first + self.batch_size)
                with self._stage('cut'):
                    slices = torch.from_numpy(cut_slices(planes, boxes[part], model.image_size))
                with self._stage('similarity'):
                    images = model.image_features((slices.to(device).float() - mean) / std)
                    columns = [model.similarity(images, own).float() for own in features]
                    each = torch.cat(columns, 1).cpu().numpy().astype(np.float64)
                    similarity[part] = np.add.reduceat(each, starts, axis=1) / list(map(len, phrasings))
            for text, column in zip(texts, similarity.T):
                if not np.isfinite(column).all():
                    raise DataError(
                        f'{type(model).__name__} gives "{text}" a similarity that is not finite; check its checkpoint'
                    )
            return similarity

        return score

    def _tell_of_one_slice(self, size: tuple[int, int]) -> None:
        if size not in self._told:
            self._told.add(size)
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

    @staticmethod
    def adapt_weights(weights: dict) -> dict:
        """Weights by our names from those of a checkpoint, which may be of the retrieval model itself."""
        ours = any(name.startswith('retrieval.') for name in weights)
        return weights if ours else {f'retrieval.{name}': value for name, value in weights.items()}

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.stage_seconds[name] += time.perf_counter() - start


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
