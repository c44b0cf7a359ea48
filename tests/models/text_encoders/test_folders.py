"""Folders of other families than BERT: RoBERTa's positions, CLIP's text tower, T5's encoder; and what is refused."""

from __future__ import annotations

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    AutoModel,
    BertConfig,
    CLIPConfig,
    GPT2Config,
    MPNetConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
    T5Config,
    T5EncoderModel,
)

from xemap.errors import ConfigError
from xemap.models.text_encoders import HuggingFaceTextEncoder

WORDS = ['<pad>', '<s>', '</s>', '<unk>', 'lake', 'tanks', 'road']
SIZES = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
TEXT = dict(SIZES, vocab_size=len(WORDS), bos_token_id=1, eos_token_id=2, pad_token_id=0)
CONFIGS = {
    'bert': BertConfig(**TEXT, max_position_embeddings=10),
    'roberta': RobertaConfig(**{**TEXT, 'pad_token_id': 1}, max_position_embeddings=12),
    'mpnet': MPNetConfig(**{**TEXT, 'pad_token_id': 1}, max_position_embeddings=12),
    'clip': CLIPConfig(
        text_config=dict(TEXT, max_position_embeddings=10), vision_config=dict(SIZES, image_size=32, patch_size=16)
    ),
    't5': T5Config(
        vocab_size=len(WORDS), d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, decoder_start_token_id=0
    ),
    'gpt2': GPT2Config(vocab_size=len(WORDS), n_embd=16, n_layer=1, n_head=2, bos_token_id=1, eos_token_id=2),
}


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    """Makes the folder of a model of a kind with random weights and a tokenizer of seven words."""
    made = {}

    def folder(kind: str, model: torch.nn.Module | None = None):
        if kind not in made or model is not None:
            path = tmp_path_factory.mktemp(kind)
            words = WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token='<unk>')
            tokenizer = Tokenizer(words)
            tokenizer.pre_tokenizer = Whitespace()
            padding = {} if kind == 'gpt2' else {'pad_token': WORDS[1 if kind in ('roberta', 'mpnet') else 0]}
            fast = PreTrainedTokenizerFast(
                tokenizer_object=tokenizer, unk_token='<unk>', model_max_length=10, padding_side='right', **padding
            )
            fast.save_pretrained(path)
            torch.manual_seed(0)
            (AutoModel.from_config(CONFIGS[kind]) if model is None else model).save_pretrained(path)
            made[kind] = path
        return str(made[kind])

    return folder


@pytest.mark.parametrize('kind', ['bert', 'roberta', 'mpnet', 'clip', 't5'])
def test_longest_texts_run_and_no_text_depends_on_the_others(folders, kind):
    """RoBERTa and MPNet use 10 of their 12 positions; the eleventh token would be out of range."""
    encoder = HuggingFaceTextEncoder(folders(kind)).eval()
    assert (encoder.max_tokens, encoder.width) == (10, 16)
    texts = ['lake tanks road ' * 5, 'road tanks']
    with torch.no_grad():
        hidden, padding = encoder(texts)
        torch.testing.assert_close(encoder(texts[1:])[0][0], hidden[1, :2], atol=1e-5, rtol=0)
    assert hidden.shape == (2, 10, 16) and padding.sum(1).tolist() == [0, 8]
    with pytest.raises(ConfigError, match='max_tokens 11 exceeds its limit of 10'):
        HuggingFaceTextEncoder(folders(kind), max_tokens=11)


@pytest.mark.parametrize('kind', ['clip', 't5'])
def test_what_is_not_the_text_encoder_is_left_out_and_every_weight_comes_from_the_folder(folders, kind):
    whole = AutoModel.from_pretrained(folders(kind))
    part = whole.text_model if kind == 'clip' else whole.get_encoder()
    encoder = HuggingFaceTextEncoder(folders(kind))
    expected, got = part.state_dict(), encoder.model.state_dict()
    assert expected.keys() == got.keys()
    assert all(torch.equal(expected[key], got[key]) for key in expected)


def test_the_folder_of_an_encoder_alone_works(folders, caplog):
    model = T5EncoderModel(CONFIGS['t5'])
    encoder = HuggingFaceTextEncoder(folders('t5', model))
    name = 'block.0.layer.0.SelfAttention.q.weight'
    assert torch.equal(encoder.model.state_dict()[name], model.encoder.state_dict()[name])
    assert 'MISSING' not in caplog.text  # the decoder is not needed


def test_a_model_without_padding_is_refused(folders):
    with pytest.raises(ConfigError, match='is a gpt2, which has no padding token .*; give a text encoder, as bert'):
        HuggingFaceTextEncoder(folders('gpt2'))


@pytest.mark.parametrize(
    ('kind', 'name'), [('bert', 'encoder.layer.0.output.dense.weight'), ('t5', 'encoder.final_layer_norm.weight')]
)
def test_weights_that_the_folder_lacks_are_not_random_in_silence(folders, tmp_path, kind, name):
    shutil.copytree(folders(kind), tmp_path / kind)
    weights = load_file(tmp_path / kind / 'model.safetensors')
    del weights[name]
    save_file(weights, tmp_path / kind / 'model.safetensors', metadata={'format': 'pt'})
    with pytest.raises(ConfigError, match=rf'lacks 1 of the weights of \w+ \({name}'):
        HuggingFaceTextEncoder(str(tmp_path / kind))
    assert HuggingFaceTextEncoder(str(tmp_path / kind), pretrained=False).width == 16
