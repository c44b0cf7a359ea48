"""Text encoders over words: a GRU and a convolution. A text's result does not depend on its batch."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from xemap.errors import CheckpointError, ConfigError, DataError
from xemap.models.checkpoint import AdaptsWeights
from xemap.models.retrieval.vocabulary import PAD, SPECIAL, STOP_WORDS, UNKNOWN, Vocabulary

REPORTS = 10
"""Lines about unknown words that a model writes; a validation would fill the log with them."""


class WordEmbedding(nn.Module, AdaptsWeights):
    """A vocabulary and a vector for each of its words.

    The vocabulary is saved with the weights (as JSON in a uint8 tensor, which every safe reader takes),
    and loading replaces the config's vocabulary by the checkpoint's: words and vectors belong
    together.

    Args:
        vocabulary: a :class:`Vocabulary`; or arguments of :meth:`Vocabulary.from_file`; None, or a file that
            is not there, leaves it empty until a checkpoint brings one.
        width: width of the vectors.

    Raises:
        ConfigError: unknown arguments of the vocabulary.
        DataError: the captions file is broken.
    """

    def __init__(self, vocabulary: Vocabulary | Mapping[str, Any] | None, width: int) -> None:
        super().__init__()
        self._source = 'none is configured'
        if vocabulary is None:
            vocabulary = Vocabulary()
        elif not isinstance(vocabulary, Vocabulary):
            vocabulary = self._from_config(dict(vocabulary))
        self.vocabulary = vocabulary
        self.weight = nn.Parameter(torch.empty(len(vocabulary), width))
        nn.init.uniform_(self.weight, -0.1, 0.1)
        with torch.no_grad():
            self.weight[PAD] = 0
        self._reported: set[str] = set()
        self._warned: set[str] = set()
        self._reports = 0

    def _from_config(self, config: dict[str, Any]) -> Vocabulary:
        known = {'ann_file', 'split', 'min_count', 'drop_stop_words'}
        if 'ann_file' not in config or set(config) - known:
            raise ConfigError(f'vocabulary={config!r}: give ann_file and, of {", ".join(sorted(known))}, what differs')
        if not Path(config['ann_file']).is_file():
            self._source = f'captions file {config["ann_file"]} does not exist'
            return Vocabulary()
        return Vocabulary.from_file(**config)

    def forward(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Vectors of the words of T texts.

        Returns:
            (T, L, width), zero after a text's end, with L the longest text's number of words; and the
            numbers of words (T,) int64 on the CPU, at least 1.

        Raises:
            DataError: an empty text.
            ConfigError: the vocabulary is empty.
        """
        if not self.vocabulary.words:
            raise ConfigError(
                f'the vocabulary is empty: {self._source}; load a checkpoint, which brings its vocabulary, or, to '
                'train, set model.vocabulary.ann_file to the training captions'
            )
        for text in texts:
            if not text.strip():
                raise DataError(f'query {text!r} is empty; remove it or give it words')
        rows = [self.vocabulary.encode(text) for text in texts]
        if not self.training:
            self._report(texts, rows)
        lengths = torch.tensor([len(row) for row in rows])
        indices = torch.full((len(rows), int(lengths.max())), PAD)
        for i, row in enumerate(rows):
            indices[i, : len(row)] = torch.tensor(row)
        return F.embedding(indices.to(self.weight.device), self.weight, padding_idx=PAD), lengths

    def _report(self, texts: list[str], rows: list[list[int]]) -> None:
        new: dict[str, None] = {}
        for text, row in zip(texts, rows):
            unknown = self.vocabulary.unknown_words(text)
            words = ' '.join(sorted(unknown))  # SeLo v2 gives the words in several orders
            if set(row) == {UNKNOWN} and words not in self._warned:
                self._warned.add(words)
                print_log(
                    f'query "{text[:60]}" has no word of the vocabulary of {len(self.vocabulary.words)} words: its '
                    'vector is that of unknown words and says nothing about it; use other words',
                    logger='current',
                    level=logging.WARNING,
                )
            dropped = STOP_WORDS if self.vocabulary.drop_stop_words else frozenset()
            new.update(dict.fromkeys(word for word in unknown if word not in dropped and word not in self._reported))
        if new and self._reports < REPORTS:
            self._reports += 1
            self._reported.update(new)
            shown = ', '.join(list(new)[:12])
            last = '; further ones are not reported' if self._reports == REPORTS else ''
            print_log(f'{len(new)} unknown words: {shown}{", …" if len(new) > 12 else ""}{last}', logger='current')

    # Saving and loading

    def get_extra_state(self) -> Tensor:
        """The vocabulary, (bytes,) uint8."""
        return torch.frombuffer(bytearray(self.vocabulary.to_bytes()), dtype=torch.uint8).clone()

    def set_extra_state(self, state: Tensor) -> None:
        """Take on a saved vocabulary.

        Raises:
            CheckpointError: it is damaged, or has another number of words than there are vectors.
        """
        self.vocabulary = _saved_vocabulary(state, self.weight)

    def take_sizes(self, weights: Mapping[str, Any], prefix: str = '') -> None:
        """Make room for a checkpoint's vocabulary before its names and shapes are compared.

        The parameter stays the same object, since an optimizer may hold it.

        Args:
            weights: weights of the whole model, by name.
            prefix: prefix of this module in it.

        Raises:
            CheckpointError: vocabulary and vectors in it do not fit each other.
        """
        state, vectors = weights.get(f'{prefix}_extra_state'), weights.get(f'{prefix}weight')
        if not isinstance(state, Tensor) or not isinstance(vectors, Tensor):
            return
        vocabulary = _saved_vocabulary(state, vectors)
        if vocabulary == self.vocabulary:
            return
        if self.vocabulary.words:
            lost = len(set(self.vocabulary.words) - set(vocabulary.words))
            print_log(
                f"the checkpoint's vocabulary of {len(vocabulary.words)} words replaces the config's of "
                f'{len(self.vocabulary.words)}, of which {lost} are unknown to it',
                logger='current',
                level=logging.WARNING,
            )
        self.vocabulary = vocabulary
        self.weight.data = self.weight.new_zeros(len(vocabulary), self.weight.shape[1])

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs) -> None:
        self.take_sizes(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _saved_vocabulary(state: Tensor, vectors: Tensor) -> Vocabulary:
    vocabulary = Vocabulary.from_bytes(state.cpu().numpy().tobytes())
    if len(vocabulary) != len(vectors):
        raise CheckpointError(
            f'the checkpoint has {len(vectors)} word vectors for a vocabulary of {len(vocabulary)} '
            f'({len(SPECIAL)} of them special); it is damaged'
        )
    return vocabulary


class WordGRU(nn.Module):
    """Word vectors through a GRU.

    Args:
        vocabulary: see :class:`WordEmbedding`.
        word_dim: width of the word vectors.
        width: width of the states.
        bidirectional: average the states of both directions.
    """

    def __init__(
        self,
        vocabulary: Vocabulary | Mapping[str, Any] | None,
        word_dim: int,
        width: int,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        self.words = WordEmbedding(vocabulary, word_dim)
        self.rnn = nn.GRU(word_dim, width, batch_first=True, bidirectional=bidirectional)

    def forward(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """States after every word (T, L, width), zero after a text's end, and numbers of words (T,)."""
        states, lengths, _ = self._run(texts)
        return states, lengths

    def last(self, texts: list[str]) -> Tensor:
        """States after the last word (T, width)."""
        return self._run(texts)[2]

    def _run(self, texts: list[str]) -> tuple[Tensor, Tensor, Tensor]:
        vectors, lengths = self.words(texts)
        packed = pack_padded_sequence(vectors, lengths, batch_first=True, enforce_sorted=False)
        states, last = self.rnn(packed)
        states, _ = pad_packed_sequence(states, batch_first=True)
        if self.rnn.bidirectional:
            states = states.unflatten(-1, (2, -1)).mean(-2)
        return states, lengths, last.mean(0)


class TextCNN(nn.Module):
    """Convolutions over 3, 4 and 5 words, the maximum of each over the text, and a linear layer.

    Texts shorter than the longest window are filled up to it with zero vectors; windows beyond that are
    left out, so that padding to a longer text changes nothing.

    Args:
        vocabulary: see :class:`WordEmbedding`.
        word_dim: width of the word vectors.
        channels: number of channels of each convolution.
        out_dim: width of the result.
        windows: numbers of words.
    """

    def __init__(
        self,
        vocabulary: Vocabulary | Mapping[str, Any] | None,
        word_dim: int = 300,
        channels: int = 100,
        out_dim: int = 512,
        windows: tuple[int, ...] = (3, 4, 5),
    ) -> None:
        super().__init__()
        self.words = WordEmbedding(vocabulary, word_dim)
        self.convs = nn.ModuleList(nn.Conv1d(word_dim, channels, window) for window in windows)
        self.fc = nn.Linear(channels * len(windows), out_dim)
        self.windows = tuple(windows)

    def forward(self, texts: list[str]) -> Tensor:
        """(T, out_dim)."""
        vectors, lengths = self.words(texts)
        shortest = max(self.windows)
        vectors = F.pad(vectors, (0, 0, 0, max(0, shortest - vectors.shape[1]))).transpose(1, 2)
        lengths = lengths.clamp(min=shortest).to(vectors.device)
        strongest = []
        for window, conv in zip(self.windows, self.convs):
            activity = conv(vectors).relu()
            starts = torch.arange(activity.shape[-1], device=vectors.device)
            beyond = starts > (lengths - window)[:, None]
            # The activity is at least 0, so 0 is below every real one.
            strongest.append(activity.masked_fill(beyond[:, None], 0).amax(-1))
        return self.fc(torch.cat(strongest, 1))
