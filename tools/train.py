#!/usr/bin/env python
"""Train a model.

    python tools/train.py configs/xemap/xemap_swin-t_bert_512_25e.py
    python tools/train.py CONFIG --cfg-options optim_wrapper.optimizer.lr=5e-4 train_cfg.max_epochs=12
    python tools/train.py CONFIG --resume

Checkpoints, logs, curves for TensorBoard and pictures of a few validation queries go to the work
directory. An interrupted run goes on with --resume and ends with the same weights.
"""

from __future__ import annotations

import os
import sys

from xemap.cli import make_parser, run


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='where to write (default: work_dirs/CONFIG_NAME)')
    parser.add_argument(
        '--resume', nargs='?', const='auto', metavar='CHECKPOINT',
        help='go on from this checkpoint; without a value from the newest readable one of the work directory',
    )  # fmt: skip
    parser.add_argument('--amp', action='store_true', help='mixed precision (GPU only)')
    parser.add_argument('--auto-scale-lr', action='store_true', help='scale the learning rate with the pairs per step')
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
        help='override config entries: key=value, a.b=1, key="[1,2]", list.0.key=value',
    )  # fmt: skip
    parser.add_argument('--seed', type=int, help='random seed of model and data (default: from the config)')
    parser.add_argument('--deterministic', action='store_true', help='only deterministic CUDA algorithms')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='job launcher')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by old launchers')
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def main(args) -> None:
    from xemap.engine import load_config, train_model

    train_model(
        load_config(args.config, args.cfg_options),
        args.work_dir,
        resume=args.resume,
        amp=args.amp,
        auto_scale_lr=args.auto_scale_lr,
        launcher=args.launcher,
        seed=args.seed,
        deterministic=args.deterministic,
    )


if __name__ == '__main__':
    sys.exit(run(main, parse_args()))
