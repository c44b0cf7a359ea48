"""Loss, coordinates and score of the box head, against loops in plain Python."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
import torch

from xemap.errors import ConfigError
from xemap.models.localizers.mlcm import BoxHead
from xemap.structures import XeMapDataSample

SIZE = (480, 640)


def smooth_l1(p, t):
    return sum(0.5 * (a - b) ** 2 if abs(a - b) < 1 else abs(a - b) - 0.5 for a, b in zip(p, t))


def giou(p, t):
    """GIoU of x0, y0, x1, y1, with 1e-7 for boxes without area."""

    def area(b):
        return (b[2] - b[0]) * (b[3] - b[1])

    width, height = min(p[2], t[2]) - max(p[0], t[0]), min(p[3], t[3]) - max(p[1], t[1])
    shared = max(width, 0) * max(height, 0)
    union = max(area(p) + area(t) - shared, 1e-7)
    hull = (max(p[2], t[2]) - min(p[0], t[0])) * (max(p[3], t[3]) - min(p[1], t[1]))
    return shared / union - (max(hull, 1e-7) - union) / max(hull, 1e-7)


def corners(b):
    cx, cy, w, h = b
    return cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2


def center(b):
    x0, y0, x1, y1 = b
    return (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0


@pytest.mark.parametrize(('box_format', 'regression'), [('cxcywh', 0.05), ('xyxy', 0.04)])
@pytest.mark.parametrize('size', [(1, 1), SIZE])
def test_the_example_of_the_specification(box_format, regression, size):
    h, w = size
    target = torch.tensor([[0.5 * w, 0.2 * h, 0.7 * w, 0.6 * h]])
    losses = BoxHead(box_format=box_format).losses(torch.tensor([[0.5, 0.5, 0.4, 0.2]]), target, size)
    assert float(losses['loss_reg']) == pytest.approx(regression, abs=1e-6)
    assert float(losses['loss_iou']) == pytest.approx(0.916667, abs=1e-6)


@pytest.mark.parametrize('box_format', ['cxcywh', 'xyxy'])
@pytest.mark.parametrize('legacy', [False, True])
def test_a_thousand_boxes_against_plain_python(box_format, legacy):
    draw = random.Random(0)
    height, width = SIZE
    boxes, targets = [], []
    for i in range(1000):
        x, y = sorted((draw.uniform(0, width), draw.uniform(0, width))), sorted((draw.uniform(0, height), height))
        targets.append((x[0], y[0], x[1], y[1]) if i % 7 else (x[0], y[0], x[0] + 4, y[0] + 4))
        wild = [draw.uniform(-0.5, 1.5) for _ in range(4)]  # disjoint, nested, beyond the border, negative sides
        kinds = (wild, wild[:2] + [0.0, 0.1], wild[:2] + [0.0, 0.0], [0.5, 0.5, 1.2, 1.3])
        boxes.append(kinds[i % 4])
    head = BoxHead(box_format=box_format, legacy=legacy)
    losses = head.losses(torch.tensor(boxes).double(), torch.tensor(targets).double(), SIZE)
    scale = (width - 1, height - 1) * 2 if legacy else (width, height) * 2
    for i, (box, target) in enumerate(zip(boxes, torch.tensor(targets).float().tolist())):
        if legacy:
            target = [min(max(float(int(value)), 0), side) for value, side in zip(target, scale)]
            pixels = [min(max(v * side, 0), side) for v, side in zip(corners(box), scale)]
        else:
            pixels = [v * side for v, side in zip(corners((*box[:2], max(box[2], 0), max(box[3], 0))), scale)]
        parts = [value / side for value, side in zip(target, scale)]
        compared = (box, center(parts)) if box_format == 'cxcywh' else (corners(box), parts)
        assert float(losses['loss_reg'][i]) == pytest.approx(smooth_l1(*compared), abs=1e-5)
        if pixels[2] >= pixels[0] and pixels[3] >= pixels[1]:
            assert float(losses['loss_iou'][i]) == pytest.approx(1 - giou(pixels, target), abs=1e-5)
        assert bool(torch.isfinite(losses['loss_iou'][i]))


def test_gradients_are_those_of_the_formula():
    torch.manual_seed(0)
    boxes = (torch.rand(6, 4, dtype=torch.double) * 0.5 + 0.3).requires_grad_()
    targets = torch.tensor([[100.0, 90.0, 300.5, 250.25]] * 6).double()
    for head in (BoxHead(), BoxHead(legacy=True)):
        assert torch.autograd.gradcheck(lambda b, head=head: sum(head.losses(b, targets, SIZE).values()), boxes)
    inverted = torch.tensor([[0.5, 0.5, -0.3, -0.2]]).double().requires_grad_()
    losses = BoxHead().losses(inverted, targets[:1], SIZE)
    (gradient,) = torch.autograd.grad(sum(losses.values()).sum(), inverted)
    assert bool(torch.isfinite(gradient).all()) and bool((gradient[0, 2:] < 0).all())  # it grows out of there


@pytest.mark.parametrize('legacy', [False, True])
def test_an_exact_answer_has_no_loss_and_comes_back(legacy):
    target = torch.tensor([[64.0, 48.0, 320.0, 432.0]])
    scale = torch.tensor([639.0, 479, 639, 479] if legacy else [640.0, 480, 640, 480])
    box = torch.tensor([center((target / scale)[0].tolist())])
    head = BoxHead(legacy=legacy)
    assert float(sum(head.losses(box, target, SIZE).values())) == pytest.approx(0, abs=1e-6)
    torch.testing.assert_close(head.corners(box, SIZE), target, atol=1e-4, rtol=0)


def test_the_mean_is_over_pairs_of_all_ranks(monkeypatch):
    """Two ranks with 1 and 3 pairs: the mean of their losses, as DDP takes it of gradients, is that of one rank."""
    import xemap.models.heads.base as module

    torch.manual_seed(0)
    boxes, targets = torch.rand(4, 4), torch.rand(4, 4).sort(1).values * 400
    head = BoxHead()

    def loss(rows):
        sample = XeMapDataSample()
        sample.gt_boxes = targets[rows]
        return sum(head.loss(SimpleNamespace(box=boxes[rows], size=SIZE), [sample]).values())

    alone = loss(slice(None))
    monkeypatch.setattr(module, 'reduce_mean', lambda pairs: torch.tensor(2.0))
    assert float(loss(slice(0, 1)) + loss(slice(1, 4))) / 2 == pytest.approx(float(alone), abs=1e-6)


def test_activations():
    head = BoxHead(width=8, num_layers=3)
    assert [type(step).__name__ for step in head.layers] == ['Linear', 'ReLU', 'Linear', 'ReLU', 'Linear']
    with torch.no_grad():
        head.layers[-1].weight.zero_()
        head.layers[-1].bias[:] = torch.tensor([-50.0, 0, 50, 1])
        assert head(torch.zeros(1, 8)).tolist()[0] == pytest.approx([-0.5, 0.5, 1.5, 2 / (1 + 2.718281828**-1) - 0.5])
        head.activation = 'sigmoid'
        assert head(torch.zeros(1, 8)).tolist()[0][:3] == pytest.approx([0, 0.5, 1])
    with pytest.raises(ConfigError, match='activation "tanh"'):
        BoxHead(activation='tanh')
    with pytest.raises(ConfigError, match='box_format "ltrb"'):
        BoxHead(box_format='ltrb')


def test_the_score_learns_the_iou_and_absent_referents():
    torch.manual_seed(0)
    head = BoxHead(width=8, with_score=True)
    boxes = torch.tensor([[0.5, 0.5, 0.4, 0.4], [0.5, 0.5, 0.2, 0.4], [0.2, 0.2, 0.1, 0.1]])
    sample = XeMapDataSample()
    sample.gt_boxes = torch.tensor([[30.0, 30, 70, 70], [30, 30, 70, 70], [0, 0, 0, 0]])
    sample.texts = ['a', 'b', 'c']
    features = SimpleNamespace(box=boxes, fusion=torch.eye(8)[:3], size=(100, 100))
    losses = head.loss(features, [sample])
    logits = head.score(features.fusion)[:, 0]
    ious = torch.tensor([1, 0.5, 0])
    expected = -(ious * logits.sigmoid().log() + (1 - ious) * (1 - logits.sigmoid()).log()).mean()
    torch.testing.assert_close(losses['loss_score'], expected)
    # The absent one has no part in the losses of boxes.
    assert float(losses['loss_iou']) == pytest.approx((0 + 0.5) / 2, abs=1e-5)
    optimizer = torch.optim.Adam(head.parameters(), 0.1)
    for _ in range(200):
        optimizer.zero_grad()
        head.loss(features, [sample])['loss_score'].backward()
        optimizer.step()
    (answers,) = head.predict([features], [sample])
    assert answers.scores == pytest.approx([1, 0.5, 0], abs=0.05)
    assert BoxHead(width=8).predict([features], [sample])[0].scores.tolist() == [1, 1, 1]


def test_a_batch_without_any_referent_has_no_loss_and_finite_gradients():
    boxes = torch.rand(2, 4, requires_grad=True)
    sample = XeMapDataSample()
    sample.gt_boxes = torch.zeros(2, 4)
    total = sum(BoxHead().loss(SimpleNamespace(box=boxes, size=SIZE), [sample]).values())
    (gradient,) = torch.autograd.grad(total, boxes)
    assert float(total) == 0 and float(gradient.abs().max()) == 0
