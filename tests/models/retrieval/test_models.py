"""What every word-based retrieval model must do, and the layer sizes that were published."""

from __future__ import annotations

import pytest
import torch
from mmengine.registry import DefaultScope

from tests.models.retrieval.conftest import TEXTS, WORDS, build, images, samples
from xemap.errors import ConfigError, DataError
from xemap.models.retrieval import SCAN, Vocabulary
from xemap.models.retrieval.lw_mcr import LWMCR, SPLIT, grid_sides
from xemap.registry import MODELS


def test_contract(kind):
    model = build(kind)
    assert model.image_size == 64 and len(model.mean) == len(model.std) == 3 and min(model.std) > 1
    with torch.no_grad():
        pictures, texts = model.encode_images(images(3)), model.encode_texts(TEXTS)
    assert pictures.shape == (3, 16) and texts.shape == (4, 16)
    for vectors in (pictures, texts):
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(vectors)))
    assert (pictures[0] - pictures[1]).abs().max() > 1e-3 and (texts[0] - texts[1]).abs().max() > 1e-3


def test_nothing_depends_on_the_batch(kind):
    model = build(kind)
    with torch.no_grad():
        texts, pictures = model.encode_texts(TEXTS), model.encode_images(images(3))
        for i, text in enumerate(TEXTS):
            torch.testing.assert_close(model.encode_texts([text])[0], texts[i], atol=1e-6, rtol=0)
        torch.testing.assert_close(model.encode_images(images(3)[1:2])[0], pictures[1], atol=1e-5, rtol=0)
        table = model.similarity(model.image_features(images(3)), model.text_features(TEXTS))
        for i, text in enumerate(TEXTS):
            alone = model.similarity(model.image_features(images(3)), model.text_features([text]))
            torch.testing.assert_close(alone[:, 0], table[:, i], atol=1e-5, rtol=0)


def test_the_order_of_words_matters_where_it_can(kind):
    """A GRU reads them in order, the convolution sees neighbors."""
    model = build(kind)
    with torch.no_grad():
        one, other = model.encode_texts(['river between road and tanks', 'tanks between river and road'])
    assert (one - other).abs().max() > 1e-4


def test_loss_reaches_every_parameter(kind):
    model = build(kind, loss=dict(type='ContrastiveLoss')).train()
    losses = model(images(4), samples([[text] for text in TEXTS]), mode='loss')
    sum(losses.values()).backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # of a ResNet 2 x 2 cells are left of 64 pixels, and of LW-MCR's single cells a ReLU may shut some
    assert [name for name in idle if not name.startswith(('backbone.', 'features.', 'stages.'))] == []
    assert len(idle) < 0.2 * len(list(model.parameters()))


def test_two_steps_of_training_lower_the_loss(kind):
    model = build(kind, loss=dict(type='HardTripletLoss', hardest=False)).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    batch = images(4), samples([[text] for text in TEXTS])
    values = []
    for _ in range(8):
        loss = sum(model(*batch, mode='loss').values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert values[-1] < values[0]


def test_same_image_and_same_words_are_no_negatives(monkeypatch):
    model = build('VSEPP')
    seen = {}
    monkeypatch.setattr(model.criterion, 'forward', lambda s, matching: seen.update(m=matching) or s.sum())
    texts = [['river', 'road'], ['a river'], ['River'], ['the road']]
    model(images(4), samples(texts, indices=[7, 8, 9, 8]), mode='loss')
    # pairs: (7, river), (7, road), (8, a river), (9, River), (8, the road)
    expected = torch.eye(5, dtype=torch.bool)
    for i, j in ((0, 1), (2, 4), (0, 3)):
        expected[i, j] = expected[j, i] = True
    assert torch.equal(seen['m'], expected)


def test_modes(kind):
    model = build(kind)
    texts = [TEXTS[:1], TEXTS[1:]]
    with torch.no_grad():
        table = model(images(2), samples(texts))
        predicted = model(images(2), samples(texts), mode='predict')
    assert table.shape == (2, 4)
    assert [len(sample.text_features) for sample in predicted] == [1, 3]
    again = model.similarity(torch.stack([s.image_features for s in predicted]), predicted[1].text_features)
    torch.testing.assert_close(again, table[:, 1:], atol=1e-5, rtol=0)
    with pytest.raises(ConfigError, match='mode "train" is unknown'):
        model(images(2), samples(texts), mode='train')
    with pytest.raises(ConfigError, match='0.png has no text'):
        model(images(1), samples([[]]), mode='loss')


def test_wrong_input(kind):
    model = build(kind)
    with pytest.raises(ConfigError, match=r'takes images of 64 x 64 pixels, got \(1, 3, 96, 96\)'):
        model.encode_images(images(1, 96))
    with pytest.raises(DataError, match="query ' ' is empty"):
        model.encode_texts(['river', ' '])


def test_a_query_of_unknown_words_warns_once_and_has_a_vector(kind, log):
    model = build(kind)
    with torch.no_grad():
        for _ in range(2):
            vector = model.encode_texts(['xyzzy plugh', 'plugh xyzzy', 'the river'])[0]
        same = model.encode_texts(['foo bar'])[0]
    assert vector.norm().item() == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(vector, same)
    assert [m[:40] for m in log if 'has no word of the vocabulary' in m] == [
        'query "xyzzy plugh" has no word of the v',
        'query "foo bar" has no word of the vocab',
    ]
    assert [m for m in log if 'unknown words:' in m] == ['2 unknown words: xyzzy, plugh', '2 unknown words: foo, bar']


def test_without_a_vocabulary_it_says_what_to_do(kind):
    model = build(kind, vocabulary=dict(ann_file='no/captions.json'))
    with pytest.raises(ConfigError, match='vocabulary is empty: captions file no/captions.json does not exist; load'):
        model.encode_texts(['river'])
    with pytest.raises(ConfigError, match='give ann_file'):
        build(kind, vocabulary=dict(file='x'))


# Published sizes


def full(kind: str, **options) -> torch.nn.Module:
    with DefaultScope.overwrite_default_scope('xemap'):
        return MODELS.build(dict(type=kind, vocabulary=WORDS, **options)).eval()


def shapes_of(model, *names) -> dict[str, tuple[int, ...]]:
    """Output shapes of sub-modules for one image."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name in names:
        model.get_submodule(name).register_forward_hook(
            lambda m, i, out, name=name: shapes.update({name: tuple(out.shape[1:])})
        )
    with torch.no_grad():
        model.encode_images(images(1, 256))
        model.encode_texts(TEXTS[:1])
    return shapes


def test_published_sizes_of_amfmn():
    model = full('AMFMN')
    shapes = shapes_of(model, 'backbone.layer1', 'backbone.layer2', 'backbone.layer3', 'backbone.layer4', 'scales.low',
                      'scales.high', 'scales.main', 'scales.attention', 'scales.fc', 'image_fc', 'text_fc')  # fmt: skip
    assert shapes == {
        'backbone.layer1': (64, 64, 64), 'backbone.layer2': (128, 32, 32), 'backbone.layer3': (256, 16, 16),
        'backbone.layer4': (512, 8, 8), 'scales.low': (3, 16, 16), 'scales.high': (3, 16, 16),
        'scales.main': (1, 16, 16), 'scales.attention': (1, 16, 16), 'scales.fc': (512,), 'image_fc': (512,),
        'text_fc': (512,),
    }  # fmt: skip
    assert model.scales.low.in_channels == 192 and model.scales.low.kernel_size == (3, 3)
    assert model.scales.high.in_channels == 768 and model.scales.fc.in_features == 256
    assert model.text.rnn.hidden_size == model.text_fc.in_features == 2400


def test_published_sizes_of_lw_mcr():
    model = full('LWMCR')
    shapes = shapes_of(model, f'features.{SPLIT - 1}', 'features.12', 'low', 'high', 'stages.0', 'stages.1', 'image_fc')
    assert shapes == {
        'features.4': (128, 63, 63), 'features.12': (512, 15, 15), 'low': (64, 32, 32), 'high': (64, 32, 32),
        'stages.0': (4, 16, 16), 'stages.1': (8, 8, 8), 'image_fc': (512,),
    }  # fmt: skip
    assert model.low[0].kernel_size == (3, 3) and model.high[0].kernel_size == (1, 1)
    assert model.text.words.weight.shape[1] == 300
    assert [(c.kernel_size, c.out_channels) for c in model.text.convs] == [((3,), 100), ((4,), 100), ((5,), 100)]
    assert model.text.fc.out_features == 512


def test_sizes_of_vse_and_scan():
    model = full('VSEPP')
    assert shapes_of(model, 'image_fc') == {'image_fc': (1024,)} and model.text.rnn.hidden_size == 1024
    scan = full('SCAN')
    with torch.no_grad():
        assert scan.image_features(images(1, 256)).shape == (1, 64, 1024)
        assert [tuple(w.shape) for w in scan.text_features(TEXTS[:2])] == [(1, 1024), (7, 1024)]


def test_the_gate_of_amfmn_step_by_step():
    model = build('AMFMN')
    gate = model.scales
    with torch.no_grad():
        one, two, three, four = levels = model.backbone(images(2))
        double = torch.nn.Upsample(scale_factor=2, mode='bilinear', align_corners=False)
        low, high = gate.low(torch.cat([one, double(two)], 1)), gate.high(torch.cat([three, double(four)], 1))
        mean = (high[:, 0] + high[:, 1] + high[:, 2]) / 3
        six = [channel + mean for part in (low, high) for channel in part.unbind(1)]
        main = sum(w * c for w, c in zip(gate.main.weight.flatten(), six)) + gate.main.bias
        weigh = sum(w * c for w, c in zip(gate.attention.weight.flatten(), six)) + gate.attention.bias
        expected_gate = torch.sigmoid(gate.fc((main * torch.sigmoid(weigh)).flatten(1)))
        torch.testing.assert_close(gate(levels), expected_gate)
        whole = model.image_fc(four.flatten(2).mean(2)) * expected_gate
        expected = whole / whole.pow(2).sum(1, keepdim=True).sqrt()
        torch.testing.assert_close(model.encode_images(images(2)), expected)


def test_the_product_of_lw_mcr_step_by_step():
    model = build('LWMCR')
    seen = {}
    model.stages.register_forward_hook(lambda module, given, out: seen.update(scene=given[0]))
    with torch.no_grad():
        model.encode_images(images(1))
        early = model.features[:SPLIT](images(1))
        late = torch.nn.Upsample(scale_factor=2, mode='bilinear', align_corners=False)(model.features[SPLIT:](early))
        low, high = model.low(early)[0], model.high(late)[0]
    assert low.shape == high.shape
    product = torch.stack([torch.stack([(a * b).mean() for b in high]) for a in low])
    root = torch.sqrt(product + 1e-5)
    torch.testing.assert_close(seen['scene'][0, 0], root / root.pow(2).sum(0, keepdim=True).sqrt())


@pytest.mark.parametrize('size', [64, 100, 127, 128, 200, 256])
def test_grid_of_lw_mcr_is_foreseen(size):
    low, high = grid_sides(size)
    if low != high:
        with pytest.raises(ConfigError, match=f'have {low} and {high} cells per side'):
            LWMCR(WORDS, image_size=size)
        return
    model = LWMCR(WORDS, image_size=size).eval()
    with torch.no_grad():
        first = model.features[:SPLIT](images(1, size))
        assert model.low(first).shape[-1] == low
        assert model.encode_images(images(1, size)).shape == (1, 512)


def test_amfmn_takes_multiples_of_32():
    with pytest.raises(ConfigError, match='multiple of 32'):
        build('AMFMN', image_size=100)


def test_backbone_weights_by_file(tmp_path):
    from torchvision.models import resnet18, squeezenet1_1

    from xemap.errors import CheckpointError

    for network, kind in ((resnet18(), 'VSEPP'), (squeezenet1_1(), 'LWMCR')):
        path = tmp_path / f'{kind}.pth'
        torch.save(network.state_dict(), path)
        with DefaultScope.overwrite_default_scope('xemap'):
            model = MODELS.build(dict(type=kind, vocabulary=WORDS, backbone_weights=str(path)))
            model.init_weights()
        name = 'backbone.layer2.0.conv1' if kind == 'VSEPP' else 'features.12.expand3x3'
        assert torch.equal(
            model.get_submodule(name).weight, network.get_submodule(name.removeprefix('backbone.')).weight
        )
    wrong = build('LWMCR', backbone_weights=None)
    wrong.backbone_weights = str(tmp_path / 'VSEPP.pth')
    with pytest.raises(CheckpointError, match='is no SqueezeNet 1.1'):
        wrong.init_weights()


def test_stop_words_left_out_on_purpose_are_not_reported(log):
    model = build('VSEPP', vocabulary=Vocabulary(['river'], drop_stop_words=True))
    model.encode_texts(['the river below a bridge'])
    assert [m for m in log if 'unknown words:' in m] == ['1 unknown words: bridge']


def test_pooled_vectors_of_scan_are_its_similarity_without_attention():
    scan: SCAN = build('SCAN')
    with torch.no_grad():
        regions, words = scan.image_features(images(2)), scan.text_features(TEXTS)
        means = torch.stack([regions.flatten(1, 1).mean(1) @ tokens.mean(0) for tokens in words], 1)
        scales = [torch.outer(regions.mean(1).norm(dim=1), tokens.mean(0).norm()[None])[:, 0] for tokens in words]
        pooled = scan.encode_images(images(2)) @ scan.encode_texts(TEXTS).T
    torch.testing.assert_close(pooled * torch.stack(scales, 1), means)
