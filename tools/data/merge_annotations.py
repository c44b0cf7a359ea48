#!/usr/bin/env python
"""Join annotation files that were made with the same data root into one.

python tools/data/merge_annotations.py data/a/train.arrow data/b/train.arrow --out data/both/train.arrow
"""

from __future__ import annotations

import sys
from pathlib import Path

from xemap.cli import make_parser, run


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument('files', nargs='+', type=Path, help='annotation files')
    parser.add_argument('--out', type=Path, required=True, help='annotation file to write')
    return parser.parse_args()


def main(args) -> None:
    from xemap.datasets.annotations import merge_annotations

    counts = merge_annotations(args.files, args.out)
    print(f'{args.out}: {counts["images"]} images, {counts["queries"]} queries')


if __name__ == '__main__':
    sys.exit(run(main, parse_args()))
