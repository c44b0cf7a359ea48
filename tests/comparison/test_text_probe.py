from __future__ import annotations

import numpy as np
import torch

from xemap.comparison.text_probe import aspects, mean_states, probe_texts
from xemap.structures import PolygonRegion, Query

REGION = PolygonRegion([np.array([[0, 0], [8, 0], [8, 8]])])


def query(number: int, category: str, relation: str) -> Query:
    return Query(
        f'{number} the {category} {relation} the lake', REGION, category=category,
        needed=(('relation', f'{relation} the lake'),),
    )  # fmt: skip


def test_what_is_read_from_a_query():
    needed = (('relation', 'next to the lake'), ('place', 'on the left'), ('roof', 'red'))
    assert aspects(Query('text', REGION, category='roads', needed=needed)) == {
        'target': 'roads', 'relation': 'next to', 'place': 'on the left', 'attribute': 'red',
    }  # fmt: skip
    assert aspects(Query('text', REGION)) == {}


def test_a_probe_reads_what_vectors_hold_and_no_more():
    rng = np.random.default_rng(0)
    draw = [(str(rng.choice(['roads', 'ships'])), str(rng.choice(['near', 'far from', 'left of']))) for _ in range(400)]
    queries = [query(number, *words) for number, words in enumerate(draw)]
    queries.append(query(400, 'a rare category', 'near'))

    def encode(texts):
        """Vectors that hold the category and nothing of the relation."""
        noise = torch.randn(len(texts), 4, generator=torch.Generator().manual_seed(len(texts)))
        return noise + 8 * torch.tensor([[float('ships' in text), 0, 0, 0] for text in texts])

    results = probe_texts(encode, queries[:300] + queries[-1:], queries[300:])
    assert results['target']['accuracy'] > 0.98 and results['target']['classes'] == 2
    assert results['target']['queries'] == 100  # the rare category is no class
    relation = results['relation']
    assert relation['classes'] == 3 and relation['majority'] < 0.5
    assert abs(relation['accuracy'] - 1 / 3) < 0.2


def test_mean_states_leave_padding_out():
    class Encoder(torch.nn.Module):
        def forward(self, texts):
            lengths = torch.tensor([len(text) for text in texts])
            padding = torch.arange(4) >= lengths[:, None]
            return torch.where(padding[..., None], 100.0, lengths[:, None, None].float()).expand(-1, 4, 2), padding

    assert mean_states(Encoder(), ['a', 'abc', 'ab'], batch_size=2).tolist() == [[1, 1], [3, 3], [2, 2]]
