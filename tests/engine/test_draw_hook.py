from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from mmengine.hooks import IterTimerHook
from PIL import Image

from tests.engine.toy import ToyDataset, write_config
from xemap.datasets.mcmg import correlation_map
from xemap.datasets.transforms.targets import target_options
from xemap.engine import draw_hook, evaluate_model, load_config
from xemap.engine.draw_hook import draw_query, even_choice, picture_of, to_rgb, values_of
from xemap.errors import DataError
from xemap.evaluation import BoxMetric, SeLoMetric
from xemap.evaluation.paired import read_rows
from xemap.structures import MapAnswers


def test_choice_is_even_and_without_repetition():
    assert even_choice(10, 2) == [2, 7]
    assert even_choice(3, 5) == [0, 1, 2]
    assert even_choice(0, 5) == [] and even_choice(5, 0) == []
    chosen = even_choice(1000, 7)
    assert len(set(np.diff(chosen))) <= 2 and chosen[0] == 71


def test_same_queries_every_epoch_in_files_and_back_ends(toy_runner, tmp_path):
    toy_runner().train()
    folders = sorted((tmp_path / 'run' / 'vis_data').iterdir())
    assert [folder.name for folder in folders] == ['epoch_001', 'epoch_002']
    names = [sorted(path.name for path in folder.iterdir()) for folder in folders]
    # 5 images, 2 to draw: images 1 and 3; the second drawn image shows its query 1 % 1 = 0
    assert names == [['00001_q00_img_1.png', '00003_q00_img_3.png']] * 2
    pictures = sorted(path.name for path in tmp_path.glob('run/*/vis_data/vis_image/*.png'))
    assert len(pictures) == 4 and pictures[0] == 'val_00001_q00_img_1_1.png'
    events = next(tmp_path.glob('run/*/vis_data/events*')).read_bytes()
    assert b'val_00001_q00_img_1' in events and b'rmi' in events


def test_every_query_of_a_test_is_drawn_on_demand(tmp_path):
    config = write_config(tmp_path)
    evaluate_model(load_config(config), None, tmp_path / 'run')
    assert not list(tmp_path.glob('**/*.png'))
    out, pictures = tmp_path / 'a', tmp_path / 'pictures'
    evaluate_model(load_config(config), None, tmp_path / 'run', out=out, show_dir=pictures)
    rows = read_rows(f'{out}.queries.csv')
    assert len(rows) == 1 + 2 + 3 + 1 + 2
    worst_first = sorted(rows, key=lambda row: (f'{float(row["rmi"]):.4f}', int(row['sample_idx']), row['query_id']))
    expected = [f'{float(r["rmi"]):.4f}_{int(r["sample_idx"]):05d}_q0{r["query_id"]}' for r in worst_first]
    assert [path.name.rsplit('_img', 1)[0] for path in sorted(pictures.iterdir())] == expected


@pytest.mark.parametrize('workers', [0, 2])
def test_test_pictures_are_drawn_beside_the_test(tmp_path, monkeypatch, workers):
    threads = set()

    def noted(*words, **options):
        threads.add(threading.current_thread())
        return draw_query(*words, **options)

    monkeypatch.setattr(draw_hook, 'draw_query', noted)
    config = load_config(write_config(tmp_path), [f'test_evaluator.workers={workers}'])
    evaluate_model(config, None, tmp_path / 'run', show_dir=tmp_path / 'pictures')
    assert len(threads) == 1 and threading.main_thread() not in threads
    assert len(list((tmp_path / 'pictures').glob('0.*.png'))) == 1 + 2 + 3 + 1 + 2


def test_a_picture_that_cannot_be_drawn_ends_the_test(tmp_path, monkeypatch):
    def broken(*words, **options):
        raise DataError('no ink')

    monkeypatch.setattr(draw_hook, 'draw_query', broken)
    with pytest.raises(DataError, match='no ink'):
        evaluate_model(load_config(write_config(tmp_path)), None, tmp_path / 'run', show_dir=tmp_path / 'pictures')


def test_drawing_is_before_the_timer():
    assert draw_hook.DrawHook.priority == 'ABOVE_NORMAL' and IterTimerHook.priority == 'NORMAL'


def test_targets_are_those_of_the_config(tmp_path, monkeypatch):
    given = []

    def noted(mask, **options):
        given.append(options)
        return correlation_map(mask, **options)

    monkeypatch.setattr(draw_hook, 'correlation_map', noted)
    config = load_config(write_config(tmp_path))
    step = dict(type='GenerateMaps', grids=[4], sigma=0.05)
    config.merge_from_dict({'train_dataloader.dataset.pipeline': [dict(type='LoadImage'), step]})
    assert target_options(config) == {'grids': [4], 'sigma': 0.05}
    sample = ToyDataset(test_mode=True)[0]['data_samples']
    sample.answers = MapAnswers(torch.zeros(1, 16, 16))
    image = np.zeros((16, 16, 3), np.uint8)
    configured, default = draw_query(image, sample, 0, target_options(config)), draw_query(image, sample, 0)
    assert given == [{'grids': [4], 'sigma': 0.05}, {}] and not np.array_equal(configured, default)


def test_scores_above_a_limit_are_drawn_as_numbers():
    row = {'sample_idx': 1, 'query_id': 0, 'box_iou': 0.3}
    assert values_of([row], BoxMetric()) == {(1, 0): (0.3, 'box iou')}
    assert values_of([{**row, 'box_iou': None}], BoxMetric()) == {(1, 0): (None, 'box iou')}
    assert values_of([{'sample_idx': 1, 'query_id': 0, 'a_rmi': 0.4}], SeLoMetric(prefix='a')) == {(1, 0): (0.4, 'Rmi')}


@pytest.mark.parametrize('with_target', [True, False])
def test_picture_of_a_query(with_target):
    item = ToyDataset(test_mode=not with_target)[2]
    sample = item['data_samples']
    sample.answers = MapAnswers(torch.zeros(3, 16, 16))
    dark = draw_query(to_rgb(item['inputs']), sample, 1)
    sample.answers.data[1] = 1.0
    bright = draw_query(to_rgb(item['inputs']), sample, 1)
    assert bright.shape == dark.shape and bright.mean() > dark.mean()
    sample.answers.data[0] = 0.5  # another query's map
    assert np.array_equal(bright, draw_query(to_rgb(item['inputs']), sample, 1))


def test_image_comes_back_to_its_own_proportions():
    item = ToyDataset(test_mode=True)[0]
    sample = item['data_samples']
    sample.answers = MapAnswers(torch.zeros(1, 16, 16))
    sample.set_metainfo(dict(ori_shape=(500, 1000)))
    image = torch.full((3, 64, 64), 77, dtype=torch.uint8)
    panel = draw_query(to_rgb(image), sample, 0)
    rows, columns = np.nonzero((panel == 77).all(-1))
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert (height, width) == (192, 384)


def test_target_comes_from_the_region_where_the_sample_has_none():
    item = ToyDataset(test_mode=True)[0]
    sample = item['data_samples']
    sample.answers = MapAnswers(torch.zeros(1, 16, 16))
    drawn = draw_query(to_rgb(item['inputs']), sample, 0)
    sample.gt_maps = torch.from_numpy(correlation_map(sample.queries[0].region.coverage((16, 16), (16, 16))))[None]
    assert np.array_equal(drawn, draw_query(to_rgb(item['inputs']), sample, 0))


def test_written_pictures_can_be_read(tmp_path):
    config = write_config(tmp_path)
    evaluate_model(load_config(config), None, tmp_path / 'run', show_dir=tmp_path / 'pictures')
    for path in (tmp_path / 'pictures').iterdir():
        assert np.asarray(Image.open(path)).shape[2] == 3


def test_the_file_is_shown_sharper_than_the_network_saw_it(tmp_path):
    item = ToyDataset(test_mode=True)[0]
    sample = item['data_samples']
    assert picture_of(sample, item['inputs']).shape == (16, 16, 3)  # no such file: what the network saw
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / 'a.png')
    sample.set_metainfo(dict(img_path=str(tmp_path / 'a.png'), ori_shape=(40, 60)))
    assert np.array_equal(picture_of(sample, item['inputs']), pixels)
    sample.set_metainfo(dict(flip=True))
    assert picture_of(sample, item['inputs']).shape == (16, 16, 3)


def test_each_validation_of_a_run_by_iterations_has_a_folder(toy_runner, tmp_path):
    options = {
        'train_cfg': dict(type='IterBasedTrainLoop', max_iters=4, val_interval=2, _delete_=True),
        'default_hooks.checkpoint': dict(by_epoch=False, interval=4),
        'log_processor.by_epoch': False,
    }
    toy_runner(options=options).train()
    assert {path.parent.name for path in tmp_path.glob('run/vis_data/*/*.png')} == {'iter_000002', 'iter_000004'}
