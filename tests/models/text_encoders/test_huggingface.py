from __future__ import annotations

import pytest
import torch

from xemap.errors import ConfigError, DataError
from xemap.models.text_encoders import HuggingFaceTextEncoder
from xemap.models.text_encoders.huggingface import resolve_name

TEXTS = ['the lake', 'a long row of storage tanks beside the harbour', 'roads']


@pytest.fixture(scope='module')
def encoder() -> HuggingFaceTextEncoder:
    return HuggingFaceTextEncoder('minilm', max_tokens=16).eval()


def test_shapes_and_padding(encoder):
    hidden, padding = encoder(TEXTS)
    assert hidden.shape == (3, padding.shape[1], 384)
    assert padding.sum(1).tolist() == [padding.shape[1] - 4, 0, padding.shape[1] - 3]  # [CLS] words [SEP]


def test_a_text_does_not_depend_on_the_others(encoder):
    with torch.no_grad():
        hidden, padding = encoder(TEXTS)
        for i, text in enumerate(TEXTS):
            alone, _ = encoder([text])
            torch.testing.assert_close(hidden[i][~padding[i]], alone[0], atol=1e-5, rtol=0)


@pytest.fixture
def caching() -> HuggingFaceTextEncoder:
    return HuggingFaceTextEncoder('minilm', max_tokens=16, cached_texts=3).eval().requires_grad_(False)


def test_kept_states_are_those_of_the_encoder(encoder, caching):
    for texts in (TEXTS, TEXTS[1:], [TEXTS[2], 'a pond', TEXTS[2]]):
        with torch.no_grad():
            expected, expected_padding = encoder(texts)
        hidden, padding = caching(texts)
        assert torch.equal(padding, expected_padding)
        torch.testing.assert_close(hidden[~padding], expected[~padding], atol=1e-5, rtol=0)


def test_states_are_kept_up_to_a_number_and_computed_once(caching, monkeypatch):
    encoded = []
    make = caching.encoder_inputs
    monkeypatch.setattr(caching, 'encoder_inputs', lambda texts: encoded.append(texts) or make(texts))
    for texts in (TEXTS[:2], TEXTS, ['a pond'], TEXTS[:1], TEXTS[1:2]):
        caching(texts)
    assert [text for texts in encoded for text in texts] == [*TEXTS, 'a pond', TEXTS[0], TEXTS[1]]


def test_a_kept_state_does_not_depend_on_what_was_encoded_before(caching):
    first, _ = caching([TEXTS[0]])
    caching(['x', 'y', 'z'])  # the first leaves
    again, padding = caching([TEXTS[1], TEXTS[0]])
    assert torch.equal(again[1][~padding[1]], first[0])


def test_states_are_not_kept_where_the_encoder_can_change(caching):
    before, _ = caching(['lake'])
    caching.load_state_dict({name: value + 0.01 for name, value in caching.state_dict().items()})
    after, _ = caching(['lake'])
    assert not torch.allclose(before, after)
    caching.requires_grad_(True)
    assert caching(['lake'])[0].requires_grad
    assert caching.requires_grad_(False).double()(['lake'])[0].dtype == torch.float64


def test_pretrained_weights_know_words(encoder):
    """Random weights would not place 'lake' nearer to 'pond' than to 'aircraft'."""
    with torch.no_grad():
        hidden, padding = encoder(['lake', 'pond', 'aircraft'])
    lake, pond, aircraft = torch.nn.functional.normalize((hidden * ~padding[..., None]).sum(1), dim=-1)
    assert lake @ pond > lake @ aircraft + 0.2


def test_a_long_text_is_cut_with_one_warning(encoder, log):
    text = 'tanks ' * 40
    for _ in range(2):
        hidden, _ = encoder([text])
    assert hidden.shape[1] == 16
    assert [message.split(':')[0] for message in log] == ['query of 42 tokens is cut to 16']


@pytest.mark.parametrize('text', ['', '  \n'])
def test_an_empty_text_is_refused(encoder, text):
    with pytest.raises(DataError, match='is empty'):
        encoder(['lake', text])


def test_an_encoder_that_cannot_be_had_says_how_to_give_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_OFFLINE', True)  # the variable is read at import
    with pytest.raises(ConfigError, match=r'no-such-encoder.*model\.language_model\.name=/path'):
        HuggingFaceTextEncoder('no-such-encoder-xyz')
    with pytest.raises(ConfigError, match='give a local folder'):
        HuggingFaceTextEncoder(str(tmp_path))


def test_a_folder_works_and_pretrained_can_be_left_out():
    folder = resolve_name('minilm')
    torch.manual_seed(0)
    random = HuggingFaceTextEncoder(folder, pretrained=False)
    trained = HuggingFaceTextEncoder(folder)
    assert random.max_tokens == 512
    assert not torch.equal(
        random.model.embeddings.word_embeddings.weight, trained.model.embeddings.word_embeddings.weight
    )


def test_max_tokens_beyond_the_encoder():
    with pytest.raises(ConfigError, match='max_tokens 600 exceeds its limit of 512'):
        HuggingFaceTextEncoder('minilm', max_tokens=600)
