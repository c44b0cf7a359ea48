"""Testing: a config and a checkpoint, or dumped answers, to rows, tables and files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.registry import DefaultScope
from torch import nn

from xemap.compat.distributed import close_distributed
from xemap.engine.draw_hook import DrawHook
from xemap.engine.runner import XeMapRunner
from xemap.engine.runner_setup import build_runner, default_work_dir
from xemap.engine.saved_config import warn_of_other_model
from xemap.errors import ConfigError
from xemap.evaluation import QueryEvaluator, QueryMetric
from xemap.evaluation.dump import AnswerDump, read_answers
from xemap.evaluation.provenance import annotation_file_of, describe_run
from xemap.evaluation.scores import Row, main_score, named_scores
from xemap.evaluation.text_controls import broken_texts, control_report, format_control
from xemap.files import write_json
from xemap.models.localizers.base import Localizer
from xemap.registry import DATASETS, METRICS
from xemap.structures import FORMS


class TextControlHook(Hook):
    """Gives the model other texts than the queries that are scored.

    Args:
        texts: by ``sample_idx`` and query number; other queries keep theirs.
    """

    def __init__(self, texts: dict[tuple[int, int], str]) -> None:
        self.texts = texts

    def before_test_iter(self, runner, batch_idx: int, data_batch: dict | None = None) -> None:
        for sample in (data_batch or {}).get('data_samples', ()):
            keys = [(int(sample.sample_idx), int(query_id)) for query_id in sample.query_ids]
            sample.texts = [self.texts.get(key, text) for key, text in zip(keys, sample.texts)]


def evaluate_model(
    cfg: Config,
    checkpoint: str | Path | None,
    work_dir: str | Path | None = None,
    *,
    out: str | Path | None = None,
    show_dir: str | Path | None = None,
    protocol: str | None = None,
    dump: bool = False,
    text_controls: Sequence[str] = (),
    **options,
) -> dict[str, float]:
    """Score on ``cfg.test_dataloader``.

    Args:
        cfg: the config; changed in place.
        checkpoint: weights, all of which must fit; None scores the model as training would start with it.
        work_dir: where logs go.
        out: prefix of the result files; default ``WORK_DIR/test``.
        show_dir: folder for a picture of every query.
        protocol: for the metrics that have one, as ``'paper'`` of the SeLo metrics or ``'legacy'`` of boxes.
        dump: write the answers to ``OUT.answers``, see :func:`score_dump`.
        text_controls: break the texts in these ways and score again, see :mod:`xemap.evaluation.text_controls`; the
            files are ``OUT.CONTROL.*``, the paired differences stand in the summary.
        options: as for :func:`build_runner`.

    Returns:
        the metrics, on every rank the same.

    Raises:
        ConfigError, CheckpointError, DataError: what does not fit.
    """
    cfg.work_dir = default_work_dir(cfg, work_dir)
    cfg.load_from = None  # a training would start from it, a test must not
    prefix = set_test_options(cfg, protocol, out, show_dir)
    try:
        runner = build_runner(cfg, checkpoint=checkpoint, resume=False, **options)
        if checkpoint is None:
            runner._init_model_weights()
        else:
            warn_of_other_model(cfg, checkpoint)
        evaluator = runner.test_loop.evaluator
        evaluator.run = describe_run(cfg.filename, checkpoint, annotation_file_of(cfg))
        if dump:
            evaluator.metrics.append(AnswerDump(f'{prefix}.answers'))
        metrics = runner.test()
        _log_stages(runner.model)
        if text_controls:
            evaluator.metrics = [metric for metric in evaluator.metrics if not isinstance(metric, AnswerDump)]
            _run_text_controls(runner, text_controls, prefix)
        return metrics
    finally:
        close_distributed()


def score_dump(
    cfg: Config,
    folder: str | Path,
    work_dir: str | Path | None = None,
    *,
    out: str | Path | None = None,
    protocol: str | None = None,
) -> dict[str, float]:
    """Score dumped answers with the metrics of a config's ``test_evaluator``, without a model.

    Args:
        cfg: the config, whose test data the answers are to; changed in place.
        folder: ``OUT.answers`` of an earlier test.
        work_dir, out, protocol: as for :func:`evaluate_model`.
    """
    cfg.work_dir = default_work_dir(cfg, work_dir)
    set_test_options(cfg, protocol, out)
    if not Path(folder).is_dir():
        raise ConfigError(f'{folder} is no folder of answers; tools/test.py --dump writes one')
    with DefaultScope.overwrite_default_scope('xemap'):
        dataset: Any = DATASETS.build(cfg.test_dataloader.dataset)
        evaluator = QueryEvaluator(cfg.test_evaluator)
    evaluator.run = describe_run(cfg.filename, None, annotation_file_of(cfg), answers=str(folder))
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        texts = [query.text for query in info['queries']]
        evaluator.process([{**info, 'answers': read_answers(folder, int(info['sample_idx']), texts)}])
    return evaluator.evaluate(len(dataset))


def _run_text_controls(runner: XeMapRunner, controls: Sequence[str], prefix: str | None) -> None:
    evaluator: Any = runner.test_loop.evaluator
    queries = [metric for metric in evaluator.metrics if isinstance(metric, QueryMetric)]
    scores = [score for declared in named_scores(queries) for score in declared if not score.average_of]
    main = main_score(evaluator)[0]
    scores.sort(key=lambda score: score.name != main)  # stable: the main score first
    dataset: Any = runner.test_dataloader.dataset
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    whole: list[Row] = evaluator.rows
    reports = {}
    hooks = list(runner._hooks)
    others = [hook for hook in hooks if not isinstance(hook, DrawHook)]  # pictures show the whole texts
    for control in controls:
        texts = broken_texts(infos, control)
        runner._hooks = [*others, TextControlHook(texts)]
        for metric in queries:
            metric.outfile_prefix = None if prefix is None else f'{prefix}.{control}'
        runner.test()
        reports[control] = control_report(whole, evaluator.rows, texts, scores)
        print_log(f'\n{format_control(control, reports[control], scores[0].label)}', logger='current')
    runner._hooks = hooks
    if prefix is not None and is_main_process():
        path = Path(f'{prefix}.summary.json')
        write_json(path, {**json.loads(path.read_text()), 'text_controls': reports})


def set_test_options(
    cfg: Config, protocol: str | None = None, out: str | Path | None = None, show_dir: str | Path | None = None
) -> str | None:
    """Options of a test that stand at several places of a config; changed in place.

    Args:
        cfg: the config.
        protocol: for the metrics that have one, as ``'paper'`` of the SeLo metrics or ``'legacy'`` of boxes.
        out: prefix of the files with one row per query and with the summary; default ``cfg.work_dir/test``.
        show_dir: folder for a picture of every query.

    Returns:
        the prefix of the files; None where no metric writes any.

    Raises:
        ConfigError: the config has no ``test_evaluator`` that the option is for, or no draw hook.
    """
    evaluators = cfg.get('test_evaluator') or []
    evaluators = evaluators if isinstance(evaluators, list) else [evaluators]
    kinds = [(evaluator, METRICS.get(evaluator.get('type'))) for evaluator in evaluators]
    writers = [
        (evaluator, kind) for evaluator, kind in kinds if isinstance(kind, type) and issubclass(kind, QueryMetric)
    ]
    if protocol:
        able = [evaluator for evaluator, kind in writers if protocol in kind.protocols]
        if not able:
            known = sorted({name for _, kind in writers for name in kind.protocols})
            raise ConfigError(
                f'config {cfg.filename}: no metric of test_evaluator has the protocol "{protocol}"; '
                f'known: {", ".join(known) or "none"}'
            )
        for evaluator in able:
            evaluator.protocol = protocol
    if out and not writers:
        raise ConfigError(f'config {cfg.filename}: test_evaluator has no metric of queries, which --out is for')
    for evaluator, _ in writers:
        evaluator.outfile_prefix = str(out or evaluator.get('outfile_prefix') or Path(cfg.work_dir, 'test'))
        Path(evaluator.outfile_prefix).parent.mkdir(parents=True, exist_ok=True)  # fails before scoring, not after
    if show_dir:
        if writers and not any(kind.form in FORMS for _, kind in writers):
            raise ConfigError(f'config {cfg.filename}: --show-dir draws answers, and a retrieval model makes none')
        if 'draw' not in (cfg.get('default_hooks') or {}):
            raise ConfigError(f'config {cfg.filename}: --show-dir needs default_hooks.draw = dict(type="DrawHook")')
        cfg.default_hooks.draw.show_dir = str(show_dir)
    return writers[0][0].outfile_prefix if writers else None


def _log_stages(model: nn.Module) -> None:
    """Log the time of a localizer's own parts, where it measures them."""
    localizer = model.module if is_model_wrapper(model) else model
    if isinstance(localizer, Localizer) and localizer.stage_seconds:
        parts = ', '.join(f'{stage} {seconds:.2f}' for stage, seconds in localizer.stage_seconds.items())
        print_log(f'seconds by stage: {parts}', logger='current')
