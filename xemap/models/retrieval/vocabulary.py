"""Words as numbers: the vocabulary of the models that read words (AMFMN, LW-MCR, VSE++, SCAN)."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

from xemap.errors import CheckpointError, ConfigError
from xemap.structures.captions import caption_texts

PAD, UNKNOWN = 0, 1
"""Indices of ``<pad>``, which fills up shorter texts, and of ``<unk>``, which stands for every other word."""
SPECIAL = ('<pad>', '<unk>')

MIN_COUNT = 5
"""The reference keeps words that its training captions have at least this often."""

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")

STOP_WORDS = frozenset(
    """i me my myself we our ours ourselves you you're you've you'll you'd your yours yourself yourselves he him his
    himself she she's her hers herself it it's its itself they them their theirs themselves what which who whom this
    that that'll these those am is are was were be been being have has had having do does did doing a an the and but if
    or because as until while of at by for with about against between into through during before after above below to
    from up down in out on off over under again further then once here there when where why how all any both each few
    more most other some such no nor not only own same so than too very s t can will just don don't should should've
    now d ll m o re ve y ain aren aren't couldn couldn't didn didn't doesn doesn't hadn hadn't hasn hasn't haven haven't
    isn isn't ma mightn mightn't mustn mustn't needn needn't shan shan't shouldn shouldn't wasn wasn't weren weren't won
    won't wouldn wouldn't""".split()  # noqa: SIM905  (a literal would take a page)
)
"""NLTK's English list, which the reference leaves out. It holds "between", "above", "below", "in" and "no"."""


def split_words(text: str) -> list[str]:
    """Lower-case words of a text in order; hyphens and apostrophes stay within words, other marks go."""
    return _WORD.findall(text.lower().replace('’', "'"))


class Vocabulary:
    """Words and their indices; 0 is padding, 1 stands for every unknown word.

    Args:
        words: the known words in order of their indices, from 2 on; lower case, each once.
        drop_stop_words: whether :data:`STOP_WORDS` were left out on purpose, and so are not worth a report.

    Raises:
        ConfigError: a word is there twice.
    """

    def __init__(self, words: Iterable[str] = (), drop_stop_words: bool = False) -> None:
        self.words = tuple(words)
        self.drop_stop_words = drop_stop_words
        if len(self._index) != len(self.words):
            twice = next(word for word, count in Counter(self.words).items() if count > 1)
            raise ConfigError(f'vocabulary: the word "{twice}" is there twice; give each once')

    @classmethod
    def from_captions(
        cls, captions: Iterable[str], min_count: int = MIN_COUNT, drop_stop_words: bool = False
    ) -> Vocabulary:
        """The words of captions, most frequent first, equally frequent ones in alphabetical order.

        Args:
            captions: training captions.
            min_count: leave out rarer words.
            drop_stop_words: leave out :data:`STOP_WORDS`, as the reference does.
        """
        counts = Counter(word for caption in captions for word in split_words(caption))
        kept = [w for w, n in counts.items() if n >= min_count and not (drop_stop_words and w in STOP_WORDS)]
        return cls(sorted(kept, key=lambda word: (-counts[word], word)), drop_stop_words)

    @classmethod
    def from_file(
        cls, ann_file: str | Path, split: str = 'train', min_count: int = MIN_COUNT, drop_stop_words: bool = False
    ) -> Vocabulary:
        """The words of one split of a captions file, see :func:`xemap.structures.captions.load_captions`."""
        return cls.from_captions(caption_texts(ann_file, split), min_count, drop_stop_words)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.words, start=len(SPECIAL))}

    def __len__(self) -> int:
        """Number of indices, the two special ones included."""
        return len(self.words) + len(SPECIAL)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.state() == other.state()

    def encode(self, text: str) -> list[int]:
        """Indices of the words of a text, at least one: a text without any word is one unknown word."""
        return [self._index.get(word, UNKNOWN) for word in split_words(text)] or [UNKNOWN]

    def unknown_words(self, text: str) -> list[str]:
        """Words of a text that all become ``<unk>``, in order, stop words included."""
        return [word for word in split_words(text) if word not in self._index]

    def unknown_share(self, texts: Sequence[str]) -> float:
        """Share of the words of texts that are unknown, in [0, 1]; 0 where there is no word."""
        total = sum(len(split_words(text)) for text in texts)
        return sum(len(self.unknown_words(text)) for text in texts) / total if total else 0.0

    def state(self) -> dict:
        """What is saved: a dictionary that JSON can hold."""
        return {'words': list(self.words), 'drop_stop_words': self.drop_stop_words}

    @classmethod
    def from_bytes(cls, content: bytes) -> Vocabulary:
        """The vocabulary that :meth:`to_bytes` wrote.

        Raises:
            CheckpointError: it did not.
        """
        try:
            state = json.loads(content)
            words, dropped = state['words'], state['drop_stop_words']
            if not (isinstance(words, list) and all(isinstance(word, str) for word in words)):
                raise TypeError('words are no list of strings')
            return cls(words, bool(dropped))
        except (ValueError, KeyError, TypeError, ConfigError) as error:
            raise CheckpointError(f'the vocabulary in the checkpoint is damaged ({error}); train it again') from error

    def to_bytes(self) -> bytes:
        """The vocabulary as JSON in UTF-8."""
        return json.dumps(self.state(), ensure_ascii=False).encode()
