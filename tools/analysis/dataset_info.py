"""Show what is in an annotation file: counts, sources, kinds, sizes and a few queries.

examples:
  python tools/analysis/dataset_info.py data/mine/train.arrow
  python tools/analysis/dataset_info.py data/mine/train.arrow --json > train.json
"""

from __future__ import annotations

import argparse
import json
import sys

from xemap import cli


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = cli.make_parser(__doc__)
    parser.add_argument('file', help='annotation file (*.arrow)')
    parser.add_argument('--samples', type=int, default=5, help='queries to show (default: %(default)s)')
    parser.add_argument('--json', action='store_true', help='print JSON instead of tables')
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    from xemap.preparation.reports.info import describe_annotations, print_description

    description = describe_annotations(args.file, args.samples)
    if args.json:
        print(json.dumps(description, indent=2, ensure_ascii=False))
    else:
        print_description(description)


if __name__ == '__main__':
    arguments = parse_args()
    sys.exit(cli.run(main, arguments))
