"""The network against the paper's equations written down plainly, and what follows from them."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from tests.models.localizers.mlcm import reference
from tests.models.localizers.mlcm.tiny import WORDS, build, features, letterbox_mask, tiny_mlcm
from xemap.errors import ConfigError
from xemap.models.localizers.mlcm.mlcm import MEMORY

ABLATIONS = {
    'full': MEMORY,
    'b': ('scales',),
    'c': ('scales', 'sentence'),
    'd': ('scales', 'words'),
    'e': ('words', 'sentence'),
}


def in_double(given: dict) -> dict:
    return {name: value.double() if value.is_floating_point() else value for name, value in given.items()}


def close(first, second, atol=1e-5):
    torch.testing.assert_close(first, second, atol=atol, rtol=0)


@pytest.mark.parametrize('letterboxed', [False, True])
@pytest.mark.parametrize(
    'options',
    [dict(memory=memory) for memory in ABLATIONS.values()]
    + [dict(num_decoder_layers=2), dict(num_decoder_layers=0), dict(legacy=True)],
    ids=[*ABLATIONS, 'L2', 'a', 'legacy'],
)
def test_equations_3_to_14(options, letterboxed):
    model = build(tiny_mlcm(**options)).double()
    given = in_double(features(3))
    padding = letterbox_mask(3) if letterboxed else torch.zeros(3, 128, 128, dtype=torch.bool)
    with torch.no_grad():
        result = model.forward_features(**given, image_mask=padding if letterboxed else None)
    for i in range(3):
        expected = reference.ground(model, *(value[i] for value in given.values()), padding[i])
        for name, values in expected.items():
            close(result[name][i], values, atol=1e-10)


@pytest.mark.parametrize('name', ABLATIONS)
@pytest.mark.parametrize('layers', [1, 2])
def test_sharing_images_equals_the_plain_path(name, layers):
    """Images encoded once, the decoder's image side once: forward and gradients."""
    model = build(tiny_mlcm(memory=ABLATIONS[name], num_decoder_layers=layers)).double()
    given = in_double(features(5, images=2))
    image_idx = torch.tensor([0, 0, 1, 0, 1])
    mask = letterbox_mask(2)
    mask[0] = False
    shared = model.forward_features(**given, image_mask=mask, image_idx=image_idx)
    plain = model.forward_features(**{**given, 'images': given['images'][image_idx]}, image_mask=mask[image_idx])
    for part in ('box', 'fusion', 'decoder', 'visual_tokens'):
        close(shared[part], plain[part], atol=1e-10)
    parameters = [p for p in model.parameters() if p.requires_grad]
    gradients = [torch.autograd.grad(result.box.square().sum(), parameters) for result in (shared, plain)]
    for first, second in zip(*gradients):
        close(first, second, atol=1e-8)


@pytest.mark.parametrize('layers', [1, 2])
def test_the_decoder_in_two_sides_equals_mmdets(layers):
    model = build(tiny_mlcm(num_decoder_layers=layers))
    generator = torch.Generator().manual_seed(1)
    x, x_pos, y, y_pos, text, text_pos = (
        torch.randn(3, n, 32, generator=generator) for n in (64, 64, 74, 74, WORDS, WORDS)
    )
    image_padding = torch.rand(3, 74, generator=generator) < 0.3
    text_padding = torch.arange(WORDS) >= torch.tensor([[4], [9], [WORDS]])
    with torch.no_grad():
        side = model.decoder.image_side(x, x_pos, (y, y_pos, image_padding))
        ours = model.decoder.text_side(side, torch.arange(3), (text, text_pos, text_padding))
        memory, memory_pos = torch.cat([y, text], 1), torch.cat([y_pos, text_pos], 1)
        padding = torch.cat([image_padding, text_padding], 1)
        plain = model.decoder(
            x, key=memory, value=memory, query_pos=x_pos, key_pos=memory_pos, key_padding_mask=padding
        )[-1]
    close(ours, plain)


def test_memory_is_a_set_and_values_carry_no_position():
    model = build(tiny_mlcm()).double()
    generator = torch.Generator().manual_seed(1)
    x, x_pos, y, y_pos, text, text_pos = (
        torch.randn(1, n, 32, generator=generator).double() for n in (64, 64, 74, 74, WORDS, WORDS)
    )
    each = torch.zeros(1, dtype=torch.long)

    def decode(y, y_pos, text, text_pos):
        side = model.decoder.image_side(x, x_pos, (y, y_pos, None))
        return model.decoder.text_side(side, each, (text, text_pos, None))

    with torch.no_grad():
        usual = decode(y, y_pos, text, text_pos)
        order, text_order = torch.randperm(74, generator=generator), torch.randperm(WORDS, generator=generator)
        close(decode(y[:, order], y_pos[:, order], text[:, text_order], text_pos[:, text_order]), usual, atol=1e-12)
        assert (decode(y[:, order], y_pos, text, text_pos) - usual).abs().max() > 1e-4
        # One token everywhere: whatever the weights, the attention gives its value, if that has no position.
        same, same_text = y[:, :1].expand_as(y), y[:, :1].expand_as(text)
        close(decode(same, y_pos, same_text, text_pos), decode(same, 3 * y_pos, same_text, -text_pos), atol=1e-12)


def test_positions_of_a_level():
    model = build(tiny_mlcm(width=256, num_heads=8, grid=(8, 8)))
    pos = model.image_pos(None, torch.zeros(1, 256, 20, 20))[0]
    close(pos[[0, 1, 128, 129], 0, 0], torch.tensor([0.309017, 0.951057] * 2), atol=1e-6)
    for size in ((20, 20), (9, 9), (4, 4), (1, 1)):
        for padding in (torch.zeros(size, dtype=torch.bool), letterbox_mask(1, size[0], size[0] // 4)[0]):
            expected = reference.sine(padding, 256)
            close(model.image_pos(padding[None], None)[0].flatten(1).T.double(), expected, atol=2e-5)


def test_texts_do_not_see_each_other_nor_their_padding():
    model, given = build(tiny_mlcm()), features(4)
    changed = given['words'].masked_fill(given['word_mask'][..., None] == 0, 7.0)
    longest = int(given['word_mask'].sum(1)[:2].max())
    with torch.no_grad():
        usual = model.forward_features(**given).fusion
        close(model.forward_features(**{**given, 'words': changed}).fusion, usual)
        first = {name: value[:2] for name, value in given.items()}
        for name in ('words', 'word_mask'):
            first[name] = first[name][:, :longest]  # padded to the longest of other texts
        close(model.forward_features(**first).fusion, usual[:2])


def test_legacy_texts_see_their_padding_but_not_each_other():
    model, given = build(tiny_mlcm(legacy=True)), features(4)
    changed = given['words'].masked_fill(given['word_mask'][..., None] == 0, 7.0)
    with torch.no_grad():
        usual = model.forward_features(**given)
        other = model.forward_features(**{**given, 'words': changed})
        alone = model.forward_features(**{name: value[:1] for name, value in given.items()})
    close(alone.fusion, usual.fusion[:1])
    assert (other.fusion[0] - usual.fusion[0]).abs().max() > 1e-3
    close(other.decoder, usual.decoder)  # masked there


def test_the_sentence_has_the_last_position_for_short_and_long_texts():
    model, given = build(tiny_mlcm(memory=('sentence',))), features(2)
    with torch.no_grad():
        usual = model.forward_features(**given).decoder
        model.text_pos.weight[:-1] += 1
        close(model.forward_features(**given).decoder, usual)
        model.text_pos.weight[-1] *= -1
        close(model.forward_features(**given).decoder, usual)  # a single key: any weight is 1
    model = build(tiny_mlcm())
    with torch.no_grad():
        usual = model.forward_features(**given).decoder
        model.text_pos.weight[-1] *= -1
        difference = (model.forward_features(**given).decoder - usual).abs().amax((1, 2))
    assert (difference > 1e-4).all()


def test_padding_of_a_letterboxed_image_takes_no_part():
    model, given = build(tiny_mlcm()), features(2)
    mask = letterbox_mask(2)
    with torch.no_grad():
        images = model.encode_images(given['images'], mask)
        padded = images.padding
        assert padded.tolist() == [[not 2 <= i // 8 < 6 for i in range(64)]] * 2
        texts = model.encode_states(given['words'], given['word_mask'] == 0, given['sentence'])
        each = torch.arange(2)
        usual = model.ground(images, texts, each, each)
        # Tokens of the border, whatever they are after the decoder, change neither the others nor the box.
        noise = torch.randn(2, 64, 32) * padded[..., None]
        encoded = model.encoder(usual.decoder + noise, images.pos, padded)
        close(encoded[~padded], usual.visual_tokens[~padded])
        again = model.fusion(model.fusion.visual_proj(encoded), (8, 8), texts.words, padded, given['word_mask'] == 0)
        close(again[0], usual.fusion)
        assert float(usual.attention[padded].abs().max()) == 0
        # Nor does what the added levels hold there. (The first level's self-attention has no mask, as the authors'.)
        first, *added = model.levels(model.backbone(given['images'])[-1])
        border = [F.interpolate(mask[:, None].float(), level.shape[-2:]) for level in added]
        assert [int(part.sum()) for part in border] == [2 * 3, 2 * 1]
        noisy = [first, *(level + 9 * part for level, part in zip(added, border))]
        model.levels.forward = lambda feature: noisy
        again = model.forward_features(**given, image_mask=mask)
    close(again.box, usual.box)


def test_levels_of_640_pixels_and_of_too_few():
    levels = build(tiny_mlcm(num_added=3)).levels
    assert [tuple(level.shape[-2:]) for level in levels(torch.zeros(1, 32, 20, 20))] == [
        (20, 20), (9, 9), (4, 4), (1, 1),
    ]  # fmt: skip
    for n, counts in {16: 315, 15: 284, 25: 798, 32: 1307}.items():
        assert sum(math.prod(level.shape[-2:]) for level in levels(torch.zeros(1, 32, n, n))) == counts
    with pytest.raises(ConfigError, match=r'added level 3 of 3 needs 3 x 3 tokens .* there are 2 x 2'):
        levels(torch.zeros(1, 32, 14, 14))


def test_another_grid_takes_the_positions_between():
    model, given = build(tiny_mlcm()), features(1)
    with torch.no_grad():
        table = model.fusion.positions.weight[:64].view(8, 8, -1)
        table[:] = torch.linspace(0, 1, 8)[:, None, None]  # rises from top to bottom
        rows = model.fusion.position_rows((10, 8), 3)[0].view(10, 8, -1)
        assert model.forward_features(**features(1, size=160)).box.shape == (1, 4)
    assert (rows.diff(dim=0) > -0.05).all()
    close(rows[:, 0], rows[:, 5])
    assert rows[1:-1].amin() < 0.2
    assert given['words'].shape[1] == WORDS


def test_refusals():
    with pytest.raises(ConfigError, match='text_width'):
        build(tiny_mlcm(text_width=None))
    with pytest.raises(ConfigError, match=r"memory=\('levels',\)"):
        build(tiny_mlcm(memory=('levels',)))
    with pytest.raises(ConfigError, match='order "last"'):
        build(tiny_mlcm(order='last'))
    model = build(tiny_mlcm())
    with pytest.raises(ConfigError, match='sentence'):
        model.forward_features(**{**features(1), 'sentence': None})
    with pytest.raises(ConfigError, match='3 images for 2 texts'):
        model.forward_features(**features(2, images=3))
    longer = {**features(1), 'words': torch.zeros(1, 13, 48), 'word_mask': torch.ones(1, 13)}
    with pytest.raises(ConfigError, match='13 word tokens; .* 12'):
        model.forward_features(**longer)
