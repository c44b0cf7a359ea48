"""CroBIM as a whole, and its parts around the equations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import DefaultScope

from tests.models.localizers.localizer_tester import TEXTS, NetworkTester, make_images, make_samples
from tests.models.localizers.two_squares import two_squares
from xemap.errors import ConfigError, DataError
from xemap.evaluation import mask_metrics
from xemap.models.heads import FusedTokens
from xemap.models.localizers.crobim import MaskHead, PromptedTextEncoder
from xemap.models.losses import BCEDiceLoss
from xemap.registry import MODELS

SIZE = (64, 96)


def tiny_crobim(**overrides) -> dict:
    return {
        **dict(
            type='CroBIM',
            backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, norm_eval=False, style='pytorch'),
            language_model=dict(name='minilm', max_tokens=12),
            in_channels=(8, 16, 32, 64),
            decoder=dict(num_layers=1, embed_dims=32, num_heads=4, num_points=2, ffn_dims=32),
            compensation=dict(width=8, num_heads=2),
        ),
        **overrides,
    }


def build(seed: int = 0, **overrides):
    torch.manual_seed(seed)
    with DefaultScope.overwrite_default_scope('xemap'):
        model = MODELS.build(tiny_crobim(**overrides))
        model.init_weights()
    return model.eval()


def with_random_weights(model):
    """Weights that start at zero would hide what they are multiplied with."""
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        if not name.startswith(('language_model', 'backbone')):
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model


def samples(queries, size=SIZE):
    return make_samples(queries, size)


@pytest.fixture(scope='module')
def encoder() -> PromptedTextEncoder:
    return PromptedTextEncoder('minilm', 12).eval()


class TestPromptedTextEncoder:
    @torch.no_grad()
    def test_without_prompts_it_is_the_plain_encoder(self, encoder):
        ids, padding = encoder.tokenize(TEXTS[:2])
        text, same = encoder.encode(ids, padding)
        plain, plain_padding = encoder(TEXTS[:2])
        length = plain.shape[1]
        assert torch.equal(same, padding) and torch.equal(padding[:, :length], plain_padding)
        keep = ~plain_padding
        torch.testing.assert_close(text[:, :length][keep], plain[keep], atol=1e-5, rtol=1e-4)
        nothing, _ = encoder.encode(ids, padding, torch.zeros(2, 0, encoder.width))
        torch.testing.assert_close(nothing, text)

    @torch.no_grad()
    def test_prompts_stand_behind_the_text_at_fixed_positions(self, encoder):
        prompts = torch.randn(2, 3, encoder.width)
        ids, padding = encoder.tokenize(TEXTS[:2])
        with_prompts, whole = encoder.encode(ids, padding, prompts)
        assert with_prompts.shape == (2, 15, encoder.width) and not whole[:, 12:].any()
        assert (with_prompts[:, 0] - encoder.encode(ids, padding)[0][:, 0]).abs().max() > 1e-3
        alone, _ = encoder.encode(*encoder.tokenize(TEXTS[:1]), prompts[:1])
        torch.testing.assert_close(with_prompts[:1], alone, atol=1e-5, rtol=1e-4)
        # Written out: BERT on [text ; prompts] among its word embeddings, the padding cut out.
        real = ~padding[0]
        embedded = torch.cat([encoder.model.embeddings.word_embeddings(ids[0][real]), prompts[0]])[None]
        positions = torch.cat([torch.arange(12)[real], torch.arange(12, 15)])[None]
        expected = encoder.model(inputs_embeds=embedded, position_ids=positions).last_hidden_state[0]
        torch.testing.assert_close(with_prompts[0, ~whole[0]], expected, atol=1e-5, rtol=1e-4)

    @torch.no_grad()
    def test_prompts_are_a_set_up_to_their_positions(self, encoder, monkeypatch):
        prompts, (ids, padding) = torch.randn(2, 3, encoder.width), encoder.tokenize(TEXTS[:2])
        order = [2, 0, 1]
        placed, _ = encoder.encode(ids, padding, prompts)
        assert (encoder.encode(ids, padding, prompts[:, order])[0][:, :12] - placed[:, :12]).abs().max() > 1e-4
        table = encoder.model.embeddings.position_embeddings.weight.clone()
        table[12:15] = table[12]
        monkeypatch.setattr(encoder.model.embeddings.position_embeddings.weight, 'data', table)
        states, _ = encoder.encode(ids, padding, prompts)
        permuted, _ = encoder.encode(ids, padding, prompts[:, order])
        torch.testing.assert_close(permuted[:, :12], states[:, :12], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(permuted[:, 12:], states[:, 12:][:, order], atol=1e-5, rtol=1e-4)

    def test_how_long_texts_end(self, encoder):
        text = 'one two three four five six seven eight nine ten eleven twelve thirteen'
        end = encoder.tokenizer.sep_token_id
        hard = PromptedTextEncoder('minilm', 12, truncation='hard')
        assert encoder.tokenize([text])[0][0, -1] == end
        ids, padding = hard.tokenize([text, 'short'])
        assert ids.shape == (2, 12) and end not in ids[0] and end in ids[1]
        assert not padding[0].any() and padding[1, 3:].all()

    def test_what_is_refused(self, encoder):
        with pytest.raises(DataError, match='empty'):
            encoder.tokenize(['a', ' '])
        with pytest.raises(ConfigError, match='truncation'):
            PromptedTextEncoder('minilm', 12, truncation='soft')


@pytest.mark.parametrize('levels', ['sum', 'finest'])
@pytest.mark.parametrize('align', [False, True])
@torch.no_grad()
def test_head_is_convolution_resampling_and_product(levels, align):
    """Eq. 17 as printed: V_out is made in full."""
    torch.manual_seed(0)
    shapes, head = [(8, 12), (4, 6), (2, 3)], MaskHead(16, 3, levels, align_corners=align)
    vision, text = torch.randn(2, 126, 16), torch.randn(2, 5, 16)
    maps = [part.transpose(1, 2).unflatten(-1, s) for part, s in zip(vision.split([96, 24, 6], 1), shapes)]
    out = sum(
        F.interpolate(conv(level), shapes[0], mode='bilinear', align_corners=align)
        for conv, level in zip(head.convs, maps)
    )
    assert len(head.convs) == (3 if levels == 'sum' else 1)
    logits = torch.zeros(2, 8, 12)
    for pair in range(2):
        for i in range(8):
            for j in range(12):
                logits[pair, i, j] = out[pair, :, i, j] @ text[pair, 0] / 4
    expected = F.interpolate(logits[:, None], (32, 48), mode='bilinear', align_corners=align)[:, 0]
    fused = FusedTokens(vision, shapes, text, torch.zeros(2, 5, dtype=torch.bool), (32, 48), [2])
    torch.testing.assert_close(head(fused), expected, atol=1e-5, rtol=1e-4)


def test_loss_is_cross_entropy_and_dice():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 4, 5, generator=generator, dtype=torch.float64)
    target = (torch.rand(3, 4, 5, generator=generator) > 0.5).double()
    target[2] = 0
    for square in (False, True):
        got = BCEDiceLoss(square=square)(logits, target)
        for pair in range(3):
            p, y = 1 / (1 + (-logits[pair]).exp()), target[pair]
            entropy = -(y * p.log() + (1 - y) * (1 - p).log()).mean()
            below = (p**2 + y**2).sum() if square else (p + y).sum()
            dice = 1 - (2 * (p * y).sum() + 1) / (below + 1)
            torch.testing.assert_close(got[pair].double(), 0.9 * entropy + 0.1 * dice, atol=1e-6, rtol=1e-5)
    certain = torch.full((1, 4, 4), 40.0)
    ones, zeros = torch.ones(1, 4, 4), torch.zeros(1, 4, 4)
    assert BCEDiceLoss()(certain, ones) < 1e-6 and BCEDiceLoss()(-certain, zeros) < 1e-6
    assert BCEDiceLoss()(certain, zeros) > 1 and BCEDiceLoss()(-certain, ones) > 1
    heavier = BCEDiceLoss(pos_weight=3.0)(torch.zeros(2, 4, 4), torch.stack([ones[0], zeros[0]]))
    plain = BCEDiceLoss()(torch.zeros(2, 4, 4), torch.stack([ones[0], zeros[0]]))
    assert heavier[0] > plain[0] and heavier[1] == plain[1]
    for wrong in (dict(ce_weight=1.5), dict(smooth=0.0), dict(pos_weight=-1.0)):
        with pytest.raises(ConfigError):
            BCEDiceLoss(**wrong)


class TestCroBIM(NetworkTester):
    config = tiny_crobim()
    pipeline = [dict(type='ResizeImage', size=(64, 96)), dict(type='PackXeMapInputs')]

    @torch.no_grad()
    def test_max_pairs_changes_nothing(self):
        model = with_random_weights(build())
        images, queries = make_images(2, SIZE), samples([TEXTS[:2], TEXTS[1:]])
        together = model(images, queries, mode='tensor')
        assert (together[1] - together[2]).abs().max() > 1e-4  # one text, two images
        model.max_pairs = 2
        split = [sample.answers.data for sample in model(images, queries, mode='predict')]
        np.testing.assert_allclose(np.concatenate(split), together.sigmoid().numpy(), atol=1e-5)

    @torch.no_grad()
    def test_images_prompts_and_texts_are_encoded_once(self, monkeypatch):
        model = build()
        seen = []
        forward, read = model.backbone.forward, model.language_model.encode
        monkeypatch.setattr(model.backbone, 'forward', lambda x: (seen.append(('images', len(x))), forward(x))[1])

        def encode(ids, padding, prompts=None):
            seen.append(('texts' if prompts is None else 'prompted', len(ids)))
            return read(ids, padding, prompts)

        monkeypatch.setattr(model.language_model, 'encode', encode)
        model(make_images(2, SIZE), samples([TEXTS, TEXTS[:2]]), mode='predict')
        assert seen == [('images', 2), ('texts', 4), ('prompted', 6)]

    def test_every_parameter_learns(self):
        model = with_random_weights(build()).train()
        (loss,) = model(make_images(2, SIZE), samples([TEXTS[:2], TEXTS[2:]]), mode='loss').values()
        loss.backward()
        assert [name for name, p in model.named_parameters() if p.grad is None] == []
        # A fresh ResNet's blocks start as the identity.
        still = [n for n, p in model.named_parameters() if not p.grad.any() and not n.startswith('backbone')]
        assert still == []

    @pytest.mark.parametrize(
        'overrides',
        [
            dict(prompts=None),
            dict(prompts=dict(context='channels')),
            dict(prompts=dict(pool='avg', scales=(1, 2, 3))),
            dict(attend='channels'),
            dict(compensation=None),
            dict(compensation=dict(width=8, num_heads=2, stages=(2, 3), write_back='replace', top_ratio=1.0)),
            dict(compensation=dict(width=8, num_heads=2, top_ratio=0.0)),
            dict(compensation=dict(width=8, num_heads=2, top_ratio=0.01)),
        ],
        ids=lambda o: '-'.join(map(str, o)),
    )
    def test_ablations_run(self, overrides):
        model = build(**overrides)
        (sample,) = model(make_images(1, (64, 64)), samples([TEXTS], (64, 64)), mode='predict')
        assert sample.answers.form == 'mask' and sample.answers.maps().shape == (4, 64, 64)
        (loss,) = model.train()(make_images(1, (64, 64)), samples([TEXTS], (64, 64)), mode='loss').values()
        loss.backward()
        assert torch.isfinite(loss)
        # Distributed training stops where a trainable parameter gets no gradient.
        assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []

    def test_no_region_leaves_nothing_to_train_and_the_smallest_share_is_one(self):
        none, one = (build(compensation=dict(width=8, num_heads=2, top_ratio=r)).compensation for r in (0.0, 0.01))
        assert not any(p.requires_grad for p in none.parameters()) and all(p.requires_grad for p in one.parameters())
        deficit = torch.rand(2, 2, 3)
        assert none.top_regions(deficit).shape == (2, 0)
        assert torch.equal(one.top_regions(deficit), deficit.flatten(1).argmax(1, keepdim=True))

    @pytest.mark.parametrize(
        'overrides, message',
        [
            (dict(decoder=dict(num_layer=3)), r'decoder \(.*unknown key "num_layer" .*did you mean "num_layers"'),
            (dict(decoder=dict(in_channels=(8,))), r'decoder \(.*unknown key "in_channels"'),
            (dict(prompts=dict(pol='max')), r'prompts \(ContextPrompts\): unknown key "pol" .*did you mean "pool"'),
            (dict(compensation=dict(top_k=3)), r'compensation \(.*unknown key "top_k"'),
            (dict(head=dict(level='sum')), r'head \(MaskHead\): unknown key "level" .*did you mean "levels"'),
            (
                dict(language_model=dict(name='minilm', max_token=9)),
                r'language_model \(.*unknown key "max_token" .*did you mean "max_tokens"',
            ),
            (dict(head=3), 'head is 3; give a dictionary with keys of align_corners, '),
            (dict(compensation=dict(width=10, num_heads=7)), 'width=10, num_heads=7'),
            (dict(compensation=dict(num_heads=0)), 'num_heads=0'),
            (dict(compensation=dict(patch=0)), 'patch=0'),
            (dict(decoder=dict(num_heads=0)), 'num_heads=0'),
            (dict(decoder=dict(num_points=0)), 'num_points=0'),
            (dict(prompts=dict(pool='avg', grid=2)), 'grid=2 has no effect with pool "avg"'),
            (
                dict(language_model=dict(name='minilm', max_tokens=510)),
                'has 512 positions, fewer than max_tokens=510 and num_prompts=4 need',
            ),
        ],
        ids=lambda o: str(o)[:40] if isinstance(o, dict) else '',
    )
    def test_options_that_do_not_fit_are_refused(self, overrides, message):
        with pytest.raises(ConfigError, match=message):
            build(**overrides)

    @torch.no_grad()
    def test_texts_and_prompts_may_take_all_positions(self):
        language = dict(name='minilm', max_tokens=508)
        model = build(language_model=language)
        assert model(make_images(1, (64, 64)), samples([TEXTS[:1]], (64, 64))).isfinite().all()
        build(prompts=None, language_model=dict(language, max_tokens=512))

    def test_sizes_and_channels_that_do_not_fit_are_refused(self):
        with pytest.raises(ConfigError, match='multiples of 32'):
            build()(make_images(1, (64, 65)), samples([TEXTS[:1]], (64, 65)))
        with pytest.raises(ConfigError, match='a single cell .*at least 64 x 32'):
            build()(make_images(1, (32, 32)), samples([TEXTS[:1]], (32, 32)))
        assert len(build()(make_images(1, (32, 64)), samples([TEXTS[:1]], (32, 64)))) == 1
        with pytest.raises(ConfigError, match='in_channels'):
            build(in_channels=(8, 16, 32, 32))(make_images(1, SIZE), samples([TEXTS[:1]]))
        with pytest.raises(DataError, match='without any query'):
            build().train()(make_images(1, SIZE), samples([[]]), mode='loss')

    @pytest.mark.slow
    def test_it_reads_the_text(self):
        """Eight pairs by heart; swapped sentences swap the masks, in images that it has not seen, too."""
        model = build(language_model=dict(name='minilm', max_tokens=8))
        model.language_model.requires_grad_(False)
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-3)
        images, samples = two_squares(4, seed=0)
        model.train()
        for _ in range(60):
            (loss,) = model(images, samples, mode='loss').values()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        model.eval()
        for seed, least in ((0, 0.95), (1, 0.6)):
            images, samples = two_squares(4, seed)
            targets = torch.cat([sample.gt_masks for sample in samples]).numpy()
            assert masks_score(model, images, samples, targets) > least
            for sample in samples:
                sample.texts = sample.texts[::-1]
            swapped = np.concatenate([sample.gt_masks.flip(0).numpy() for sample in samples])
            assert masks_score(model, images, samples, swapped) > least
            assert masks_score(model, images, samples, targets) < 0.1


@torch.no_grad()
def masks_score(model, images, samples, targets) -> float:
    return mask_metrics((model(images, samples) > 0).numpy(), targets)['miou']
