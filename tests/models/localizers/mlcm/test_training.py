"""What trains, at which rate, and that it learns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS, DefaultScope

from tests.models.localizers.config_changes import changes
from tests.models.localizers.localizer_tester import TEXTS, make_images
from tests.models.localizers.mlcm.test_arithmetic import ABLATIONS
from tests.models.localizers.mlcm.tiny import TEXT_WIDTH, build, tiny_mlcm
from tests.models.localizers.two_squares import two_squares
from xemap.datasets.transforms import RandomScaleCrop
from xemap.engine import load_config
from xemap.evaluation import box_metrics
from xemap.models.localizers.mlcm import WordSentenceEncoder
from xemap.registry import TRANSFORMS
from xemap.structures import PolygonRegion, Query, XeMapDataSample

CONFIGS = Path(__file__).parents[4] / 'configs/mlcm'
PAPER = 'mlcm_r50_bert_640_dior-rsvg'
READER = dict(language_model=dict(type='WordSentenceEncoder', name='minilm'), text_width=None)


def samples(queries: list[list[str]], size: int) -> list[XeMapDataSample]:
    made = []
    for texts in queries:
        sample = XeMapDataSample(metainfo={'img_shape': (size, size), 'ori_shape': (size, size)})
        sample.texts = texts
        sample.gt_boxes = torch.tensor([[8.0 + 4 * i, 10, 60, 70 + i] for i in range(len(texts))])
        made.append(sample)
    return made


@pytest.fixture(scope='module')
def paper():
    """The paper's network with the packaged text encoder, and its config."""
    config = load_config(CONFIGS / f'{PAPER}.py')
    config.model.update(detr=None)
    config.model.language_model.name = 'minilm'
    return build(config.model), config


def rates(model, config) -> dict[str, float]:
    with DefaultScope.overwrite_default_scope('xemap'):
        groups = build_optim_wrapper(model, config.optim_wrapper).param_groups
    rate = {id(parameter): group['lr'] for group in groups for parameter in group['params']}
    return {name: rate[id(p)] for name, p in model.named_parameters() if id(p) in rate}


def parts(model) -> dict[str, int]:
    return {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}


def test_parameters_of_every_part(paper):
    model, _ = paper
    count = parts(model)
    norms = sum(p.numel() for name, p in model.backbone.named_parameters() if 'bn' in name or 'downsample.1' in name)
    assert count['backbone'] - norms == 23_454_912
    assert count['levels'] == 524_544 + 1_213_568
    assert count['decoder'] == 1_579_264
    assert count['encoder'] == 7_890_432
    assert count['head'] == 66_820
    width = model.language_model.width
    assert count['text_proj'] == width * 256 + 256 and count['text_pos'] == 41 * 256
    assert count['fusion'] == 7_890_432 + 112_896 + 256 + 65_792 + width * 256 + 256
    frozen = [p for name, p in model.backbone.named_parameters() if not p.requires_grad]
    assert sum(p.numel() for p in frozen) - norms == 222_400


def test_rates_of_the_authors_before_and_after_epoch_60(paper):
    model, config = paper
    for name, rate in rates(model, config).items():
        assert rate == pytest.approx(1e-4 if name.split('.')[0] in ('fusion', 'head') else 1e-5), name
    with DefaultScope.overwrite_default_scope('xemap'):
        wrapper = build_optim_wrapper(model, config.optim_wrapper)
        scheduler = PARAM_SCHEDULERS.build(dict(config.param_scheduler[0], optimizer=wrapper))
    before = [group['lr'] for group in wrapper.param_groups]
    for epoch in range(1, 61):
        wrapper.optimizer._opt_called = True
        scheduler.step()
        factor = 0.1 if epoch >= 60 else 1
        assert [group['lr'] for group in wrapper.param_groups] == pytest.approx([factor * lr for lr in before])


def test_rates_as_printed(paper):
    printed = rates(paper[0], load_config(CONFIGS / f'{PAPER}_lr-as-printed.py'))
    pretrained = ('backbone.', 'levels.input_proj', 'encoder.', 'fusion.layers', 'language_model.')
    for name, rate in printed.items():
        assert rate == pytest.approx(1e-5 if name.startswith(pretrained) else 1e-4), name


def test_stem_first_stage_and_norms_stay_as_they_are(paper):
    model, config = paper
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with DefaultScope.overwrite_default_scope('xemap'):
        wrapper = build_optim_wrapper(model, config.optim_wrapper)
    model.train()
    losses = model(make_images(1, (480, 480)), samples([TEXTS[:1]], 480), mode='loss')
    wrapper.update_params(sum(losses.values()))
    model.eval()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    for name in before:
        kept = name.startswith(('backbone.conv1', 'backbone.layer1')) or '.bn' in name or 'downsample.1' in name
        if name.startswith('backbone'):
            assert (name in changed) != kept, name
    assert {name.split('.')[0] for name in changed} == {
        'backbone', 'levels', 'language_model', 'text_proj', 'text_pos', 'decoder', 'encoder', 'fusion', 'head',
    }  # fmt: skip


@pytest.mark.parametrize(
    'options',
    [*(dict(memory=memory) for memory in ABLATIONS.values()), dict(num_decoder_layers=0), dict(num_decoder_layers=2)],
    ids=[*ABLATIONS, 'a', 'L2'],
)
def test_every_parameter_has_a_gradient(options):
    model = build(tiny_mlcm(**READER, **options)).train()
    losses = model(make_images(2, (128, 128)), samples([TEXTS[:2], TEXTS[2:]], 128), mode='loss')
    sum(losses.values()).backward()
    assert [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


LEGACY_TRAIN = [
    dict(type='LoadImage'),
    dict(type='Letterbox', size=(640, 640), color=(103.5, 116.3, 123.7)),
    dict(type='GenerateBoxes'),
    dict(type='PackXeMapInputs'),
]
"""The border is 123.7, 116.3, 103.5 in the BGR image."""
CHANGED: dict[str, dict] = {
    'a-no-mlcm': {'model.num_decoder_layers': 0},
    **{f'{name}-{"-".join(memory)}': {'model.memory': memory} for name, memory in ABLATIONS.items() if name != 'full'},
    'L2': {'model.num_decoder_layers': 2},
    'L6': {'model.num_decoder_layers': 6},
    'legacy': {
        'model.legacy': True,
        'model.data_preprocessor.rgb_to_bgr': True,
        'val_evaluator.protocol': 'legacy',
        'test_evaluator.protocol': 'legacy',
        'train_pipeline': LEGACY_TRAIN,
        'test_pipeline': [*LEGACY_TRAIN[:2], LEGACY_TRAIN[-1]],
        'train_dataloader.dataset.pipeline': LEGACY_TRAIN,
        'val_dataloader.dataset.pipeline': [*LEGACY_TRAIN[:2], LEGACY_TRAIN[-1]],
        'test_dataloader.dataset.pipeline': [*LEGACY_TRAIN[:2], LEGACY_TRAIN[-1]],
    },
}
"""What a config changes of the paper's, and nothing else."""


@pytest.mark.parametrize('name', CHANGED)
def test_a_config_changes_what_its_name_says_and_nothing_else(name):
    path = CONFIGS / f'{PAPER}_{name}.py'
    assert changes(path, CONFIGS / f'{PAPER}.py') == CHANGED[name]


def test_augmentation_keeps_referents_whole_and_boxes_on_them():
    """The last step finds the colored square where the box says; it is cropped, shrunk, moved and mirrored."""
    pipeline = [step for step in load_config(CONFIGS / f'{PAPER}_aug.py').train_pipeline if step.type != 'LoadImage']
    assert [step.type for step in pipeline[:3]] == ['RandomScaleCrop', 'Letterbox', 'RandomFlip']
    assert set(changes(CONFIGS / f'{PAPER}_aug.py', CONFIGS / f'{PAPER}.py')) == {
        'train_pipeline', 'train_dataloader.dataset.pipeline',
    }  # fmt: skip
    with DefaultScope.overwrite_default_scope('xemap'):
        steps = [TRANSFORMS.build(step) for step in pipeline if step.type != 'PhotometricAugment']  # moves nothing
    image = np.zeros((800, 800, 3), np.uint8)
    image[160:320, 480:560] = 255
    region = PolygonRegion([np.array([[480, 160], [560, 160], [560, 320], [480, 320]], float)])
    crops, placed = 0, set()
    for seed in range(16, 28):
        texts = ['the white hangar', 'the hangar on the right'][: 1 + seed % 2]
        results = dict(
            img=image.copy(), img_shape=(800, 800), ori_shape=(800, 800), rng=np.random.default_rng(seed),
            queries=[Query(text, region) for text in texts],
        )  # fmt: skip
        for step in steps:
            results = step(results)
            crops += bool(results.get('crop')) and isinstance(step, RandomScaleCrop)
            assert not (seed % 2 and results.get('crop'))  # a place in words: the image stays whole
        packed, sample = results['inputs'], results['data_samples']
        x0, y0, x1, y1 = sample.gt_boxes[0].tolist()
        seen = packed.float().mean(0) > 180
        rows, columns = seen.any(1).nonzero().flatten(), seen.any(0).nonzero().flatten()
        found = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        assert [float(v) for v in found] == pytest.approx([x0, y0, x1, y1], abs=2.5)
        placed.add((round(x0), round(y0)))
        if seed % 2:  # and is mirrored with its word
            content = sample.content
            side = 'right' if (x0 + x1) / 2 > (content[0] + content[2]) / 2 else 'left'
            assert side in sample.texts[1]
    assert crops >= 3 and len(placed) > 6


@pytest.mark.parametrize('path', sorted(CONFIGS.glob('*bert*.py')), ids=lambda path: path.stem)
def test_configs_build_what_their_name_says(path):
    config = load_config(path)
    config.model.update(detr=None, width=64, feedforward=64, num_encoder_layers=1, num_fusion_layers=1)
    config.model.language_model.name = 'minilm'
    config.model.backbone.update(init_cfg=None)
    model = build(config.model)
    number = {'_L2': 2, '_L6': 6}.get(path.stem[-3:], 0 if 'a-no-mlcm' in path.stem or 'transvg' in path.stem else 1)
    assert (0 if model.decoder is None else len(model.decoder.layers)) == number
    memory = {'b-': ABLATIONS['b'], 'c-': ABLATIONS['c'], 'd-': ABLATIONS['d'], 'e-': ABLATIONS['e']}
    named = [places for mark, places in memory.items() if f'rsvg_{mark}' in path.stem]
    assert model.memory == (named[0] if named else ABLATIONS['full'] if number else ())
    assert len(model.levels.added) == (3 if 'scales' in model.memory else 0)
    assert model.language_model.sentence == ('sentence' in model.memory)
    assert (model.language_model.model.pooler is not None) == ('sentence' in model.memory)
    legacy = path.stem.endswith('legacy')
    assert model.legacy == model.head.legacy == legacy != model.mask_text_padding
    assert config.model.data_preprocessor.get('rgb_to_bgr', False) == legacy
    assert config.test_evaluator.get('protocol', 'default') == ('legacy' if legacy else 'default')
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith('#')]
    assert len(lines) <= 3 or not named


def test_the_text_states():
    encoder = WordSentenceEncoder(name='minilm', max_tokens=12).eval()
    texts = ['the lake', 'a long row of storage tanks beside the harbour']
    with torch.no_grad():
        words, padding, sentence = encoder(texts)
        output = encoder.model(**encoder.encoder_inputs(texts), output_hidden_states=True)
        alone = encoder(texts[:1])
    torch.testing.assert_close(words, sum(output.hidden_states[-4:]) / 4)
    cls = output.last_hidden_state[:, 0]
    dense = encoder.model.pooler.dense
    torch.testing.assert_close(sentence, torch.tanh(cls @ dense.weight.T + dense.bias))
    assert padding.tolist() == [[False] * 4 + [True] * 8, [False] * 11 + [True]] or padding.shape[1] <= 12
    torch.testing.assert_close(alone[0][0], words[0, ~padding[0]], atol=1e-5, rtol=0)
    torch.testing.assert_close(alone[2][0], sentence[0], atol=1e-5, rtol=0)
    padded = WordSentenceEncoder(name='minilm', max_tokens=12, pad=True, sentence=False).eval()
    with torch.no_grad():
        again, always, nothing = padded(texts[:1])
    assert always.shape == (1, 12) and nothing is None and padded.model.pooler is None
    torch.testing.assert_close(again[:, :4], alone[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize('options', [{}, dict(sentence=False), dict(pad=True)], ids=['both', 'words', 'padded'])
def test_kept_text_states_are_those_of_the_encoder(options, monkeypatch):
    plain = WordSentenceEncoder(name='minilm', max_tokens=12, **options).eval()
    keeping = WordSentenceEncoder(name='minilm', max_tokens=12, cached_texts=3, **options).eval().requires_grad_(False)
    encoded = []
    make = keeping.encoder_inputs
    monkeypatch.setattr(keeping, 'encoder_inputs', lambda texts: encoded.extend(texts) or make(texts))
    for texts in (TEXTS[:2], TEXTS[:3], TEXTS[2:0:-1]):
        with torch.no_grad():
            words, padding, sentence = plain(texts)
        kept_words, kept_padding, kept_sentence = keeping(texts)
        assert torch.equal(kept_padding, padding)
        torch.testing.assert_close(kept_words[~padding], words[~padding], atol=1e-5, rtol=0)
        torch.testing.assert_close(kept_sentence, sentence, atol=1e-5, rtol=0)
        if options.get('pad'):  # the fusion sees padding, too
            torch.testing.assert_close(kept_words, words, atol=1e-5, rtol=0)
    assert encoded == TEXTS[:3]


def fit(model, losses: Callable[[], dict[str, torch.Tensor]], steps: int, rate: float) -> None:
    """Train in ``steps`` steps with a warm-up to ``rate``, and leave the model in eval mode."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        sum(losses().values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    model.eval()


@pytest.mark.slow
def test_learns_which_of_two_objects_a_text_means():
    """Eight pairs by heart: two queries of an image have different boxes, so the text must be used."""
    torch.manual_seed(0)
    size, generator = 64, torch.Generator().manual_seed(3)
    images, targets = torch.zeros(4, 3, size, size), []
    for image in images:
        for channel, (low, high) in enumerate(((2, 20), (34, 48))):
            x, y = torch.randint(low, high, (2,), generator=generator).tolist()
            w, h = torch.randint(9, 15, (2,), generator=generator).tolist()
            image[channel, y : y + h, x : x + w] = 2.0
            targets.append([float(v) for v in (x, y, x + w, y + h)])
    words = torch.randn(2, 3, TEXT_WIDTH, generator=generator)
    idx = torch.arange(4).repeat_interleave(2), torch.arange(2).repeat(4)
    given = dict(words=words[idx[1]], sentence=words.mean(1)[idx[1]], word_mask=torch.ones(8, 3), image_idx=idx[0])
    config = tiny_mlcm(num_added=1, grid=(4, 4), num_encoder_layers=1, num_fusion_layers=1)
    model = build(config)
    target_boxes = torch.tensor(targets)
    sample = XeMapDataSample()
    sample.gt_boxes = target_boxes
    fit(model, lambda: model.head.loss(model.forward_features(images, **given), [sample]), steps=400, rate=4e-3)

    def score(**changes):
        with torch.no_grad():
            boxes = model.head.corners(model.forward_features(images, **{**given, **changes}).box, (size, size))
        return box_metrics(boxes.numpy(), target_boxes.numpy())

    assert score()['pr@0.9'] == 1
    swapped = score(words=given['words'].flip(0), sentence=given['sentence'].flip(0))
    assert swapped['pr@0.5'] <= 0.25


def read_squares(memory: tuple[str, ...]) -> tuple[float, float, float]:
    """Train on made-up images for 300 steps; meanIoU in others: of the answers, of swapped texts, of the better floor.

    The floors are the boxes of the whole image and the mean of training. The made-up words stand for the two texts.
    """
    scenes, unseen = two_squares(256, seed=0), two_squares(64, seed=1)
    words = torch.randn(2, 3, TEXT_WIDTH, generator=torch.Generator().manual_seed(3))
    model = build(tiny_mlcm(num_added=1, grid=(4, 4), num_encoder_layers=1, num_fusion_layers=1, memory=memory))

    def extract(images, words):
        texts = dict(words=words.repeat(len(images), 1, 1), sentence=words.mean(1).repeat(len(images), 1))
        image_idx = torch.arange(len(images)).repeat_interleave(2)
        return model.forward_features(images, **texts, word_mask=torch.ones(len(image_idx), 3), image_idx=image_idx)

    generator = torch.Generator().manual_seed(0)

    def losses():
        batch = torch.randint(len(scenes[0]), (8,), generator=generator)
        return model.head.loss(extract(scenes[0][batch], words), [scenes[1][i] for i in batch])

    fit(model, losses, steps=300, rate=2e-3)
    boxes = torch.cat([scene.gt_boxes for scene in scenes[1]])
    targets = torch.cat([scene.gt_boxes for scene in unseen[1]])

    def mean_iou(answers):
        return box_metrics(answers.expand_as(targets).numpy(), targets.numpy())['meaniou']

    with torch.no_grad():
        right, swapped = (model.head.corners(extract(unseen[0], w).box, (64, 64)) for w in (words, words.flip(0)))
    floor = max(mean_iou(torch.tensor([0.0, 0, 64, 64])), mean_iou(boxes.mean(0)))
    return mean_iou(right), mean_iou(swapped), floor


def test_finds_what_a_text_means_in_images_it_has_not_seen():
    """Far above what needs neither image nor text; swapped texts give the other square's boxes."""
    right, swapped, floor = read_squares(ABLATIONS['full'])
    assert right > floor + 0.3
    assert swapped < floor


@pytest.mark.slow
def test_without_texts_in_the_memory_it_learns_to_read_later():
    """Ablation (b), whose words enter in the fusion only, still gives the same boxes for either text."""
    right, swapped, floor = read_squares(ABLATIONS['b'])
    assert floor < right < 0.45 and right - swapped < 0.1
