"""Every option that docs/choices.md names exists and changes what is built."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mmengine.registry import DefaultScope

from xemap.engine import load_config
from xemap.registry import DATASETS, METRICS, MODELS

ROOT = Path(__file__).parents[1]
PAPER = ROOT / 'configs/xemap/xemap_swin-t_bert_512_25e.py'
OPTIONS = re.findall(r'`([\w.]+=[^`]+)`', (ROOT / 'docs/choices.md').read_text())
TINY = {
    'model.backbone.init_cfg': None, 'model.backbone.embed_dims': 24, 'model.backbone.depths': [1, 1, 1, 1],
    'model.language_model.name': 'minilm', 'model.neck.in_channels': 'auto', 'model.encoder.num_layers': 1,
}  # fmt: skip


USED = ('model', 'train_dataloader', 'test_evaluator', 'optim_wrapper', 'param_scheduler')
"""Parts of a config that are built; "target" stands for a step of the pipeline."""


def test_the_page_names_options():
    assert len(OPTIONS) >= 14


@pytest.mark.parametrize('option', OPTIONS)
def test_an_option_exists_and_takes_effect(option):
    name, _, value = option.partition('=')
    paper, changed = load_config(PAPER), load_config(PAPER, [option])
    part = paper.to_dict()
    for step in name.split('.'):
        part = part[int(step)] if isinstance(part, list) else part.get(step)
    assert str(part) != value  # the page gives another reading, not ours
    assert any(changed.get(part) != paper.get(part) for part in USED)
    changed.merge_from_dict(TINY)
    with DefaultScope.overwrite_default_scope('xemap'):
        if name.startswith('model.'):
            MODELS.build(changed.model)
        DATASETS.build({**changed.train_dataloader.dataset, 'lazy_init': True})
        METRICS.build(changed.test_evaluator)
