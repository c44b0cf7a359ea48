"""What every model that answers queries about images has in common.

:class:`Localizer` is the whole contract of inference, comparison, export, pictures and the web page. A localizer of
somebody else gives ``form`` and ``localize``. :class:`NetworkLocalizer` is for one that trains in MMEngine.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseDataPreprocessor, BaseModel
from torch import Tensor

from xemap.errors import ConfigError
from xemap.models.checkpoint import AdaptsWeights
from xemap.models.freezing import freeze, keep_frozen_in_eval
from xemap.models.localizers.contract import checked, no_answers
from xemap.registry import MODELS, TRANSFORMS
from xemap.structures import FORMS, Answers, PolygonRegion, Query, XeMapDataSample

PROBES = ((48, 64, 3), (64, 48, 3))
"""Shapes of the images by which a pipeline shows whether it brings all images to one size."""


@MODELS.register_module()
class RawImages(BaseDataPreprocessor):
    """Leaves images as they are: uint8, of any sizes, on the CPU.

    A large image never reaches the device or becomes float as a whole; what a localizer cuts out of it does.
    """

    def forward(self, data: dict, training: bool = False) -> dict:
        return data


class Localizer(BaseModel, AdaptsWeights):
    """Answers queries about images of any size.

    A subclass gives ``form`` and :meth:`localize`, and nothing else. Around its ``localize`` stands what the
    contract promises: arguments are checked, the module is in eval mode and builds no graph, images without queries
    do not reach it, and it must return the right number of answers of the right form.

    ``stage_seconds`` is the time that the stages of the model took since it was built or :meth:`reset_stage_seconds`
    was called, for a model that measures them with :meth:`stage`.

    Args:
        data_preprocessor: as in MMEngine; default :class:`RawImages`.
        init_cfg: as in MMEngine.
    """

    form: ClassVar[str]
    """What it predicts: ``'map'``, ``'mask'`` or ``'box'``."""

    stages: ClassVar[tuple[str, ...]] = ()
    """Names of the stages it measures."""

    def __init__(self, data_preprocessor: dict | None = None, init_cfg: dict | None = None) -> None:
        # Built here: MMEngine would look for it in its own registry, whatever the scope.
        super().__init__(MODELS.build(data_preprocessor or dict(type='RawImages')), init_cfg)
        form = getattr(type(self), 'form', None)
        if form not in FORMS and not isinstance(form, property):  # a head's, which is built later
            raise ConfigError(f'{type(self).__name__}: its form is {form!r}; use one of {", ".join(FORMS)}')
        self.stage_seconds: dict[str, float] = dict.fromkeys(self.stages, 0.0)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if 'localize' in vars(cls):
            cls.localize = checked(vars(cls)['localize'])  # type: ignore[method-assign]

    @abstractmethod
    def localize(self, images: Sequence[np.ndarray], texts: Sequence[Sequence[str]]) -> list[Answers]:
        """Answer queries.

        Args:
            images: B images, (H, W, 3) uint8 RGB, each of any size.
            texts: the queries of each image.

        Returns:
            B :class:`~xemap.structures.Answers` in the images' own frames; those of maps and masks may have any
            resolution.

        Raises:
            ConfigError: arguments or answers that do not fit.
        """

    @property
    def input_size(self) -> tuple[int, int] | None:
        """(height, width) that images are brought to; None = each is taken at its own size."""
        return None

    @property
    def stride(self) -> int:
        """The smallest side, in pixels, of an image that the model can see something in."""
        return 1

    @property
    def scored(self) -> bool:
        """Whether the scores of its boxes tell which of several is the better one, as windows of one image need."""
        return True

    def forward(self, inputs: Sequence[Tensor] | Tensor, data_samples: list[XeMapDataSample], mode: str = 'predict'):
        """Run on a batch of MMEngine.

        Args:
            inputs: B images (3, H, W) uint8 RGB.
            data_samples: B samples with ``texts``.
            mode: ``'predict'``: set ``answers`` of the samples and return them.

        Raises:
            ConfigError: another mode.
        """
        if mode == 'loss':
            raise ConfigError(f'{type(self).__name__} does not train; test it, or train the model that it is made of')
        if mode != 'predict':
            raise ConfigError(f'mode "{mode}" is unknown to {type(self).__name__}; use "predict"')
        images = [np.ascontiguousarray(image.cpu().numpy().transpose(1, 2, 0)) for image in inputs]
        for sample, answers in zip(data_samples, self.localize(images, [sample.texts for sample in data_samples])):
            sample.answers = answers
        return data_samples

    def reset_stage_seconds(self) -> None:
        """Start counting the stages' times anew."""
        self.stage_seconds = dict.fromkeys(self.stages, 0.0)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of a block to one of the stages."""
        start = time.perf_counter()
        yield
        self.stage_seconds[name] += time.perf_counter() - start


class NetworkLocalizer(Localizer):
    """A localizer that is one network and trains.

    A subclass gives :meth:`loss`, :meth:`predict` and, where it has a meaning, :meth:`tensor`. Its :meth:`localize` is
    the config's test pipeline, the data preprocessor and :meth:`predict`, one after another: what a test sees is what
    inference sees.

    Args:
        max_pairs: most (image, query) pairs in a batch of :meth:`localize`, and most that a subclass should fuse at a
            time; memory follows it, answers do not.
        data_preprocessor: normalization; default :class:`mmengine.model.ImgDataPreprocessor` without any.
        init_cfg: as in MMEngine.

    Raises:
        ConfigError: ``max_pairs`` below 1.
    """

    frozen: tuple[str, ...] = ()
    """Names of parts that do not train, see :meth:`freeze`."""

    def __init__(
        self, max_pairs: int = 16, data_preprocessor: dict | None = None, init_cfg: dict | None = None
    ) -> None:
        super().__init__(data_preprocessor or dict(type='ImgDataPreprocessor'), init_cfg)
        if max_pairs < 1:
            raise ConfigError(f'max_pairs is {max_pairs}; give at least 1 pair to be fused at a time')
        self.max_pairs = max_pairs
        self._pipeline: list[Callable[[dict], Any]] = []
        self.set_pipeline([dict(type='PackXeMapInputs')])

    def freeze(self, names: Iterable[str]) -> None:
        """Let parts not train: they take no gradient and stay in eval mode.

        Args:
            names: one dotted name or several, see :func:`~xemap.models.freezing.find_part`.

        Raises:
            ConfigError: a name that is no part.
        """
        self.frozen = freeze(self, names)
        self.train(self.training)

    def train(self, mode: bool = True) -> NetworkLocalizer:
        """Switch the mode of everything that is not frozen."""
        super().train(mode)
        keep_frozen_in_eval(self, self.frozen)
        return self

    def set_pipeline(self, steps: Sequence[dict | Callable]) -> None:
        """Say how an image becomes an input.

        Args:
            steps: the steps of the config's test pipeline, from behind the step that reads the image to the packing.
        """
        self._pipeline = [TRANSFORMS.build(step) if isinstance(step, dict) else step for step in steps]
        self.__dict__.pop('input_size', None)

    @cached_property
    def input_size(self) -> tuple[int, int] | None:
        # Whatever the steps are called: what do they make of two images of different shape?
        sizes = {tuple(self._packed(np.zeros(shape, np.uint8), [])['inputs'].shape[-2:]) for shape in PROBES}
        return sizes.pop() if len(sizes) == 1 else None

    def localize(self, images: Sequence[np.ndarray], texts: Sequence[Sequence[str]]) -> list[Answers]:
        answers: list[Answers] = []
        group: list[dict] = []
        for image, queries in zip(images, texts):
            packed = self._packed(image, queries)
            pairs = sum(len(other['data_samples'].texts) for other in group) + len(queries)
            if group and (pairs > self.max_pairs or packed['inputs'].shape != group[0]['inputs'].shape):
                answers += self._predicted(group)
                group = []
            group.append(packed)
        return answers + self._predicted(group)

    def forward(self, inputs: Any, data_samples: list[XeMapDataSample], mode: str = 'tensor'):
        """Run on a batch.

        Args:
            inputs: (B, 3, H, W) normalized images of one size.
            data_samples: B samples with ``texts``, in mode ``'loss'`` with targets.
            mode: ``'loss'`` -> dict of losses; ``'predict'`` -> the samples with ``answers``, in the images' own
                frames; ``'tensor'`` -> what :meth:`tensor` gives.

        Raises:
            ConfigError: images of several sizes in the batch, or an unknown mode.
        """
        _check_one_size(inputs, data_samples)
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode == 'tensor':
            return self.tensor(inputs, data_samples)
        if mode != 'predict':
            raise ConfigError(f'mode "{mode}" is unknown; use "tensor", "loss" or "predict"')
        with_queries = [i for i, sample in enumerate(data_samples) if sample.texts]
        size = (inputs.shape[-2], inputs.shape[-1])
        predicted: dict[int, Answers] = {}
        if with_queries:
            seen = inputs if len(with_queries) == len(inputs) else inputs[with_queries]
            predicted = dict(zip(with_queries, self.predict(seen, [data_samples[i] for i in with_queries])))
        for i, sample in enumerate(data_samples):
            answers = predicted[i] if i in predicted else no_answers(self.form, size)
            x0, y0, x1, y1 = sample.metainfo.get('content', (0, 0, size[1], size[0]))
            sample.answers = (
                answers if (x0, y0, x1, y1) == (0, 0, size[1], size[0]) else answers.crop(x0, y0, x1, y1, size)
            )
        return data_samples

    @abstractmethod
    def loss(self, inputs: Tensor, data_samples: list[XeMapDataSample]) -> dict[str, Tensor]:
        """Losses of a batch, arguments as :meth:`forward`; averaged over the pairs of all ranks."""

    @abstractmethod
    def predict(self, inputs: Tensor, data_samples: list[XeMapDataSample]) -> Sequence[Answers]:
        """Answers to a batch in the frame of the network's input, one for each sample; each has at least one query."""

    def tensor(self, inputs: Tensor, data_samples: list[XeMapDataSample]) -> Any:
        """Raw output for a batch."""
        raise ConfigError(f'{type(self).__name__} has no mode "tensor"; use "predict" or "loss"')

    def _packed(self, image: np.ndarray, texts: Sequence[str]) -> dict:
        """Input and sample of one image, as a data set with the same pipeline gives them."""
        results: dict[str, Any] = {
            'img': image,
            'img_shape': image.shape[:2],
            'ori_shape': image.shape[:2],
            'queries': [Query(text, PolygonRegion([])) for text in texts],
            'rng': np.random.default_rng(0),
        }
        for step in self._pipeline:
            results = step(results)
        return results

    def _predicted(self, group: list[dict]) -> list[Answers]:
        if not group:
            return []
        return [sample.answers for sample in self.test_step(pseudo_collate(group))]


def _check_one_size(inputs: Tensor, data_samples: list[XeMapDataSample]) -> None:
    size = (inputs.shape[-2], inputs.shape[-1])
    for sample in data_samples:
        if tuple(sample.metainfo.get('img_shape', size)) != size:
            raise ConfigError(
                f'images of different sizes in one batch ({tuple(sample.img_shape)} and {size}, height x width); '
                'let the pipeline resize them to one size, or use a batch of one image'
            )
