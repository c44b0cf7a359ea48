"""A checkpoint brings its vocabulary, through every way that loads one."""

from __future__ import annotations

import pytest
import torch
from mmengine.runner.checkpoint import save_checkpoint

from tests.models.retrieval.conftest import TEXTS, WORDS, build
from xemap.errors import CheckpointError
from xemap.models.checkpoint import load_weights
from xemap.models.retrieval import Vocabulary

OTHER = Vocabulary(['river', 'ship', 'sea'])


def saved(model, path):
    save_checkpoint({'state_dict': model.state_dict(), 'meta': {}}, str(path))
    return path


@pytest.mark.parametrize('before', [None, OTHER, WORDS], ids=['empty', 'another', 'the same'])
def test_a_model_takes_on_the_vocabulary(tmp_path, kind, before, log):
    trained, fresh = build(kind), build(kind, vocabulary=before)
    for parameter in fresh.parameters():
        parameter.data.add_(0.1)
    held = fresh.text.words.weight
    load_weights(fresh, saved(trained, tmp_path / 'a.pth'))
    assert fresh.text.words.vocabulary == WORDS
    assert fresh.text.words.weight is held  # an optimizer may hold it
    with torch.no_grad():
        torch.testing.assert_close(fresh.encode_texts(TEXTS), trained.encode_texts(TEXTS))
    replaced = [m for m in log if 'replaces' in m]
    assert replaced == (
        ["the checkpoint's vocabulary of 18 words replaces the config's of 3, of which 2 are unknown to it"]
        if before is OTHER else []
    )  # fmt: skip


def test_plain_torch_and_safetensors(tmp_path):
    from safetensors.torch import save_file

    trained = build('VSEPP')
    torch.save(trained.state_dict(), tmp_path / 'a.pth')
    fresh = build('VSEPP', vocabulary=None)
    fresh.load_state_dict(torch.load(tmp_path / 'a.pth', weights_only=True))
    assert fresh.text.words.vocabulary == WORDS
    save_file(trained.state_dict(), tmp_path / 'a.safetensors')
    fresh = build('VSEPP', vocabulary=None)
    load_weights(fresh, tmp_path / 'a.safetensors')
    assert fresh.text.words.vocabulary == WORDS


def test_another_width_is_another_architecture(tmp_path):
    path = saved(build('VSEPP'), tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match='another architecture.*of another shape'):
        load_weights(build('VSEPP', word_dim=10, vocabulary=OTHER), path)


def test_vectors_and_words_that_do_not_fit(tmp_path):
    state = build('VSEPP').state_dict()
    state['text.words.weight'] = state['text.words.weight'][:-1]
    torch.save(state, tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match='19 word vectors for a vocabulary of 20'):
        load_weights(build('VSEPP'), tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match='19 word vectors'):
        build('VSEPP').load_state_dict(state)
    with pytest.raises(CheckpointError, match='20 word vectors for a vocabulary of 5'):
        build('VSEPP').text.words.set_extra_state(build('VSEPP', vocabulary=OTHER).text.words.get_extra_state())
