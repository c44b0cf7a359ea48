"""Networks compute, train and resume on a GPU as they do on the CPU, in whatever precision.

The bodies run on the CPU, too, so that a machine without a GPU tells when a test itself is broken.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from benchmarks.model import make_batch
from mmengine.registry import DefaultScope

from tests.models.localizers.crobim.test_crobim import tiny_crobim
from tests.models.localizers.lavt.test_lavt import tiny_lavt
from tests.models.localizers.mlcm.tiny import tiny_mlcm
from tests.models.tiny import tiny_network
from xemap.models.build import quiet
from xemap.registry import MODELS

READER = dict(language_model=dict(type='WordSentenceEncoder', name='minilm'), text_width=None)
CONFIGS = {
    'xemap': tiny_network(),
    'crobim': tiny_crobim(),
    'lavt': tiny_lavt(),
    'mlcm': tiny_mlcm(**READER, num_added=1, grid=(4, 4)),
}
SIZE = (64, 64)
DEVICES = ['cpu', pytest.param('cuda', marks=pytest.mark.gpu)]


@pytest.fixture(params=DEVICES)
def device(request) -> str:
    if request.param == 'cuda' and not torch.cuda.is_available():
        pytest.skip('no GPU')
    return request.param


@pytest.fixture(scope='module', params=CONFIGS)
def network(request) -> Any:
    """On the CPU, in eval mode; tests work on copies."""
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('xemap'), quiet():
        model = MODELS.build(CONFIGS[request.param])
        model.init_weights()
    return model.eval()


def losses(model: Any, batch: dict) -> torch.Tensor:
    given = model.data_preprocessor(copy.deepcopy(batch), training=False)
    return sum(value for name, value in model(**given, mode='loss').items() if 'loss' in name)


def test_answers_and_gradients_are_those_of_the_cpu(network, device):
    batch, results = make_batch([3, 1], SIZE), []
    for place in ('cpu', device):
        model = copy.deepcopy(network).to(place)
        given = model.data_preprocessor(copy.deepcopy(batch), training=False)
        with torch.no_grad():
            answers = model(**given, mode='tensor').float().cpu()
        losses(model, batch).backward()
        gradients = torch.cat([p.grad.flatten().cpu() for p in model.parameters() if p.grad is not None])
        results.append((answers, gradients))
    (answers, gradients), (others, other_gradients) = results
    torch.testing.assert_close(answers, others, atol=1e-3, rtol=1e-3)
    # Of millions of numbers a few lie where a bilinear weight has two gradients.
    assert (gradients - other_gradients).norm() < 1e-2 * gradients.norm() and gradients.norm() > 0


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_training_in_half_precision_stays_finite_and_learns(network, device, dtype):
    model = copy.deepcopy(network).to(device).train()
    batch, steps = make_batch([3, 1], SIZE), 2 if device == 'cpu' else 100
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    scaler = torch.amp.GradScaler(device, init_scale=2.0**10, enabled=dtype == torch.float16)
    seen = []
    for _ in range(steps):
        with torch.autocast(device, dtype=dtype):
            loss = losses(model, batch)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        scaler.step(optimizer)
        scaler.update()
        seen.append((loss.item(), norm.item()))
    values = torch.tensor(seen)
    assert values[:, 0].isfinite().all()
    assert values[:, 1].isfinite().float().mean() > 0.9  # the scaler may pass a step over
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    if device != 'cpu':
        assert values[-10:, 0].mean() < values[:10, 0].mean()


def test_going_on_from_saved_states_is_exact(network, device, tmp_path):
    """Two steps, or one, saved and read back, and one more."""
    batch = make_batch([2, 1], SIZE)

    def train(model: Any, optimizer: torch.optim.Optimizer, step: int) -> None:
        torch.manual_seed(step)
        optimizer.zero_grad()
        losses(model.train(), batch).backward()
        optimizer.step()

    def start() -> tuple[Any, torch.optim.Optimizer]:
        model = copy.deepcopy(network).to(device)
        return model, torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)

    whole, optimizer = start()
    train(whole, optimizer, 0)
    torch.save((whole.state_dict(), optimizer.state_dict()), tmp_path / 'one.pth')
    train(whole, optimizer, 1)
    parts, optimizer = start()
    weights, state = torch.load(tmp_path / 'one.pth', map_location=device)
    parts.load_state_dict(weights)
    optimizer.load_state_dict(state)
    train(parts, optimizer, 1)
    first, second = (torch.cat([p.detach().flatten() for p in model.parameters()]) for model in (whole, parts))
    if device == 'cpu':
        assert torch.equal(first, second)
    else:  # sums of atomic additions differ in their last digits, which AdamW turns into steps of other sign
        assert (first - second).abs().max() < 3e-4 and (first - second).norm() < 1e-3 * first.norm()
