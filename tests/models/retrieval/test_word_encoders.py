from __future__ import annotations

import pytest
import torch

from tests.models.retrieval.conftest import TEXTS, WORDS
from xemap.models.retrieval import word_encoders
from xemap.models.retrieval.word_encoders import TextCNN, WordEmbedding, WordGRU


def test_vectors_and_lengths():
    words = WordEmbedding(WORDS, 5)
    vectors, lengths = words(TEXTS[:2])
    assert vectors.shape == (2, 7, 5) and lengths.tolist() == [1, 7]
    assert torch.equal(vectors[0, 1:], torch.zeros(6, 5))
    assert torch.equal(vectors[0, 0], vectors[1, 6])  # river


@pytest.mark.parametrize('both', [False, True])
def test_gru_equals_one_text_without_padding(both):
    torch.manual_seed(0)
    gru = WordGRU(WORDS, 5, 7, bidirectional=both).eval()
    with torch.no_grad():
        states, lengths = gru(TEXTS)
        last = gru.last(TEXTS)
        for i, text in enumerate(TEXTS):
            out, hidden = gru.rnn(gru.words([text])[0])
            expected = out[0].unflatten(-1, (-1, 7)).mean(-2) if both else out[0]
            torch.testing.assert_close(states[i, : lengths[i]], expected)
            torch.testing.assert_close(last[i], hidden[:, 0].mean(0))
    assert torch.equal(states[0, 1:], torch.zeros_like(states[0, 1:]))


def test_convolution_equals_loops_over_windows():
    torch.manual_seed(0)
    cnn = TextCNN(WORDS, 5, channels=3, out_dim=4).eval()
    with torch.no_grad():
        fast = cnn(TEXTS)
        for i, text in enumerate(TEXTS):
            rows = cnn.words([text])[0][0]
            rows = torch.cat([rows, torch.zeros(max(0, 5 - len(rows)), 5)])
            best = []
            for window, conv in zip(cnn.windows, cnn.convs):
                seen = [
                    (torch.einsum('cdk,kd->c', conv.weight, rows[j : j + window]) + conv.bias).relu()
                    for j in range(len(rows) - window + 1)
                ]
                best.append(torch.stack(seen).amax(0))
            torch.testing.assert_close(fast[i], cnn.fc(torch.cat(best)))


def test_reports_end(log):
    words = WordEmbedding(WORDS, 5).eval()
    for i in range(word_encoders.REPORTS + 3):
        words([f'river word{i}'])
    assert len(log) == word_encoders.REPORTS and log[-1].endswith('further ones are not reported')
    words.train()
    words(['river new'])
    assert len(log) == word_encoders.REPORTS
