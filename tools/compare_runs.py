#!/usr/bin/env python
"""Compare two runs of tools/test.py on the same queries.

    python tools/compare_runs.py A.queries.csv B.queries.csv
    python tools/compare_runs.py A.queries.csv B.queries.csv --score rmi --changed 20

Prints for each score A, B and A - B with its 95 % interval (bootstrap over images), p of a permutation test that
exchanges the runs image by image, and on how many queries A is better (wins) or worse (losses);
then the queries that changed most. The scores are those that A.summary.json, beside A.queries.csv, declares.
"""

from __future__ import annotations

import sys
from pathlib import Path

from xemap.cli import make_parser, run


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument('first', type=Path, metavar='A.queries.csv')
    parser.add_argument('second', type=Path, metavar='B.queries.csv')
    parser.add_argument('--score', help='score of the queries that changed most (default: the first)')
    parser.add_argument('--changed', type=int, default=10, metavar='N', help='queries to list (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='seed of the resampling (default: %(default)s)')
    parser.add_argument('--out', type=Path, help='JSON file to write')
    return parser.parse_args()


def main(args) -> None:
    from rich.table import Table

    from xemap.errors import ConfigError
    from xemap.evaluation.paired import most_changed, paired_difference, read_rows, read_scores
    from xemap.files import write_json
    from xemap.terminal import PlainConsole

    first, second = read_rows(args.first), read_rows(args.second)
    scores = {score.name: score for score in read_scores(args.first)}
    if args.score is not None and args.score not in scores:
        raise ConfigError(f'--score {args.score} is not declared; known: {", ".join(scores)}')
    table = Table(box=None, padding=(0, 1, 0, 0))
    for heading in ('score', 'A', 'B', 'A - B', '95 % interval', 'p', 'wins', 'losses', 'queries'):
        table.add_column(heading, no_wrap=True, justify='left' if heading == 'score' else 'right')
    results = {}
    for name, score in scores.items():
        difference = paired_difference(first, second, score, args.seed)
        if difference is not None:
            results[name] = difference.as_dict()
            bounds = '' if difference.low is None else f'{difference.low:+.4f} to {difference.high:+.4f}'
            numbers = (
                f'{difference.first:.4f}',
                f'{difference.second:.4f}',
                f'{difference.difference:+.4f}',
                bounds,
                f'{difference.p:.4f}',
            )
            table.add_row(score.label, *numbers, str(difference.wins), str(difference.losses), str(difference.queries))
    PlainConsole().print(table)
    chosen = scores[args.score or next(iter(scores))]
    for change, row in most_changed(first, second, chosen, args.changed):
        PlainConsole().print(f'{change:+.4f} {chosen.label}  {row["text"]}  ({row["image"]})')
    if args.out:
        write_json(args.out, results)


if __name__ == '__main__':
    sys.exit(run(main, parse_args()))
