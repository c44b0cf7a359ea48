"""What is measured and trained, in the order in which minutes are worth most."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from gpu_report.step import Step

MODELS = {
    'xemap': 'configs/xemap/xemap_swin-t_bert_512_25e.py',
    'crobim': 'configs/crobim/crobim_swin-b_bert_480_40e_risbench.py',
    'mlcm': 'configs/mlcm/mlcm_r50_bert_640_dior-rsvg.py',
}
"""Configs of the paper's size; measured with random weights and the text encoder that comes with the package."""

MINILM = 'model.language_model.name=minilm'
BFLOAT16 = ('optim_wrapper.type=AmpOptimWrapper', 'optim_wrapper.dtype=bfloat16', 'optim_wrapper.loss_scale=1.0')
TRAININGS = {'base': 'xemap_base_synthetic', 'paper': 'xemap_swin-t_minilm_512_synthetic'}
SCENES = 20_000


def make_plan(folder: Path, device: str = 'cuda', scenes: int = SCENES, options: Sequence[str] = ()) -> list[Step]:
    """The steps.

    Args:
        folder: folder of the report; results are written to ``FOLDER/results``, scenes to ``FOLDER/data``, trainings to
            ``FOLDER/NAME``.
        device: device of models, as ``tools/benchmark.py`` takes it.
        scenes: synthetic training scenes of 512 px.
        options: overrides of the trainings' configs.
    """
    python, results, data = sys.executable, folder / 'results', folder / 'data'
    precision, amp = (BFLOAT16, ['--amp']) if device == 'cuda' else ((), [])

    def bench(name: str, config: str, parts: Sequence[str], *more: str) -> tuple[str, ...]:
        out = ('--out', str(results / f'{name}.json'))
        return (
            python, 'tools/benchmark.py', config, '--parts', *parts, '--device', device, *more, *out,
            '--cfg-options', MINILM, *precision,
        )  # fmt: skip

    steps = [
        Step(
            'tests',
            [[python, '-m', 'pytest', '-m', 'gpu', '-q', '-p', 'no:cacheprovider', f'--junitxml={results}/tests.xml']],
            120,
        )
    ]
    for name, config in MODELS.items():
        steps.append(Step(f'speed_{name}', [bench(f'speed_{name}', config, ('train', 'infer', 'naive'))], 60))
    xemap = MODELS['xemap']
    steps.append(Step('sampling', [bench('sampling', xemap, ('sampling',), '--repeats', '20')], 30))
    for name, config in MODELS.items():
        steps.append(Step(f'pairs_{name}', [bench(f'pairs_{name}', config, ('pairs',))], 60))
    steps.append(Step('scenario', [bench('scenario', xemap, ('scenario',))], 120))
    steps.append(Step('host', [bench('host', xemap, ('data', 'metric'))], 60))
    draw = [python, 'tools/data/make_synthetic.py', '--out', str(data), '--sizes', '512', '--needed-words', '0.5']
    counts = {'train': scenes, 'val': min(48, scenes), 'test': min(200, scenes), 'minimal-pairs': min(200, scenes)}
    draw += [word for split, count in counts.items() for word in (f'--{split}', str(count))]
    steps.append(Step('scenes', [draw], 30))
    for name, config in TRAININGS.items():
        path, work_dir = f'configs/xemap/{config}.py', folder / name
        roots = [f'{loader}_dataloader.dataset.data_root={data}/' for loader in ('train', 'val', 'test')]
        given = ['--cfg-options', *roots, *options]
        train = [python, 'tools/train.py', path, '--work-dir', str(work_dir), '--resume', *amp, *given]
        steps.append(Step(f'train_{name}', [train], 60, ['scenes']))
        # The name of the newest checkpoint is known only when the step runs.
        test = [
            'bash',
            '-c',
            f'exec "$0" tools/test.py "$1" "$(cat {shlex.quote(str(work_dir))}/last_checkpoint)" "${{@:2}}"',
        ]
        test += [python, path, '--work-dir', str(work_dir), '--out']
        controls = ['--text-control', 'target-only', 'category', 'shuffle-words']
        pairs = ['test_dataloader.dataset.ann_file=pairs.arrow', 'test_evaluator.type=MinimalPairMetric']
        scored = (
            [*test, str(results / name), *controls, *given],
            [*test, str(results / f'{name}_pairs'), *given, *pairs],
        )
        steps.append(Step(f'score_{name}', scored, 60, [f'train_{name}']))
    return steps
