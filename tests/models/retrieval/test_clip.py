"""CLIP in both formats; towers of two narrow layers made here."""

from __future__ import annotations

import json

import pytest
import torch

from tests.models.retrieval.conftest import images, samples
from xemap.errors import CheckpointError, ConfigError
from xemap.models.retrieval import HFCLIPRetrieval, OpenCLIPRetrieval

TEXTS = ['a river', 'storage tanks next to the river', 'roads']
LETTERS = 'abcdefghijklmnopqrstuvwxyz'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A CLIP of transformers: 2 layers, 16 wide, 32 pixels, letters as tokens, texts of 12 tokens."""
    from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPTokenizer, CLIPVisionConfig

    path = tmp_path_factory.mktemp('clip')
    tokens = [*LETTERS, *(f'{letter}</w>' for letter in LETTERS), '<|startoftext|>', '<|endoftext|>']
    (path / 'vocab.json').write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (path / 'merges.txt').write_text('#version: 0.2\n')
    CLIPTokenizer(str(path / 'vocab.json'), str(path / 'merges.txt')).save_pretrained(path)
    common = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, projection_dim=8)
    text = CLIPTextConfig(vocab_size=len(tokens), max_position_embeddings=12, bos_token_id=52, eos_token_id=53,
                          pad_token_id=53, **common)  # fmt: skip
    vision = CLIPVisionConfig(image_size=32, patch_size=16, **common)
    torch.manual_seed(0)
    config = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=8)
    CLIPModel(config).save_pretrained(path)
    return path


@pytest.fixture
def model(folder):
    made = HFCLIPRetrieval(str(folder))
    made.init_weights()
    return made.eval()


def test_contract(model):
    assert model.image_size == 32 and model.mean == pytest.approx((122.77, 116.75, 104.09), abs=0.01)
    with torch.no_grad():
        pictures, texts = model.encode_images(images(2, 32)), model.encode_texts(TEXTS)
    assert pictures.shape == (2, 8) and texts.shape == (3, 8)
    for vectors in (pictures, texts):
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(vectors)))
    with pytest.raises(ConfigError, match='32 x 32 pixels'):
        model.encode_images(images(1, 64))


def test_a_text_does_not_depend_on_the_others(model):
    with torch.no_grad():
        together = model.encode_texts(TEXTS)
        for text, vector in zip(TEXTS, together):
            torch.testing.assert_close(model.encode_texts([text])[0], vector)


def test_the_folders_weights_are_loaded(model, folder):
    again = HFCLIPRetrieval(str(folder))
    again.init_weights()
    random = HFCLIPRetrieval(str(folder), pretrained=False)
    random.init_weights()
    for name in ('visual_projection.weight', 'logit_scale'):
        assert torch.equal(model.model.get_parameter(name), again.model.get_parameter(name))
    assert not torch.equal(model.model.visual_projection.weight, random.model.visual_projection.weight)


def test_a_long_text_is_cut_with_one_warning(model, log):
    long = 'lake ' * 30
    with torch.no_grad():
        vectors = [model.encode_texts([long, 'lake'])[0] for _ in range(2)]
        torch.testing.assert_close(vectors[0], model.encode_texts(['lake lake lake'])[0])  # 12 letters and 2
    assert [m.split(':')[0] for m in log] == ['text of 122 tokens is cut to 12', 'text of 14 tokens is cut to 12']


def trained(model) -> set[str]:
    return {name for name, p in model.named_parameters() if p.requires_grad}


def test_only_the_last_layers_train(folder):
    model = HFCLIPRetrieval(str(folder), pretrained=False)
    parts = {name.removeprefix('model.').rpartition('.')[0] for name in trained(model)}
    layers = {part for part in parts if '.layers.' in part}
    assert {part.split('.layers.')[0] + part.split('.layers.')[1][:1] for part in layers} == {
        'vision_model.encoder1', 'text_model.encoder1',
    }  # fmt: skip
    assert parts - layers == {'vision_model.post_layernorm', 'visual_projection', 'text_model.final_layer_norm',
                              'text_projection', ''}  # fmt: skip
    loss = model(images(3, 32), samples([[text] for text in TEXTS]), mode='loss')['loss']
    loss.backward()
    moved = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    # a bias of keys changes no attention
    assert {name for name in trained(model) - moved if 'k_proj.bias' not in name} == set()
    assert moved <= trained(model)
    assert trained(HFCLIPRetrieval(str(folder), pretrained=False, train_last=None)) == {
        name for name, _ in model.named_parameters()
    }
    with pytest.raises(ConfigError, match='train_last=3: the towers have 2 layers'):
        HFCLIPRetrieval(str(folder), train_last=3)


def test_the_loss_is_that_of_clip(model):
    batch = images(3, 32), TEXTS
    loss = model(batch[0], samples([[text] for text in TEXTS]), mode='loss')['loss']
    with torch.no_grad():
        tokens = model.tokenizer(TEXTS, padding=True, truncation=True, max_length=12, return_tensors='pt')
        expected = model.model(pixel_values=batch[0], **tokens, return_loss=True).loss
    torch.testing.assert_close(loss, expected)


def test_what_is_no_clip(tmp_path, monkeypatch):
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_OFFLINE', True)
    with pytest.raises(ConfigError, match='is no usable folder here and cannot be fetched'):
        HFCLIPRetrieval('no-such/clip')
    with pytest.raises(ConfigError, match='has no config.json; give a folder'):
        HFCLIPRetrieval(str(tmp_path))
    (tmp_path / 'config.json').write_text('{}')
    with pytest.raises(ConfigError, match='has no tokenizer.json or vocab.json'):
        HFCLIPRetrieval(str(tmp_path))


def test_weights_that_are_missing(folder, tmp_path):
    for name in ('config.json', 'tokenizer.json', 'tokenizer_config.json', 'vocab.json', 'merges.txt'):
        if (folder / name).exists():
            (tmp_path / name).write_bytes((folder / name).read_bytes())
    model = HFCLIPRetrieval(str(tmp_path))  # a checkpoint of ours may bring them
    with pytest.raises(ConfigError, match='is no usable folder'):
        model.init_weights()


def test_without_open_clip_it_says_so(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'open_clip', None)
    with pytest.raises(ConfigError, match='not installed; pip install open_clip_torch, or use HFCLIPRetrieval'):
        OpenCLIPRetrieval()


@pytest.fixture(scope='module')
def name(tmp_path_factory) -> str:
    """A CLIP of open_clip: 2 layers, 16 wide, 32 pixels."""
    open_clip = pytest.importorskip('open_clip', reason='the extra "clip" is not installed')
    config = {
        'embed_dim': 8,
        'vision_cfg': {'image_size': 32, 'layers': 2, 'width': 16, 'head_width': 8, 'patch_size': 16},
        'text_cfg': {'context_length': 77, 'vocab_size': 49408, 'width': 16, 'heads': 2, 'layers': 2},
    }
    path = tmp_path_factory.mktemp('open_clip') / 'ViT-tiny-test.json'
    path.write_text(json.dumps(config))
    open_clip.add_model_config(path)
    return path.stem


class TestOpenCLIP:
    """With the real library."""

    def test_contract(self, name):
        model = OpenCLIPRetrieval(name).eval()
        with torch.no_grad():
            pictures, texts = model.encode_images(images(2, 32)), model.encode_texts(TEXTS)
            torch.testing.assert_close(model.encode_texts(TEXTS[1:2])[0], texts[1])
        assert model.image_size == 32 and pictures.shape == (2, 8) and texts.shape == (3, 8)
        torch.testing.assert_close(texts.norm(dim=1), torch.ones(3))

    def test_only_the_last_layers_train(self, name):
        names = {n.removeprefix('model.') for n in trained(OpenCLIPRetrieval(name))}
        assert {n for n in names if '.resblocks.' not in n} == {
            'visual.ln_post.weight', 'visual.ln_post.bias', 'visual.proj', 'ln_final.weight', 'ln_final.bias',
            'text_projection', 'logit_scale',
        }  # fmt: skip
        assert {n.split('.resblocks.')[0] + n.split('.resblocks.')[1][:1] for n in names if '.resblocks.' in n} == {
            'visual.transformer1', 'transformer1',
        }  # fmt: skip

    def test_a_published_file_loads(self, name, tmp_path):
        """RemoteCLIP and GeoRSCLIP publish plain state dicts; DDP's and open_clip's training checkpoints as well."""
        state = OpenCLIPRetrieval(name).model.state_dict()
        wrapped = {'epoch': 1, 'name': 'x', 'state_dict': {f'module.{k}': v for k, v in state.items()}}
        for content in (state, wrapped):
            torch.save(content, tmp_path / 'weights.pt')
            model = OpenCLIPRetrieval(name, weights=str(tmp_path / 'weights.pt'))
            model.init_weights()
            for key, value in model.model.state_dict().items():
                assert torch.equal(value, state[key]), key
        del state['visual.proj']
        torch.save(state, tmp_path / 'weights.pt')
        with pytest.raises(CheckpointError, match='lacks visual.proj; it is no open_clip state dict of ViT-tiny-test'):
            OpenCLIPRetrieval(name, weights=str(tmp_path / 'weights.pt')).init_weights()

    def test_mistakes(self, name):
        with pytest.raises(ConfigError, match='no architecture "ViT-Z-1"'):
            OpenCLIPRetrieval('ViT-Z-1')
        with pytest.raises(CheckpointError, match='weights.pt does not exist'):
            OpenCLIPRetrieval(name, weights='no/weights.pt').init_weights()
        with pytest.raises(CheckpointError, match='no such file, and no tag'):
            OpenCLIPRetrieval(name, weights='remote').init_weights()

    def test_without_a_network_a_tag_is_one_line(self, name, monkeypatch):
        import open_clip

        def unreachable(*args, **kwargs):
            raise RuntimeError('Failed to download weights. Last error: no network\nsecond line')

        model = OpenCLIPRetrieval(name, weights='openai')
        monkeypatch.setattr(open_clip, 'list_pretrained_tags_by_model', lambda name: ['openai'])
        monkeypatch.setattr(open_clip, 'create_model', unreachable)
        with pytest.raises(CheckpointError, match='cannot be fetched .Failed to download weights.; where') as caught:
            model.init_weights()
        assert '\n' not in str(caught.value)

    def test_a_long_text_is_cut_with_one_warning(self, name, log):
        model = OpenCLIPRetrieval(name).eval()
        with torch.no_grad():
            for _ in range(2):
                model.encode_texts(['lake ' * 100])
        assert [m.split(':')[0] for m in log] == ['text of 102 tokens is cut to 77']
