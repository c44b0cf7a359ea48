#!/usr/bin/env python
"""Put the scores of a trained and an untrained model, of reference answers and of text controls into one table.

    python tools/analysis/quickstart_table.py MODEL.summary.json UNTRAINED.summary.json --out results.json

The inputs are what tools/test.py --out writes.
"""

from __future__ import annotations

import sys
from pathlib import Path

from xemap.cli import make_parser, run


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument('model', help='summary of the trained model')
    parser.add_argument('untrained', help='summary of the untrained model, on the same queries')
    parser.add_argument('--out', type=Path, required=True, help='JSON file to write; the table goes beside it as .md')
    return parser.parse_args()


def main(args) -> None:
    from xemap.comparison.summaries import compare_summaries, format_comparison
    from xemap.files import write_json, write_text

    results = compare_summaries(args.model, args.untrained)
    write_json(args.out, results)
    table = format_comparison(results)
    write_text(args.out.with_suffix('.md'), table + '\n')
    print(table)


if __name__ == '__main__':
    sys.exit(run(main, parse_args()))
