#!/usr/bin/env python
"""Score and time several methods on the same test set, in one table.

    python tools/compare.py configs/xemap/xemap_small_synthetic.py:work_dirs/quickstart/epoch_3.pth \
        "SeLo v1=configs/selo/….py:work_dirs/retrieval/epoch_20.pth" --out work_dirs/compare

A method is [NAME=]CONFIG[:CHECKPOINT]; its test pipeline is its config's, the queries are the same for all. Answers
are scored as maps (the paper's Table 2; the three pooling configs make its Table 3), with --metrics as masks and boxes,
too, whatever form they have. Times are of reading images and of the model, in this run; loading models and scoring are
left out. OUT gets compare.md, .csv and .json, the scores of every query by method, and index.html with pictures side by
side, those of --query where it is given; --decompose puts the parts of multi-hop queries below them.
"""

from __future__ import annotations

import sys

from xemap.cli import make_parser, run


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument('methods', nargs='+', metavar='METHOD', help='[NAME=]CONFIG[:CHECKPOINT]')
    parser.add_argument('--out', default='work_dirs/compare', help='folder for the results (default: %(default)s)')
    parser.add_argument('--ann-file', help='annotations of the test set (default: those of the first config)')
    parser.add_argument('--data-root', help='folder that its image paths are relative to')
    parser.add_argument('--device', choices=['auto', 'cpu', 'cuda'], default='auto', help='default: a GPU if any')
    parser.add_argument(
        '--metrics', nargs='+', choices=['selo', 'mask', 'box'], default=['selo'],
        help='score maps, masks or boxes; pictures show the main score of the first (default: selo)',
    )  # fmt: skip
    parser.add_argument('--protocol', choices=['reference', 'paper'], help='for the SeLo metrics (default: reference)')
    parser.add_argument(
        '--normalize', action='store_true', help='stretch every map to [0, 1] before the SeLo metrics, as SeLo does'
    )
    parser.add_argument(
        '--train-ann-file',
        metavar='FILE.arrow',
        help='its mean box is scored beside the methods, by the metrics of boxes',
    )
    parser.add_argument('--pictures', type=int, default=12, metavar='N', help='queries to draw (default: %(default)s)')
    parser.add_argument(
        '--query', action='append', default=[], metavar='TEXT|IMAGE:QUERY',
        help='draw the queries with this text, or that of these numbers in a .queries.csv; repeat for more',
    )  # fmt: skip
    parser.add_argument(
        '--decompose', nargs='*', metavar='PART', help='draw the one-hop parts, too, found by rules or given'
    )
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='override entries of every config'
    )
    return parser.parse_args()


def chosen_metrics(args) -> list[dict]:
    """Configs of the metrics."""
    from xemap.errors import ConfigError

    selo = {'protocol': args.protocol} if args.protocol else {}
    selo |= {'normalize': True} if args.normalize else {}
    if selo and 'selo' not in args.metrics:
        raise ConfigError(f'--{next(iter(selo))} is of the SeLo metrics; add selo to --metrics')
    if args.train_ann_file and 'box' not in args.metrics:
        raise ConfigError('--train-ann-file is for the metrics of boxes; add box to --metrics')
    box = {'mean_box': args.train_ann_file} if args.train_ann_file else {}
    made = {
        'selo': dict(type='SeLoMetric', **selo),
        'mask': dict(type='MaskMetric'),
        'box': dict(type='BoxMetric', **box),
    }
    return [made[name] for name in dict.fromkeys(args.metrics)]


def main(args) -> None:
    from xemap.comparison import Method, as_text, compare
    from xemap.environment import choose_device
    from xemap.errors import ConfigError
    from xemap.terminal import PlainConsole

    metrics = chosen_metrics(args)
    if args.pictures < 0:
        raise ConfigError(f'--pictures {args.pictures}; give 0 or more')
    if args.decompose is not None and not (args.pictures or args.query):
        raise ConfigError('--decompose draws parts below pictures; give --query, or --pictures above 0')
    report = compare(
        [Method.parse(text) for text in args.methods],
        args.out,
        args.ann_file,
        args.data_root,
        device=choose_device(args.device),
        metrics=metrics,
        pictures=args.pictures,
        queries=args.query,
        parts=args.decompose,
        options=args.cfg_options,
        show_progress=True,
    )
    PlainConsole().print(as_text(report))
    page = ', index.html' if args.pictures or args.query else ''
    print(f'written to {args.out}: compare.md, compare.csv, compare.json{page}')


if __name__ == '__main__':
    sys.exit(run(main, parse_args()))
