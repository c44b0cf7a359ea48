from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.retrieval.conftest import TEXTS, build, images, samples
from xemap.models.retrieval import camp
from xemap.models.retrieval.base import unit
from xemap.models.retrieval.camp import MessagePassing
from xemap.structures import PolygonRegion, Query

WIDTH = 6


def network(seed: int = 0) -> MessagePassing:
    torch.manual_seed(seed)
    model = MessagePassing(WIDTH)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    return model.double()


def features(count: int, regions: int, lengths: list[int], seed: int):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return unit(torch.randn(*shape, WIDTH, generator=generator, dtype=torch.float64))

    return draw(count, regions), [draw(length) for length in lengths]


def slow(model: MessagePassing, pictures, texts) -> torch.Tensor:
    """One image, one text, one region and one word at a time."""
    table = torch.empty(len(pictures), len(texts), dtype=torch.float64)
    root = WIDTH**0.5

    def pooled(items, weigh):
        weights = torch.stack([weigh(item)[0] / root for item in items]).softmax(0)
        return sum(weight * item for weight, item in zip(weights, items))

    def fused(feature, message, transform):
        gate = torch.sigmoid(feature * message)
        return feature + torch.relu(transform(gate * (feature + message)))

    for n, regions in enumerate(pictures):
        for t, words in enumerate(texts):
            rows = [[model.project_regions(r) @ model.project_words(w) / root for w in words] for r in regions]
            affinity = torch.stack([torch.stack(row) for row in rows])
            image = [
                fused(r, sum(a * w for a, w in zip(affinity[i].softmax(0), words)), model.fuse_regions)
                for i, r in enumerate(regions)
            ]
            text = [
                fused(w, sum(a * r for a, r in zip(affinity[:, j].softmax(0), regions)), model.fuse_words)
                for j, w in enumerate(words)
            ]
            table[n, t] = model.score(pooled(image, model.weigh_regions) + pooled(text, model.weigh_words))[0]
    return table


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 3), st.integers(1, 4), st.lists(st.integers(1, 5), min_size=1, max_size=3), st.integers(0, 2**31))
def test_equals_the_slow_reference(count, regions, lengths, seed):
    model = network()
    pictures, texts = features(count, regions, lengths, seed)
    with torch.no_grad():
        torch.testing.assert_close(model(pictures, texts), slow(model, pictures, texts))


def test_chunks_change_neither_logits_nor_gradients(monkeypatch):
    model = network()
    pictures, texts = features(3, 4, [2, 5, 1], 0)
    results = []
    for chunk in (camp.CHUNK, 1, 130):  # all at once, single pairs, two
        monkeypatch.setattr(camp, 'CHUNK', chunk)
        logits = model(pictures, texts)
        results.append((logits, *torch.autograd.grad(logits.sin().sum(), list(model.parameters()))))
    for other in results[1:]:
        for one, two in zip(results[0], other):
            torch.testing.assert_close(one, two)


def test_the_metric_compares_with_the_models_weights():
    """What the metric gets from samples of several batches is what the model says of all at once."""
    from xemap.evaluation.metrics.retrieval import RetrievalMetric

    model = build('CAMP')
    metric = RetrievalMetric()
    with torch.no_grad():
        for i in range(4):
            (predicted,) = model(images(4)[i : i + 1], samples([[TEXTS[i]]], [i]), mode='predict')
            query = Query(TEXTS[i], PolygonRegion([]))
            metric.process(None, [{**predicted.to_dict(), 'queries': [query], 'source': 'a'}])
        features = torch.stack([row[2] for row in metric.results])
        table = predicted.compare(features, [text for row in metric.results for text in row[3]])
        expected = model.similarity(model.image_features(images(4)), model.text_features(TEXTS))
    torch.testing.assert_close(table, expected, atol=1e-5, rtol=0)
    assert expected.std() > 0 and expected.min() > 0 and expected.max() < 1
    assert metric.evaluate(4)['images'] == 4


@pytest.mark.parametrize('pooled', ['encode_images', 'encode_texts'])
def test_single_vectors_are_means(pooled):
    model = build('CAMP')
    with torch.no_grad():
        if pooled == 'encode_images':
            expected, got = model.image_features(images(2)).mean(1), model.encode_images(images(2))
        else:
            expected = torch.stack([words.mean(0) for words in model.text_features(TEXTS)])
            got = model.encode_texts(TEXTS)
    torch.testing.assert_close(got, unit(expected))
