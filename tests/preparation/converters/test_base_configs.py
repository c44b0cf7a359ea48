"""What the commands of docs/data.md write is what the data set configs read."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.registry import DefaultScope

from tests.trees import dior_rsvg, refsegrs, risbench, rrsis_d
from xemap.engine import load_config
from xemap.preparation.converters import convert
from xemap.preparation.converters.registry import load_converter
from xemap.registry import DATASETS

CONFIGS = Path(__file__).parents[3] / 'configs'


@pytest.mark.parametrize(
    'config, tree, format_name, key, side',
    [
        ('mlcm/mlcm_r50_bert_640_dior-rsvg', dior_rsvg, 'dior-rsvg', 'gt_boxes', 640),
        ('crobim/crobim_swin-b_bert_480_40e_rrsis-d', rrsis_d, 'rrsis-d', 'gt_masks', 480),
        ('crobim/crobim_swin-b_bert_480_40e_refsegrs', refsegrs, 'refsegrs', 'gt_masks', 480),
        ('crobim/crobim_swin-b_bert_480_40e_risbench', risbench, 'risbench', 'gt_masks', 480),
    ],
)
def test_a_sample_of_each_split(tmp_path, monkeypatch, config, tree, format_name, key, side):
    tree.make(tmp_path / 'data')
    monkeypatch.chdir(tmp_path)
    convert(load_converter(format_name)('data'), Path('data') / format_name.replace('-', '_'))
    loaded = load_config(CONFIGS / f'{config}.py')
    with DefaultScope.overwrite_default_scope('xemap'):
        for split in ('train', 'val', 'test'):
            sample = DATASETS.build(loaded[f'{split}_dataloader'].dataset)[0]
            assert sample['inputs'].shape == (3, side, side)
            assert (key in sample['data_samples']) == (split == 'train')
