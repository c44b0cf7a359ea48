#!/usr/bin/env python
"""Score and time several methods on the same test set, in one table.

    python tools/compare.py configs/xemap/xemap_small_synthetic.py:work_dirs/quickstart/epoch_4.pth \
        "SeLo v1=configs/selo/….py:work_dirs/retrieval/epoch_20.pth" --out work_dirs/compare

A method is [NAME=]CONFIG[:CHECKPOINT]; its test pipeline is its config's, the queries are the same for all.
Columns are those of the paper's Table 2; the three pooling configs make its Table 3. Times are of reading
images and of the model, in this run; loading models and scoring maps are left out. OUT gets compare.md, .csv
and .json, the scores of every query by method, and index.html with pictures side by side.
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
    parser.add_argument('--protocol', choices=['reference', 'paper'], default='reference', help='of the metrics')
    parser.add_argument('--pictures', type=int, default=12, metavar='N', help='queries to draw (default: %(default)s)')
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='override entries of every config'
    )
    return parser.parse_args()


def main(args) -> None:
    from benchmarks.environment import choose_device
    from rich import print as show

    from xemap.comparison import Method, as_text, compare
    from xemap.errors import ConfigError

    if args.pictures < 0:
        raise ConfigError(f'--pictures {args.pictures}; give 0 or more')
    report = compare(
        [Method.parse(text) for text in args.methods],
        args.out,
        args.ann_file,
        args.data_root,
        device=choose_device(args.device),
        protocol=args.protocol,
        pictures=args.pictures,
        options=args.cfg_options,
        show_progress=True,
    )
    show(as_text(report))
    print(f'written to {args.out}: compare.md, compare.csv, compare.json' + (', index.html' if args.pictures else ''))


if __name__ == '__main__':
    sys.exit(run(main, parse_args()))
