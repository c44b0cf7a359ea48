from __future__ import annotations

import pytest

from xemap.errors import ConfigError

POLY = dict(type='PolyLR', by_epoch=True, begin=0, end=1, convert_to_iter_based=True)


@pytest.mark.parametrize(
    'schedule',
    [
        POLY,
        {**POLY, 'convert_to_iter_based': False},
        dict(type='LinearLR', start_factor=1.0, end_factor=0.0, by_epoch=False, begin=0, end=4),
        dict(type='CosineAnnealingLR', by_epoch=True, begin=0, end=1, convert_to_iter_based=True),
    ],
)
def test_a_rate_of_0_before_the_end_is_refused(toy_runner, schedule):
    with pytest.raises(ConfigError, match=r'to 0 at (epoch|iteration) \d, and the run has \d; leave out its "end"'):
        toy_runner(options={'param_scheduler': [schedule]}).train()


def test_a_run_as_short_as_its_warm_up_has_no_decay(toy_runner):
    warm_up = dict(type='LinearLR', start_factor=0.1, by_epoch=True, begin=0, end=1, convert_to_iter_based=True)
    decay = dict(type='PolyLR', by_epoch=True, begin=1, convert_to_iter_based=True)
    for epochs, number in ((1, 1), (2, 2)):
        runner = toy_runner(f'run{epochs}', {'param_scheduler': [warm_up, decay], 'train_cfg.max_epochs': epochs})
        runner.train()
        assert len(runner.param_schedulers) == number


@pytest.mark.parametrize(
    'schedule',
    [
        dict(type='PolyLR', by_epoch=True),
        dict(type='LinearLR', start_factor=1.0, end_factor=0.0, by_epoch=True, begin=0, end=2),
    ],
)
def test_a_last_epoch_at_rate_0_is_refused(toy_runner, schedule):
    with pytest.raises(ConfigError, match='leaves 0 for the last of 2; add convert_to_iter_based=True'):
        toy_runner(options={'param_scheduler': [schedule]}).train()


@pytest.mark.parametrize(
    'schedules',
    [
        [{**POLY, 'end': 2}],
        [{key: value for key, value in POLY.items() if key != 'end'}],
        [{**POLY, 'eta_min': 1e-3}],
        [dict(type='CosineAnnealingLR', by_epoch=True)],  # by epochs, too, it is above 0 in the last one
        [dict(type='PolyLR', by_epoch=True, eta_min=1e-3)],
        [
            POLY,
            dict(type='CosineRestartLR', by_epoch=True, begin=1, end=2, periods=[1], restart_weights=[1], eta_min=0),
        ],
    ],
)
def test_other_schedules_are_built(toy_runner, schedules):
    runner = toy_runner()
    runner.train_loop  # noqa: B018  (builds it)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    assert len(runner.build_param_scheduler(schedules)) == len(schedules)
