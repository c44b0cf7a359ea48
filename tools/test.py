#!/usr/bin/env python
"""Score a model on the test set of its config.

    python tools/test.py CONFIG work_dirs/RUN/best_rmi_epoch_25.pth
    python tools/test.py CONFIG CHECKPOINT --show-dir pictures --protocol paper
    python tools/test.py CONFIG none          (the model before training)
    python tools/test.py CONFIG CHECKPOINT --text-control target-only category
    python tools/test.py CONFIG CHECKPOINT --dump --out results/a
    python tools/test.py CONFIG --answers results/a.answers --protocol paper --out results/b

Prints the tables of the config's metrics; one row per query goes to OUT.queries.csv, the summary to
OUT.summary.json, with --dump the answers to OUT.answers, which --answers scores again without the model.
"""

from __future__ import annotations

import os
import sys

from xemap.cli import make_parser, run

CONTROLS = ('rotate', 'constant', 'target-only', 'category', 'shuffle-words')


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', nargs='?', help='checkpoint file; "none" scores the untrained model')
    parser.add_argument('--work-dir', help='where to write logs (default: work_dirs/CONFIG_NAME)')
    parser.add_argument('--out', help='prefix of the result files (default: WORK_DIR/test)')
    parser.add_argument('--show-dir', help='draw every query: image | target | prediction')
    parser.add_argument(
        '--protocol', help="reference or paper (SeLo), default or legacy (boxes); default: the config's"
    )
    parser.add_argument('--dump', action='store_true', help='write the answers to OUT.answers')
    parser.add_argument('--answers', metavar='FOLDER', help='score these dumped answers in place of a checkpoint')
    parser.add_argument(
        '--text-control', nargs='+', default=[], metavar='CONTROL', choices=CONTROLS,
        help=f'break the texts and report the difference, paired by query: {", ".join(CONTROLS)}',
    )  # fmt: skip
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
        help='override config entries: key=value, a.b=1, key="[1,2]", list.0.key=value',
    )  # fmt: skip
    parser.add_argument('--seed', type=int, help="random seed, of an untrained model (default: the config's)")
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='job launcher')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by old launchers')
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def main(args) -> None:
    from xemap.engine import evaluate_model, load_config, score_dump
    from xemap.errors import ConfigError

    if (args.checkpoint is None) == (args.answers is None):
        raise ConfigError('give a checkpoint ("none" for the untrained model) or --answers FOLDER')
    cfg = load_config(args.config, args.cfg_options)
    if args.answers is not None:
        of_models = {'--dump': args.dump, '--text-control': args.text_control, '--show-dir': args.show_dir}
        for option, value in of_models.items():
            if value:
                raise ConfigError(f'{option} needs a model; leave it out with --answers, or give a checkpoint')
        score_dump(cfg, args.answers, args.work_dir, out=args.out, protocol=args.protocol)
        return
    evaluate_model(
        cfg,
        None if args.checkpoint == 'none' else args.checkpoint,
        args.work_dir,
        out=args.out,
        show_dir=args.show_dir,
        protocol=args.protocol,
        dump=args.dump,
        text_controls=args.text_control,
        launcher=args.launcher,
        seed=args.seed,
    )


if __name__ == '__main__':
    sys.exit(run(main, parse_args()))
