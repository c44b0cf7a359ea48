from __future__ import annotations

import pytest


@pytest.mark.parametrize('rate, warns', [(0.0, True), (0.05, False)])
def test_constant_maps_are_told(toy_runner, tmp_path, rate, warns):
    runner = toy_runner(options={'train_cfg.max_epochs': 1, 'optim_wrapper.optimizer.lr': rate, 'model.dropout': 0.0})
    if warns:
        for parameter in runner.model.parameters():
            parameter.data.zero_()
        runner.model.init_weights = lambda: None
    runner.train()
    text = ''.join(path.read_text() for path in tmp_path.glob('run/*/*.log'))
    assert ('all 9 maps of the validation are constant (largest spread 0.000)' in text) == warns
    assert ('BalancedMapL1Loss' in text) == warns
