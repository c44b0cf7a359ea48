"""Modules with tensors only at their borders, as exporters need them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmdet.models.backbones.swin import ShiftWindowMSA
from torch import Tensor, nn

from xemap.export.halves import Halves

TEXT_INPUTS = ('token_ids', 'attention_mask', 'image_idx')
"""One row per query, see :meth:`xemap.export.halves.Halves.answer`; ``image_idx`` says which image it belongs to."""

MAX_EXAMPLE_IMAGES = 3
"""Images of an example: more than one, so that tracers see a batch."""

Axes = dict[int, str]


class ExportModule(nn.Module, ABC):
    """A network or one of its halves.

    Args:
        halves: the network, taken apart.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def __init__(self, halves: Halves) -> None:
        super().__init__()
        self.halves, self.network = halves, halves.network  # the network's parameters become the module's
        self.eval()

    @abstractmethod
    def example(self, texts: Sequence[str]) -> tuple[Tensor, ...]:
        """Inputs made up for these texts; of several images the last is letterboxed, where the network knows that."""

    def axes(self) -> dict[str, Axes]:
        """Names of the axes whose length is free, by input and output."""
        tokens = {} if self.network.language_model.padding == 'max_length' else {1: 'tokens'}
        text = {'token_ids': {0: 'queries'} | tokens, 'attention_mask': {0: 'queries'} | tokens}
        fixed: dict[str, Axes] = dict.fromkeys(self.halves.shared, {})
        by_query = dict.fromkeys(('image_idx', *self.halves.outputs), {0: 'queries'})
        known: dict[str, Axes] = text | fixed | by_query
        return {name: known.get(name, {0: 'images'}) for name in (*self.inputs, *self.outputs)}

    def _images(self, texts: Sequence[str]) -> tuple[Tensor, ...]:
        number, generator = min(len(texts), MAX_EXAMPLE_IMAGES), torch.Generator().manual_seed(len(texts))
        image = torch.randn(number, 3, *self.halves.size, generator=generator)
        if 'padding' not in self.halves.image_inputs:
            return (image,)
        border, padding = self.halves.size[0] // 4, torch.zeros(number, *self.halves.size, dtype=torch.bool)
        if number > 1:
            padding[-1, :border] = padding[-1, -border:] = True
        return image, padding

    def _queries(self, texts: Sequence[str]) -> tuple[Tensor, ...]:
        """Those of the last image come first."""
        image_idx = torch.arange(len(texts)).flip(0) % min(len(texts), MAX_EXAMPLE_IMAGES)
        return (*tokenize(self.network, texts), image_idx)


class WholeNetwork(ExportModule):
    """Answers about several images to any number of tokenized queries.

    Args:
        halves: the network, taken apart.
    """

    def __init__(self, halves: Halves) -> None:
        super().__init__(halves)
        self.inputs, self.outputs = (*halves.image_inputs, *TEXT_INPUTS), halves.outputs

    def example(self, texts: Sequence[str]) -> tuple[Tensor, ...]:
        return (*self._images(texts), *self._queries(texts))

    def forward(self, *given: Tensor) -> Tensor | tuple[Tensor, ...]:
        """What the network answers, :attr:`inputs` -> :attr:`outputs`, both described by its halves."""
        number = len(self.halves.image_inputs)
        return self.halves.answer(self.halves.encode(*given[:number]), *given[number:])


class ImageSide(ExportModule):
    """The part that runs once per image, for all its queries.

    Args:
        halves: the network, taken apart, with tensors between its halves.
    """

    def __init__(self, halves: Halves) -> None:
        super().__init__(halves)
        self.inputs, self.outputs = halves.image_inputs, halves.encoded or ()

    def example(self, texts: Sequence[str]) -> tuple[Tensor, ...]:
        return self._images(texts)

    def forward(self, *image: Tensor) -> tuple[Tensor, ...]:
        """Encode images."""
        return self.halves.encode(*image)


class QuerySide(ExportModule):
    """The part that runs once per query: answers from what :class:`ImageSide` gives.

    Args:
        halves: the network, taken apart, with tensors between its halves.
    """

    def __init__(self, halves: Halves) -> None:
        super().__init__(halves)
        self.inputs, self.outputs = (*(halves.encoded or ()), *TEXT_INPUTS), halves.outputs

    def example(self, texts: Sequence[str]) -> tuple[Tensor, ...]:
        with torch.no_grad():
            return (*self.halves.encode(*self._images(texts)), *self._queries(texts))

    def forward(self, *given: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Answer queries."""
        number = len(self.halves.encoded or ())
        return self.halves.answer(given[:number], *given[number:])


def tokenize(network: Any, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask of texts, each (Q, S) int64, S tokens in the longest text or as the encoder pads."""
    tokens = network.language_model.encoder_inputs(list(texts))
    return tokens['input_ids'], tokens['attention_mask']


@contextmanager
def exportable() -> Iterator[None]:
    """Puts aside what exporters cannot read.

    Swin's own code turns the number of images into a constant, and ONNX has no operator for torch's fused layer of
    self-attention.
    """

    def window_reverse(self: Any, windows: Tensor, height: int, width: int) -> Tensor:
        side = self.window_size
        x = windows.view(-1, height // side, width // side, side, side, windows.shape[-1])
        return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, height, width, windows.shape[-1])

    before, fused = ShiftWindowMSA.window_reverse, torch.backends.mha.get_fastpath_enabled()
    ShiftWindowMSA.window_reverse = window_reverse
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        ShiftWindowMSA.window_reverse = before
        torch.backends.mha.set_fastpath_enabled(fused)
