"""The annotation protocol of the paper's test partition: keep the queries on which two groups of annotators agree.

The first group writes sentences and draws polygons, the second draws boxes for the sentences alone. A query is kept
where the IoU of both is above 0.5 and the region covers 0.2 to 75 % of the image. Both files come from
tools/data/convert_dataset.py (polygons, labelme, coco-captions) with the same data root. The others are listed with
reasons.

example:
  python tools/data/check_agreement.py data/mine/first.arrow data/mine/second.arrow --out data/mine/test.arrow \\
      --rejected work_dirs/rejected.csv
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from xemap import cli


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = cli.make_parser(__doc__)
    parser.add_argument('first', type=Path, help='annotation file of those who wrote the sentences')
    parser.add_argument('second', type=Path, help='annotation file of those who drew for the sentences')
    parser.add_argument('--out', type=Path, required=True, metavar='FILE', help='annotation file of what is kept')
    parser.add_argument('--rejected', type=Path, metavar='FILE', help='write image, sentence and reason as CSV')
    parser.add_argument('--iou', type=float, default=0.5, help='IoU that must be exceeded (default: %(default)s)')
    parser.add_argument(
        '--share', type=float, nargs=2, default=(0.002, 0.75), metavar=('LEAST', 'MOST'),
        help='share of the image (default: 0.002 0.75)',
    )  # fmt: skip
    parser.add_argument('--boxes', action='store_true', help='compare the boxes around polygons, not the polygons')
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    import csv
    import io
    from statistics import mean

    from xemap.files import write_text
    from xemap.preparation.reports.protocol import check_agreement

    agreement = check_agreement(args.first, args.second, args.out, args.iou, tuple(args.share), args.boxes)
    if args.rejected is not None:
        text = io.StringIO()
        csv.writer(text).writerows([('image', 'sentence', 'reason'), *agreement.rejected])
        write_text(args.rejected, text.getvalue())
    average = f', mean IoU {mean(agreement.ious):.3f}' if agreement.ious else ''
    print(f'{args.out}: {agreement.kept} queries kept, {len(agreement.rejected)} rejected{average}')


if __name__ == '__main__':
    arguments = parse_args()
    sys.exit(cli.run(main, arguments))
