"""Networks that fuse images and queries pair by pair, and leave the answer to a head."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from xemap.errors import ConfigError, DataError
from xemap.models.localizers.base import NetworkLocalizer
from xemap.structures import Answers, XeMapDataSample


class FusingLocalizer(NetworkLocalizer):
    """A network of two halves: :meth:`fuse` gives what the head takes, the head gives losses and answers.

    A subclass sets ``head``, a :class:`~xemap.models.heads.Head`, which decides the form of the answers.
    """

    head: Any

    @property
    def form(self) -> str:  # type: ignore[override]
        return self.head.form

    @abstractmethod
    def fuse(self, inputs: Tensor, texts: Sequence[Sequence[str]], max_pairs: int | None = None) -> Iterator[Any]:
        """Encode images and texts once each, and fuse them pair by pair.

        Args:
            inputs: (B, 3, H, W) normalized images.
            texts: the queries of each image, at least one in all.
            max_pairs: most pairs fused at a time; None = all.

        Yields:
            what the head takes of the next pairs, in the order of the queries. Its ``counts`` says how many of them
            belong to each of the B images.
        """

    def loss(self, inputs: Tensor, data_samples: list[XeMapDataSample]) -> dict[str, Tensor]:
        """Losses of all pairs of a batch, see :meth:`losses`.

        Raises:
            DataError: there is no pair.
        """
        if not any(sample.texts for sample in data_samples):
            raise DataError('a training batch without any query; leave images without queries out of the data set')
        (fused,) = self.fuse(inputs, [sample.texts for sample in data_samples])
        return self.losses(fused, data_samples)

    def losses(self, fused: Any, data_samples: list[XeMapDataSample]) -> dict[str, Tensor]:
        """Losses by name; a subclass may add its own to those of the head."""
        return self.head.loss(fused, data_samples)

    def predict(self, inputs: Tensor, data_samples: list[XeMapDataSample]) -> list[Answers]:
        """Answers of the head to at most ``max_pairs`` pairs at a time."""
        parts: list[list[Answers]] = [[] for _ in data_samples]
        for fused in self.fuse(inputs, [sample.texts for sample in data_samples], self.max_pairs):
            for collected, part in zip(parts, self.head.predict(fused, data_samples)):
                collected += [part] if len(part) else []
        return [Answers.join(collected) for collected in parts]

    def tensor(self, inputs: Tensor, data_samples: list[XeMapDataSample]) -> Any:
        """Raw output of the head for all pairs, in the samples' order."""
        (fused,) = self.fuse(inputs, [sample.texts for sample in data_samples])
        return self.head(fused)


def instance_norm(features: Tensor) -> Tensor:
    """Each channel of (N, C, H, W) with mean 0 and variance 1 over its cells.

    Raises:
        ConfigError: there is a single cell.
    """
    if tuple(features.shape[-2:]) == (1, 1):
        raise ConfigError(
            'the last stage has a single cell of this input, too few to normalize over; set the size of ResizeImage to '
            'at least 64 x 32 pixels'
        )
    return F.instance_norm(features)
