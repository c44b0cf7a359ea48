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
    from xemap.comparison.two_runs import changed_queries, compare_runs, difference_table
    from xemap.files import write_json
    from xemap.terminal import PlainConsole

    changed = changed_queries(args.first, args.second, args.score, args.changed)
    differences = compare_runs(args.first, args.second, args.seed)
    console = PlainConsole()
    console.print(difference_table(differences))
    for line in changed:
        console.print(line)
    if args.out:
        write_json(args.out, {name: difference.as_dict() for name, (_, difference) in differences.items()})


if __name__ == '__main__':
    sys.exit(run(main, parse_args()))
