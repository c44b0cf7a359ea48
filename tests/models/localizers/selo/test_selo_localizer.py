from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope

from tests.models.localizers.localizer_tester import TEXTS, LocalizerTester, make_samples
from tests.models.localizers.selo import slow
from tests.models.localizers.selo.toy import ToyRetrieval, raw_images, similarity_of
from xemap.errors import ConfigError, DataError
from xemap.models.localizers.selo import STAGES, SeLoLocalizer
from xemap.models.localizers.selo.selo_localizer import cut_slices
from xemap.registry import MODELS

V1 = dict(type='SeLoV1Generator', scales=(16, 32), median=9)
V2 = dict(type='SeLoV2Generator', tile=16, boxes=(4, 8), blur=9)


def config(generator: dict = V1, **overrides) -> dict:
    return dict(type='SeLoLocalizer', retrieval=dict(type='ToyRetrieval'), generator=generator, **overrides)


def localize(model: SeLoLocalizer, image: torch.Tensor, texts: list[str]) -> torch.Tensor:
    """(Q, H, W) maps of one (3, H, W) image."""
    (answers,) = model.localize([image.permute(1, 2, 0).numpy()], [texts])
    return torch.from_numpy(answers.maps())


def build(generator: dict = V1, **overrides) -> SeLoLocalizer:
    with DefaultScope.overwrite_default_scope('xemap'):
        return MODELS.build(config(generator, **overrides)).eval()


class TestSeLoV1(LocalizerTester):
    config = config(V1)


class TestSeLoV2(LocalizerTester):
    config = config(V2)


@pytest.mark.parametrize('size', [(40, 60), (37, 16), (1, 50), (9, 9)])
def test_v1_is_the_protocol_step_by_step(size):
    image, texts = raw_images(1, size)[0], ['a red roof', 'green fields']
    model = build(batch_size=5)
    for text, map in zip(texts, localize(model, image, texts)):
        expected = slow.v1(size, (16, 32), similarity_of(model.retrieval, image, text), 9)
        # A similarity in a batch differs in its last bit, and truncation can make a level of that.
        assert np.abs(np.rint(map.numpy() * 255) - expected).max() <= 1


@pytest.mark.parametrize('size', [(40, 60), (50, 16), (1, 50), (9, 9)])
def test_v2_is_the_protocol_step_by_step(size):
    image, texts = raw_images(1, size)[0], ['a red roof', 'green fields next to blue water']
    model = build(V2, batch_size=5)
    for text, map in zip(texts, localize(model, image, texts)):
        each = [similarity_of(model.retrieval, image, phrasing) for phrasing in model.generator.phrasings(text)]
        expected = slow.v2(size, 16, (4, 8), lambda box: np.mean([score(box) for score in each]), 9)  # noqa: B023
        assert np.abs(np.rint(map.numpy() * 255) - expected).max() <= 1


@pytest.mark.parametrize('generator', [V1, V2])
def test_the_map_is_highest_where_the_query_is(generator):
    map = localize(build(generator), raw_images(1, (64, 64))[0], ['red'])[0]
    inside = torch.zeros(64, 64, dtype=torch.bool)
    inside[32:, 32:] = True
    assert inside.flatten()[map.argmax()]
    assert map[inside].mean() > 2 * map[~inside].mean()


def test_slices_are_encoded_once_for_all_queries_and_texts_once():
    model = build(batch_size=7)
    image = raw_images(1, (64, 96))[0]
    localize(model, image, [TEXTS[0]])
    once = list(model.retrieval.images_seen)
    assert max(once) == 7 and sum(once) == len(slow.tiles((64, 96), (16, 32), lambda step: (0, step // 2)))
    model.retrieval.images_seen.clear()
    model.retrieval.texts_seen.clear()
    maps = localize(model, image, [*TEXTS, TEXTS[0]])
    assert model.retrieval.images_seen == once
    assert model.retrieval.texts_seen == TEXTS
    assert torch.equal(maps[0], maps[-1])


@pytest.mark.parametrize('batch_size', [1, 3, 1000])
def test_the_batch_size_changes_nothing(batch_size):
    image = raw_images(1, (48, 60))[0]
    for generator in (V1, V2):
        maps, expected = (localize(build(generator, batch_size=n), image, TEXTS) for n in (batch_size, 64))
        assert (maps - expected).abs().max() <= 1 / 255 + 1e-6


def test_slices_are_cut_out_and_resized_without_smoothing():
    image = raw_images(1, (30, 40))[0].numpy()
    same = cut_slices(image, np.array([[3, 5, 11, 13], [32, 22, 40, 30]]), 8)
    larger = cut_slices(image, np.array([[0, 0, 40, 30]]), 64)
    assert np.array_equal(same[0], image[:, 5:13, 3:11]) and np.array_equal(same[1], image[:, 22:, 32:])
    exact = torch.nn.functional.interpolate(
        torch.from_numpy(image)[None].double(), (64, 64), mode='bicubic', align_corners=False
    )
    assert np.abs(larger - exact.clamp(0, 255).numpy()).max() < 1


def test_goes_through_the_preprocessor_with_images_of_several_sizes():
    model = build()
    batch = [
        {'inputs': raw_images(1, size)[0], 'data_samples': make_samples([TEXTS[:2]], size)[0]}
        for size in ((40, 50), (64, 33))
    ]
    samples = model.test_step(pseudo_collate(batch))
    assert [sample.answers.maps().shape for sample in samples] == [(2, 40, 50), (2, 64, 33)]


def test_the_stages_are_timed():
    model = build()
    assert model.stage_seconds == dict.fromkeys(STAGES, 0.0)
    localize(model, raw_images(1, (64, 96))[0], TEXTS)
    assert tuple(model.stage_seconds) == STAGES and all(seconds > 0 for seconds in model.stage_seconds.values())
    first = dict(model.stage_seconds)
    localize(model, raw_images(1, (64, 96))[0], TEXTS)
    assert all(model.stage_seconds[stage] > first[stage] for stage in STAGES)
    model.reset_stage_seconds()
    assert sum(model.stage_seconds.values()) == 0


def test_weights_of_the_retrieval_model_fit(tmp_path: Path):
    trained = ToyRetrieval()
    torch.nn.init.normal_(trained.mix)
    model = build()
    assert list(model.state_dict()) == ['retrieval.mix']
    for state in (trained.state_dict(), {'retrieval.mix': trained.mix.detach()}):
        torch.nn.init.zeros_(model.retrieval.mix)
        model.load_state_dict(state)
        assert torch.equal(model.retrieval.mix, trained.mix)


def test_an_image_that_is_one_slice_has_an_empty_map_and_one_warning(log_collector):
    model = build(dict(type='SeLoV1Generator'))
    for _ in range(2):
        maps = localize(model, raw_images(1, (200, 180))[0], TEXTS[:2])
        assert maps.shape == (2, 200, 180) and maps.max() == 0
    assert '180 x 200 pixels' in log_collector.messages[0] and log_collector.levels == [logging.WARNING]


def test_misuse_is_named():
    model, image = build(), raw_images(1, (32, 32))
    with pytest.raises(ConfigError, match='does not train'):
        model(image, make_samples([TEXTS[:1]], (32, 32)), mode='loss')
    with pytest.raises(ConfigError, match='"predic" is unknown'):
        model(image, make_samples([TEXTS[:1]], (32, 32)), mode='predic')
    with pytest.raises(ConfigError, match=r'uint8 images \(H, W, 3\), not float32'):
        model(image.float(), make_samples([TEXTS[:1]], (32, 32)), mode='predict')
    with pytest.raises(ConfigError, match='batch_size=0'):
        build(batch_size=0)
    torch.nn.init.constant_(model.retrieval.mix, float('nan'))
    with pytest.raises(DataError, match=f'ToyRetrieval gives "{TEXTS[0]}"'):
        model(image, make_samples([TEXTS[:1]], (32, 32)), mode='predict')
