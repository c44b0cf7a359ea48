"""The equations of CroBIM (1 to 13) against plain loops in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.models.localizers.crobim.made_up import CHANNELS, WIDTH, pyramid, seeded, words
from xemap.errors import ConfigError
from xemap.models.localizers.crobim import (
    ContextPrompts,
    DeficitCompensation,
    LanguageGuidedAggregation,
    MutualInteractionDecoder,
    deficit_map,
)


def softmax(values):
    weights = [math.exp(value - max(values)) for value in values]
    return [weight / sum(weights) for weight in weights]


def max_cells(level, grid):
    """Adaptive maxima by loops, (grid * grid, C)."""
    height, width = level.shape[1:]
    cells = []
    for i in range(grid):
        for j in range(grid):
            rows = slice(i * height // grid, -(-(i + 1) * height // grid))
            columns = slice(j * width // grid, -(-(j + 1) * width // grid))
            cells.append(level[:, rows, columns].flatten(1).amax(1))
    return torch.stack(cells)


# --- eqs. 1, 2 ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('scales', [(0, 1, 2, 3), (1, 3)])
def test_prompts_are_attention_over_pooled_scales(scales):
    module = seeded(ContextPrompts(CHANNELS, WIDTH, num_prompts=3, scales=scales))
    levels = pyramid()
    got = module(levels)
    for image in range(2):
        # The printed matrix V_e (4 s^2, C_total): the pooled scale in its own block of channels, zeros elsewhere.
        total = sum(CHANNELS[s] for s in scales)
        context, w_k, w_v = torch.zeros(len(scales), total).double(), [], []
        start = 0
        for row, scale in enumerate(scales):
            context[row, start : start + CHANNELS[scale]] = levels[scale][image].mean((1, 2))
            start += CHANNELS[scale]
            w_k.append(module.keys[row].weight.T)
            w_v.append(module.values[row].weight.T)
        keys, values = context @ torch.cat(w_k), context @ torch.cat(w_v)
        queries = module.prompts @ module.query.weight.T
        for prompt in range(3):
            scores = [(queries[prompt] @ key).item() / math.sqrt(WIDTH) for key in keys]
            expected = sum(weight * value for weight, value in zip(softmax(scores), values))
            torch.testing.assert_close(got[image, prompt], expected)


def test_pooling_decides_the_cells():
    levels = pyramid()
    module = seeded(ContextPrompts(CHANNELS, WIDTH, pool='max', grid=2))
    window = levels[-1].shape[-2:]
    for level in levels:
        pooled = module.pool_level(level, window).flatten(2).transpose(1, 2)
        torch.testing.assert_close(pooled[0], max_cells(level[0], 2))
    average = ContextPrompts(CHANNELS, WIDTH, pool='avg')
    assert [average.pool_level(level, window).shape[-2:].numel() for level in levels] == [64, 16, 4, 1]


def test_printed_channel_concatenation_makes_the_prompts_inert():
    """With one cell per scale there is one key: the softmax is 1, whatever the prompts are."""
    module = seeded(ContextPrompts(CHANNELS, WIDTH, context='channels'))
    prompts = module(pyramid())
    assert (prompts == prompts[:, :1]).all()
    (prompts * torch.randn_like(prompts)).sum().backward()
    assert not module.prompts.grad.any() and not module.query.weight.grad.any()
    assert not module.keys[0].weight.grad.any()
    assert module.values[0].weight.grad.any()

    module = seeded(ContextPrompts(CHANNELS, WIDTH))
    prompts = module(pyramid())
    assert (prompts[:, 0] - prompts[:, 1]).abs().max() > 1e-3
    (prompts * torch.randn_like(prompts)).sum().backward()
    assert module.prompts.grad.any() and module.query.weight.grad.any() and module.keys[0].weight.grad.any()


# --- eqs. 3 to 7 ----------------------------------------------------------------------------------------------


def gated(module, vision, gathered):
    """Eqs. 6 and 7 from what a pixel gathered, as vectors."""
    gate = F.gelu(module.gate.weight.flatten(1) @ gathered + module.gate.bias)
    return (module.out.weight.flatten(1) @ gate + module.out.bias) * vision


def test_every_pixel_attends_to_the_words():
    module = seeded(LanguageGuidedAggregation(CHANNELS[1], WIDTH))
    vision = pyramid()[1]
    text, padding = words()
    image_idx = torch.tensor([1, 0, 0])
    got, scores = module(vision, text, padding, image_idx)
    height, width = vision.shape[-2:]
    for pair, image in enumerate(image_idx.tolist()):
        query = torch.einsum('cd,dhw->chw', module.query.weight.flatten(1), vision[image])
        query = query + module.query.bias[:, None, None]
        mean, variance = query.mean((1, 2), keepdim=True), query.var((1, 2), keepdim=True, unbiased=False)
        query = (query - mean) / torch.sqrt(variance + 1e-5)
        keys, values = module.key(text[pair]), module.value(text[pair])
        real = [w for w in range(text.shape[1]) if not padding[pair, w]]
        for y in range(height):
            for x in range(width):
                score = [float(query[:, y, x] @ keys[w]) / math.sqrt(CHANNELS[1]) for w in real]
                torch.testing.assert_close(scores[pair, y * width + x, real], torch.tensor(score).double())
                gathered = sum(weight * values[w] for weight, w in zip(softmax(score), real))
                torch.testing.assert_close(got[pair, :, y, x], gated(module, vision[image, :, y, x], gathered))


def test_padding_changes_nothing():
    module = seeded(LanguageGuidedAggregation(CHANNELS[1], WIDTH))
    vision = pyramid(1)[1]
    text, padding = words()
    image_idx = torch.zeros(1, dtype=torch.long)
    long, _ = module(vision, text[:1], padding[:1], image_idx)
    short, _ = module(vision, text[:1, :3], padding[:1, :3], image_idx)
    torch.testing.assert_close(long, short)


def test_printed_shapes_attend_to_language_channels():
    module = seeded(LanguageGuidedAggregation(CHANNELS[1], WIDTH, attend='channels', num_tokens=5))
    vision = pyramid()[1]
    text, padding = words(1)
    got, scores = module(vision, text, padding, torch.tensor([1]))
    height, width = vision.shape[-2:]
    assert scores.shape == (1, height * width, WIDTH)
    query = module.query(vision[1:])[0]  # (l_m, H, W)
    keys, values = module.key(text[0]), module.value(text[0])  # (l_m, D_l)
    for y, x in ((0, 0), (1, 3), (height - 1, width - 1)):
        score = [float(query[:, y, x] @ keys[:, d]) for d in range(WIDTH)]
        weights = softmax([value / math.sqrt(5) for value in score])
        gathered = sum(weight * values[:, d] for d, weight in enumerate(weights))
        torch.testing.assert_close(got[0, :, y, x], gated(module, vision[1, :, y, x], gathered))


# --- eqs. 8 to 13 ---------------------------------------------------------------------------------------------


def stage_scores(levels, tokens: int = 5):
    generator = torch.Generator().manual_seed(11)
    sizes = [tuple(level.shape[-2:]) for level in levels]
    scores = [torch.randn(len(levels[0]), h * w, tokens, generator=generator, dtype=torch.float64) for h, w in sizes]
    return scores, sizes


def deficit_by_loops(scores, sizes, padding, pair):
    height, width = sizes[-1]
    maps = []
    for score, (h, w) in zip(scores, sizes):
        p, q = h // height, w // width
        real = [t for t in range(score.shape[-1]) if not padding[pair, t]]
        cells = np.zeros((height, width))
        for y in range(h):
            for x in range(w):
                cells[y // p, x // q] += np.mean([float(score[pair, y * w + x, t]) for t in real]) / (p * q)
        maps.append((cells - cells.min()) / (cells.max() - cells.min()))
    return sum(abs(a - b) for a, b in zip(maps, maps[1:]))


def test_deficit_is_the_disagreement_of_neighboring_stages():
    levels = pyramid(3)
    scores, sizes = stage_scores(levels)
    _, padding = words()
    got = deficit_map(scores, sizes, padding)
    for pair in range(3):
        expected = deficit_by_loops(scores, sizes, padding, pair)
        np.testing.assert_allclose(got[pair].numpy(), expected, atol=1e-5)


def test_stages_that_agree_have_no_deficit_and_a_planted_difference_is_seen():
    sizes = [(16, 24), (8, 12), (4, 6), (2, 3)]
    scores = [torch.ones(1, h * w, 2) for h, w in sizes]
    assert not deficit_map(scores, sizes, None).any()
    grid = torch.zeros(2, 3)
    grid[1, 2] = 1
    scores[-1] = grid.view(1, -1, 1).expand(1, 6, 2)
    deficit = deficit_map(scores, sizes, None)
    assert deficit[0].flatten().argmax() == 5 and deficit[0, :, :2].sum() == 0


def test_regions_of_largest_deficit_ties_by_index():
    module = DeficitCompensation(CHANNELS, top_ratio=0.5, width=8)
    deficit = torch.tensor([[[0.2, 0.5, 0.5], [0.5, 0.1, 0.5]], [[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]])
    assert module.top_regions(deficit).tolist() == [[1, 2, 3], [5, 0, 1]]
    assert DeficitCompensation(CHANNELS, width=8).top_regions(torch.zeros(1, 15, 15)).shape == (1, 56)


def compensate_by_loops(module, levels, regions, stages):
    """Eqs. 11 to 13, region after region."""
    out = [level.clone() for level in levels]
    columns = levels[-1].shape[-1]
    for pair in range(len(regions)):
        for region in regions[pair].tolist():
            row, column = divmod(region, columns)
            parts, places = [], []
            for stage, project in zip(stages, module.proj_in):
                p = 1 << (len(levels) - 1 - stage)
                place = (slice(row * p, row * p + p), slice(column * p, column * p + p))
                patch = levels[stage][pair][:, place[0], place[1]]
                resized = F.interpolate(patch[None], (module.patch,) * 2, mode='bilinear', align_corners=False)[0]
                parts.append(project(resized.permute(1, 2, 0)))  # (8, 8, width)
                places.append((p, place))
            tokens = torch.cat(parts, -1).flatten(0, 1)
            normed = module.norm(tokens)
            attended = module.attention(normed[None], normed[None], normed[None])[0][0] + tokens
            for stage, project, (p, place) in zip(stages, module.proj_out, places):
                projected = project(attended).view(module.patch, module.patch, -1)
                step = module.patch // p
                update = torch.zeros(projected.shape[-1], p, p).double()
                for i in range(p):
                    for j in range(p):
                        cell = projected[i * step : (i + 1) * step, j * step : (j + 1) * step]
                        update[:, i, j] = cell.mean((0, 1))
                target = out[stage][pair][:, place[0], place[1]]
                target.copy_(target + update if module.write_back == 'add' else update)
    return out


@pytest.mark.parametrize('write_back', ['add', 'replace'])
@pytest.mark.parametrize('stages', [(0, 1, 2, 3), (2, 3), (3,)])
def test_compensation_is_attention_within_each_region(stages, write_back):
    module = seeded(DeficitCompensation(CHANNELS, stages, top_ratio=0.5, width=8, num_heads=4, write_back=write_back))
    levels = pyramid(3)
    scores, sizes = stage_scores(levels)
    _, padding = words()
    got = module(levels, scores, padding)
    regions = module.top_regions(deficit_map(scores, sizes, padding))
    expected = compensate_by_loops(module, levels, regions, stages)
    for stage, (a, b, before) in enumerate(zip(got, expected, levels)):
        torch.testing.assert_close(a, b)
        assert torch.equal(a, before) == (stage not in stages)
        untouched = [cell for cell in range(6) if cell not in regions[0].tolist()]
        p = 1 << (3 - stage)
        for cell in untouched:
            place = (slice(cell // 3 * p, cell // 3 * p + p), slice(cell % 3 * p, cell % 3 * p + p))
            assert torch.equal(a[0][:, place[0], place[1]], before[0][:, place[0], place[1]])


def test_compensation_starts_as_the_identity_and_without_regions_stays_it():
    levels = pyramid()
    scores, _ = stage_scores(levels)
    fresh = DeficitCompensation(CHANNELS, width=8).double()
    for a, b in zip(fresh(levels, scores, None), levels):
        torch.testing.assert_close(a, b)
    none = seeded(DeficitCompensation(CHANNELS, top_ratio=0.0, width=8))
    assert all(a is b for a, b in zip(none(levels, scores, None), levels))
    every = seeded(DeficitCompensation(CHANNELS, top_ratio=1.0, width=8))
    assert all((a != b).flatten(2).any(1).all() for a, b in zip(every(levels, scores, None), levels))


@pytest.mark.parametrize(
    'build',
    [
        lambda: ContextPrompts(CHANNELS, WIDTH, pool='mean'),
        lambda: ContextPrompts(CHANNELS, WIDTH, context='words'),
        lambda: ContextPrompts(CHANNELS, WIDTH, context='channels', pool='avg'),
        lambda: ContextPrompts(CHANNELS, WIDTH, scales=(0, 4)),
        lambda: ContextPrompts(CHANNELS, WIDTH, num_prompts=0),
        lambda: LanguageGuidedAggregation(4, WIDTH, attend='pixels'),
        lambda: DeficitCompensation(CHANNELS, stages=()),
        lambda: DeficitCompensation(CHANNELS, top_ratio=1.5),
        lambda: DeficitCompensation(CHANNELS, write_back='mix'),
        lambda: MutualInteractionDecoder(CHANNELS, WIDTH, mode='both'),
        lambda: MutualInteractionDecoder(CHANNELS, WIDTH, order='random'),
        lambda: MutualInteractionDecoder(CHANNELS, WIDTH, order='stacked', mode='parallel'),
        lambda: MutualInteractionDecoder(CHANNELS, WIDTH, embed_dims=40),
    ],
)
def test_choices_that_do_not_exist_are_refused(build):
    with pytest.raises(ConfigError):
        build()
