"""What is measured and trained, in the order in which minutes are worth most."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
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
FLOAT16 = ('optim_wrapper.type=AmpOptimWrapper', 'optim_wrapper.dtype=float16', 'optim_wrapper.loss_scale=dynamic')
PAPER = 'configs/xemap/xemap_swin-t_minilm_512_synthetic.py'
TRAININGS = {
    'base': 'configs/xemap/xemap_base_synthetic.py',
    'crobim': 'configs/crobim/crobim_small_synthetic.py',
    'mlcm': 'configs/mlcm/mlcm_small_synthetic.py',
    'paper': PAPER,
}
"""Trained and scored in this order: the longest is last, as a training takes what is left of a call."""
SHORTER = {'mlcm': ('train_cfg.max_epochs=4', 'train_cfg.val_interval=4')}
"""Its 12 epochs are meant for a few hundred scenes."""
CONTROLS = ('target-only', 'category', 'shuffle-words')
SCENES = 20_000
MOST_WORKERS = 16


def loader_workers() -> int:
    """Processes that read training data: one for each core but the one that drives the GPU, 1 to 16."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    return min(MOST_WORKERS, max(1, cores - 1))


@dataclass(frozen=True)
class _Maker:
    """Writes the steps' commands.

    Args:
        folder: folder of the report.
        device: ``'cuda'`` or ``'cpu'``.
        options: overrides of the trainings' configs, behind the plan's own.
    """

    folder: Path
    device: str
    options: Sequence[str]

    @property
    def results(self) -> Path:
        return self.folder / 'results'

    def python(self, *words: object) -> list[str]:
        return [sys.executable, *map(str, words)]

    def benchmark(self, name: str, config: str, parts: Sequence[str], *more: str) -> list[str]:
        precision = BFLOAT16 if self.device == 'cuda' else ()
        return self.python(
            'tools/benchmark.py', config, '--parts', *parts, '--device', self.device, *more, '--resume',
            '--out', self.results / f'{name}.json', '--cfg-options', MINILM, *precision,
        )  # fmt: skip

    def cfg_options(self, *more: str) -> list[str]:
        loaders = [f'{split}_dataloader' for split in ('train', 'val', 'test')]
        given = [f'{loader}.dataset.data_root={self.folder / "data"}/' for loader in loaders]
        given += [f'{loader}.num_workers={loader_workers()}' for loader in loaders]
        return ['--cfg-options', *given, *more, *self.options]

    def train(self, config: str, name: str, *words: object, options: Sequence[str] = (), amp: bool = True) -> list[str]:
        mixed = ['--amp'] if amp and self.device == 'cuda' else []
        work_dir = ('--work-dir', self.folder / name)
        return self.python('tools/train.py', config, *work_dir, *mixed, *words, *self.cfg_options(*options))

    def test(self, config: str, name: str, out: str, *words: object, options: Sequence[str] = ()) -> list[str]:
        newest = f'@{self.folder / name / "last_checkpoint"}'
        paths = ('--work-dir', self.folder / name, '--out', self.results / out)
        return self.python('tools/test.py', config, newest, *paths, *words, *self.cfg_options(*options))


def make_plan(folder: Path, device: str = 'cuda', scenes: int = SCENES, options: Sequence[str] = ()) -> list[Step]:
    """The steps.

    Args:
        folder: folder of the report; results are written to ``FOLDER/results``, scenes to ``FOLDER/data``, trainings to
            ``FOLDER/NAME``.
        device: device of models, as ``tools/benchmark.py`` takes it.
        scenes: synthetic training scenes of 512 px.
        options: overrides of the trainings' configs.
    """
    make = _Maker(folder, device, options)
    return [*_measurements(make), _scenes(make, scenes), *_trainings(make), *_checks(make)]


def _measurements(make: _Maker) -> list[Step]:
    xemap = MODELS['xemap']
    tests = make.python(
        '-m', 'pytest', '-m', 'gpu', '-q', '-p', 'no:cacheprovider', f'--junitxml={make.results}/tests.xml'
    )
    speeds = [
        Step(
            f'speed_{name}', [make.benchmark(f'speed_{name}', config, ('train', 'infer', 'naive'))], 60,
            outputs=[make.results / f'speed_{name}.json'],
            purpose='pairs/s of training, TFLOP/s against a matrix product, queries/s at 1, 4, 9, 32 queries, and '
            'both against a naive composition',
        )
        for name, config in MODELS.items()
    ]  # fmt: skip
    pairs = [
        Step(
            f'pairs_{name}', [make.benchmark(f'pairs_{name}', config, ('pairs',))], 60,
            outputs=[make.results / f'pairs_{name}.json'],
            purpose='training steps of 1 to 64 pairs: pairs/s, share of the ceiling, memory per pair',
        )
        for name, config in MODELS.items()
    ]  # fmt: skip
    return [
        Step(
            'tests', [tests], 120, outputs=[make.results / 'tests.xml'],
            purpose='the tests marked gpu: kernels, bf16 and fp16 without NaN, resuming, two processes',
        ),
        *speeds,
        Step(
            'sampling', [make.benchmark('sampling', xemap, ('sampling',), '--repeats', '20')], 30,
            outputs=[make.results / 'sampling.json'],
            purpose='Triton, or what runs here, against grid_sample, forward and with backward',
        ),
        *pairs,
        Step(
            'scenario', [make.benchmark('scenario', xemap, ('scenario',))], 120,
            outputs=[make.results / 'scenario.json'],
            purpose='1,129 queries on 300 images of 2,000 px: XeMap-Network against SeLo v1 and v2 on CLIP ViT-L/14',
        ),
        Step(
            'host', [make.benchmark('host', xemap, ('data', 'metric'))], 60,
            outputs=[make.results / 'host.json'],
            purpose='training samples/s of one core, seconds of scoring one large map',
        ),
    ]  # fmt: skip


def _scenes(make: _Maker, scenes: int) -> Step:
    counts = {'train': scenes, 'val': min(48, scenes), 'test': min(200, scenes), 'minimal-pairs': min(200, scenes)}
    words = [word for split, count in counts.items() for word in (f'--{split}', count)]
    data = make.folder / 'data'
    draw = make.python('tools/data/make_synthetic.py', '--out', data, '--sizes', 512, '--pairs-in-train', *words)
    return Step('scenes', [draw], 30, purpose='draws the synthetic scenes of 512 px that trainings read')


def _trainings(make: _Maker) -> list[Step]:
    steps = []
    often = ('default_hooks.checkpoint.by_epoch=False', 'default_hooks.checkpoint.interval=100')
    metric = 'test_evaluator=dict(_delete_=True,type="MinimalPairMetric")'
    pairs = ('test_dataloader.dataset.ann_file=pairs.arrow', metric)
    for name, config in TRAININGS.items():
        train = make.train(config, name, '--resume', options=(*often, *SHORTER.get(name, ())))
        scored = (
            make.test(config, name, name, '--text-control', *CONTROLS),
            make.test(config, name, f'{name}_pairs', options=pairs),
        )
        steps += [
            Step(
                f'train_{name}', [train], 60, ['scenes'], outputs=[make.folder / name],
                purpose=f'trains {Path(config).stem}; goes on at each call',
            ),
            Step(
                f'score_{name}', scored, 60, ['scenes'], reads=make.folder / name / 'last_checkpoint',
                outputs=[make.results / f'{prefix}.summary.json' for prefix in (name, f'{name}_pairs')],
                purpose=f'scores the newest checkpoint of train_{name}, with text controls and minimal pairs',
            ),
        ]  # fmt: skip
    return steps


def _checks(make: _Maker) -> list[Step]:
    """Short runs on the 48 validation scenes; what they check on a GPU, tests check on the CPU."""
    small, short = TRAININGS['base'], ('train_dataloader.dataset.ann_file=val.arrow', 'train_cfg.val_interval=2')
    two = (*short, 'train_cfg.max_epochs=2', 'default_hooks.checkpoint.by_epoch=True')
    two += ('default_hooks.checkpoint.interval=1', 'default_hooks.checkpoint.keep_optimizer=all')
    whole, parts = make.folder / 'resume_whole', make.folder / 'resume_parts'
    resume = [
        make.train(small, whole.name, '--deterministic', options=two),
        make.train(small, parts.name, '--deterministic', '--resume', whole / 'epoch_1.pth', options=two),
        make.python(
            '-m', 'gpu_report.difference', whole / 'epoch_2.pth', parts / 'epoch_2.pth', whole / 'epoch_1.pth',
            make.results / 'resume.json',
        ),
    ]  # fmt: skip
    steps = [
        Step(
            'resume', resume, 60, ['scenes'], outputs=[make.results / 'resume.json'],
            purpose='two epochs at once and with a resume between: how far the weights are apart',
        ),
        Step(
            'two_processes', _two_processes(make, small, two), 60, ['scenes'],
            purpose='two processes on one GPU train; both score as one does',
            outputs=[make.folder / 'two_processes']
            + [make.results / f'two_processes_{ranks}.summary.json' for ranks in (2, 1)],
        ),
    ]  # fmt: skip
    if make.device == 'cuda':
        options = (short[0], 'train_cfg.max_epochs=40', 'train_cfg.val_interval=40', *FLOAT16)
        steps.append(
            Step(
                'float16', [make.train(PAPER, 'float16', options=options, amp=False)], 60, ['scenes'],
                outputs=[make.folder / 'float16'],
                purpose="trains the paper's network for 120 steps in fp16: is every loss finite?",
            ),
        )  # fmt: skip
    newest = make.folder / 'base/last_checkpoint'
    beside = [
        make.test(small, 'base', f'scoring_{workers}', options=[f'test_evaluator.workers={workers}'])
        for workers in (0, 2)
    ]
    steps.append(
        Step(
            'scoring', beside, 60, ['scenes'], reads=newest,
            purpose='tools/test.py with scoring in the process of inference, and in two processes beside it',
            timed=['scoring in the process', 'scoring in two processes beside it'],
        ),
    )  # fmt: skip
    return steps


def _two_processes(make: _Maker, config: str, options: Sequence[str]) -> list[list[str]]:
    """Training by two ranks, then the same checkpoint scored by two and by one: their scores must be equal."""

    def launched(command: list[str]) -> list[str]:
        run = make.python('-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', 2)
        _, tool, *rest = command
        return [*run, tool, '--launcher', 'pytorch', *rest]

    name = 'two_processes'
    one, both = (make.test(config, name, f'{name}_{ranks}') for ranks in (1, 2))
    return [launched(make.train(config, name, options=options)), launched(both), one]
