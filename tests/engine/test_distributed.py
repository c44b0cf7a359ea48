"""Two ranks on the CPU do what one does."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
import torch

from tests.engine.toy import write_config
from tests.tools.small_run import write_run
from xemap.compat.checkpoint_loading import load_checkpoint_file
from xemap.engine import evaluate_model, load_config, train_model

# Plain gradient steps: Adam would turn a rounding difference of a gradient near zero into a full step.
SGD = {'optim_wrapper.optimizer': dict(type='SGD', lr=1.0, _delete_=True)}
TOY = {**SGD, 'model.dropout': 0.0}


def run_rank(rank: int, ranks: int, port: int, function, *args) -> None:
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(ranks), MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port)
    )
    function(*args)


def train(config: Path, options: dict, work_dir: Path, ranks: int) -> None:
    options = {**options, 'train_dataloader.batch_sampler.pairs_per_batch': 8 // ranks}
    train_model(load_config(config, options), work_dir, launcher='pytorch' if ranks > 1 else 'none')


def evaluate(config: Path, checkpoint: Path, out: Path, ranks: int) -> None:
    evaluate_model(load_config(config), checkpoint, out.parent, out=out, launcher='pytorch' if ranks > 1 else 'none')


@pytest.fixture
def on_two_ranks(start_process):
    def run(function, *args) -> None:
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            port = probe.getsockname()[1]
        processes = [start_process(run_rank, rank, 2, port, function, *args) for rank in range(2)]
        for process in processes:
            process.join(120)
        assert [process.exitcode for process in processes] == [0, 0]

    return run


@pytest.fixture
def on_one_rank(start_process):
    """In a process as well, so that it runs on the CPU where there is a GPU."""

    def run(function, *args) -> None:
        process = start_process(function, *args)
        process.join(120)
        assert process.exitcode == 0

    return run


def weights_after_two_epochs(folder: Path) -> dict:
    return load_checkpoint_file(folder / 'epoch_2.pth')['state_dict']


def assert_close(one: dict, two: dict, start: dict) -> None:
    moved = max((one[name] - start[name]).abs().max().item() for name in one)
    assert moved > 1e-4
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, rtol=0, atol=1e-3 * moved)


def test_steps_match_one_process_with_the_same_global_batch(tmp_path, on_one_rank, on_two_ranks):
    config = write_config(tmp_path)
    on_one_rank(train, config, TOY, tmp_path / 'one', 1)
    on_two_ranks(train, config, TOY, tmp_path / 'two', 2)
    start = load_checkpoint_file(tmp_path / 'one' / 'epoch_1.pth')['state_dict']
    assert_close(weights_after_two_epochs(tmp_path / 'one'), weights_after_two_epochs(tmp_path / 'two'), start)
    # The drawn validation images lie on both ranks, their pictures in one folder.
    assert len(list((tmp_path / 'two').glob('vis_data/epoch_002/*.png'))) == 2
    assert len(list((tmp_path / 'two').glob('*/vis_data/vis_image/*_2.png'))) == 2


@pytest.mark.slow
@pytest.mark.parametrize('form', ['map', 'mask', 'box'])
def test_a_step_of_a_real_network_matches_too(tmp_path, on_one_rank, on_two_ranks, form):
    config = write_run(tmp_path, form)  # 8 pairs: one step an epoch
    on_one_rank(train, config, SGD, tmp_path / 'one', 1)
    on_two_ranks(train, config, SGD, tmp_path / 'two', 2)
    start = load_checkpoint_file(tmp_path / 'one' / 'epoch_1.pth')['state_dict']
    assert_close(weights_after_two_epochs(tmp_path / 'one'), weights_after_two_epochs(tmp_path / 'two'), start)


def test_metrics_equal_one_rank_and_count_each_query_once(tmp_path, on_one_rank, on_two_ranks):
    """5 images do not divide by 2; round_up=False gives the ranks 3 and 2, round_up=True pads."""
    config = write_config(tmp_path)
    on_one_rank(train, config, TOY, tmp_path / 'run', 1)
    checkpoint = tmp_path / 'run' / 'epoch_2.pth'
    on_one_rank(evaluate, config, checkpoint, tmp_path / 'results' / 'one', 1)
    on_two_ranks(evaluate, config, checkpoint, tmp_path / 'results' / 'two', 2)
    padded = tmp_path / 'padded.py'
    padded.write_text(f"_base_ = '{config}'\ntest_dataloader = dict(sampler=dict(round_up=True))\n")
    on_two_ranks(evaluate, padded, checkpoint, tmp_path / 'results' / 'padded', 2)
    one = (tmp_path / 'results' / 'one.queries.csv').read_bytes()
    assert len(one.splitlines()) == 1 + 9
    summaries = {}
    for name in ('one', 'two', 'padded'):
        assert (tmp_path / 'results' / f'{name}.queries.csv').read_bytes() == one
        summaries[name] = json.loads((tmp_path / 'results' / f'{name}.summary.json').read_text())
    assert summaries['padded'].pop('run')['config'] == str(padded)
    assert summaries['one'].pop('run') == summaries['two'].pop('run')
    assert summaries['one'] == summaries['two'] == summaries['padded']
