"""A linear probe of text vectors: which words of a query can be read from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from xemap.models.heads import TEXT_POOLINGS
from xemap.models.text_encoders import HuggingFaceTextEncoder
from xemap.structures import ImageRecord, Query

LEAST = 8
"""Queries that a wording needs in training to count as a class."""
PENALTY = 1e-3
"""Factor of the squared weights."""
ATTRIBUTE = 'attribute'


def aspects(query: Query) -> dict[str, str]:
    """What a probe is to read from a query: ``target`` (its category) and the wordings of the conditions it needs.

    Those are ``relation`` (without its anchor), ``place``, ``superlative``, ``anchor`` and, for all others,
    ``attribute``.
    """
    wordings = {} if query.category is None else {'target': query.category}
    for name, words in query.needed or ():
        if name == 'relation':
            wordings[name] = words.split(' the ')[0]
        else:
            wordings[name if name in ('place', 'superlative', 'anchor') else ATTRIBUTE] = words
    return wordings


def probe_texts(
    encode: Callable[[Sequence[str]], Tensor], train: Iterable[Query], test: Iterable[Query]
) -> dict[str, dict[str, Any]]:
    """Accuracy of a linear classifier of text vectors, by aspect.

    Args:
        encode: gives texts (N) a vector each, (N, C) float.
        train, test: queries to fit and to test the classifiers; those of a wording with fewer than :data:`LEAST`
            queries in training do not count.

    Returns:
        by aspect (see :func:`aspects`) ``accuracy``, ``majority`` (share of the most frequent class in the test, what
        a classifier without any text reaches), ``classes`` and ``queries`` (in the test).
    """
    train, test = list(train), list(test)
    vectors: dict[str, Tensor] = {}
    for queries in (train, test):
        texts = list(dict.fromkeys(query.text for query in queries))
        vectors |= dict(zip(texts, encode(texts)))
    results = {}
    for aspect in dict.fromkeys(name for query in train for name in aspects(query)):
        counts = Counter(label for query in train if (label := aspects(query).get(aspect)))
        classes = {label: index for index, label in enumerate(name for name, n in counts.items() if n >= LEAST)}
        (x, y), (x_test, y_test) = (_of_classes(queries, aspect, classes, vectors) for queries in (train, test))
        if len(classes) < 2 or not len(y_test):
            continue
        mean, spread = x.mean(0), x.std(0) + 1e-6
        logits = _fit((x - mean) / spread, y, len(classes))((x_test - mean) / spread)
        results[aspect] = {
            'accuracy': float((logits.argmax(1) == y_test).float().mean()),
            'majority': float(y_test.bincount().max() / len(y_test)),
            'classes': len(classes),
            'queries': len(y_test),
        }
    return results


@torch.no_grad()
def mean_states(encoder: HuggingFaceTextEncoder, texts: Sequence[str], batch_size: int = 64) -> Tensor:
    """Mean of the states of each text's tokens; (N, C)."""
    means = []
    for start in range(0, len(texts), batch_size):
        hidden, padding = encoder(list(texts[start : start + batch_size]))
        means.append(TEXT_POOLINGS.get('mean')(hidden, padding))
    return torch.cat(means)


def probe_encoder(name: str, train: Iterable[ImageRecord], test: Iterable[ImageRecord]) -> dict[str, dict[str, Any]]:
    """:func:`probe_texts` of the queries of images, by the mean states of a text encoder.

    Args:
        name: name of the encoder, see :class:`~xemap.models.text_encoders.HuggingFaceTextEncoder`.
        train, test: images with queries.
    """
    encoder = HuggingFaceTextEncoder(name).eval()
    queries = ([query for record in records for query in record.queries] for records in (train, test))
    return probe_texts(lambda texts: mean_states(encoder, texts), *queries)


def _of_classes(
    queries: Sequence[Query], aspect: str, classes: dict[str, int], vectors: dict[str, Tensor]
) -> tuple[Tensor, Tensor]:
    known = [(query.text, classes[label]) for query in queries if (label := aspects(query).get(aspect)) in classes]
    labels = torch.tensor([label for _, label in known], dtype=torch.long)
    return (torch.stack([vectors[text] for text, _ in known]) if known else torch.zeros(0, 1)), labels


def _fit(x: Tensor, y: Tensor, classes: int) -> Callable[[Tensor], Tensor]:
    """Logistic regression with a penalty on its weights; its loss is convex, so the start does not matter."""
    weight = torch.zeros(x.shape[1], classes, requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=60, line_search_fn='strong_wolfe')

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(x @ weight + bias, y) + PENALTY * weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return lambda inputs: (inputs @ weight + bias).detach()
