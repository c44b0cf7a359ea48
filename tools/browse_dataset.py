"""Look at a data set: every query with its image, the outline of its region and its target map (MCMG).

Writes HTML pages that a browser opens offline and can filter, or pictures. Filters are joined by "and",
values of one filter by "or". Where more queries fit than --limit, a random choice is shown.

examples:
  python tools/browse_dataset.py data/mine/train.arrow --data-root data/mine --out work_dirs/mine/look
  python tools/browse_dataset.py data/mine/train.arrow --data-root data/mine --out work_dirs/mine/look \\
      --kind multi-hop --text "next to|near" --limit 50 --pictures
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from xemap import cli

YES_NO = {'yes': True, 'no': False}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = cli.make_parser(__doc__)
    parser.add_argument('file', help='annotation file (*.arrow)')
    parser.add_argument('--data-root', required=True, help='folder that the image paths in the file are relative to')
    parser.add_argument('--out', required=True, type=Path, help='folder for pages or pictures')
    parser.add_argument('--config', help='draw the target maps with its grids and sigma (default: those of MCMG)')
    form = parser.add_mutually_exclusive_group()
    form.add_argument('--html', action='store_true', help='write OUT/page-001.html and on (default)')
    form.add_argument('--pictures', action='store_true', help='write a PNG a query')
    parser.add_argument('--source', nargs='+', metavar='S', help='images of these data sets')
    parser.add_argument('--kind', nargs='+', metavar='K', help='one-hop, attribute, position, multi-hop, unknown')
    parser.add_argument('--text', metavar='REGEX', help='regular expression in the query, letters of any case')
    parser.add_argument('--multi-hop', choices=YES_NO, help='other objects must be found first')
    parser.add_argument('--multi-ref', choices=YES_NO, help='several regions match')
    parser.add_argument('--per-page', type=int, default=100, metavar='N', help='queries a page (default: %(default)s)')
    parser.add_argument('--limit', type=int, default=500, metavar='N', help='queries, 0 = all (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='seed of the choice where more fit (default: %(default)s)')
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    from rich.progress import Progress

    from xemap.config import load_config
    from xemap.datasets.transforms.targets import target_options
    from xemap.terminal import PlainConsole
    from xemap.visualization.browse import browse

    filters = {
        'sources': args.source,
        'kinds': args.kind,
        'text': args.text,
        'multi_hop': YES_NO.get(args.multi_hop),
        'multi_ref': YES_NO.get(args.multi_ref),
        'limit': args.limit or None,
        'seed': args.seed,
    }
    with Progress(console=PlainConsole(stderr=True)) as bar:
        task = bar.add_task('queries', total=None)

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        written = browse(
            args.file, args.data_root, args.out, filters,
            pictures=args.pictures, per_page=args.per_page, progress=progress,
            target_options=target_options(load_config(args.config)) if args.config else None,
        )  # fmt: skip
    for problem in written['problems']:
        print(f'warning: {problem}', file=sys.stderr)
    files = written['files']
    print(f'{written["queries"]} queries of {written["images"]} images in {len(files)} files, the first is {files[0]}')


if __name__ == '__main__':
    arguments = parse_args()
    sys.exit(cli.run(main, arguments))
