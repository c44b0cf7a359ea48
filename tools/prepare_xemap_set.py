#!/usr/bin/env python
"""Convert all public sources of XeMap-Set that are under one folder, and merge them.

python tools/prepare_xemap_set.py --root data/raw --out data/xemap_set

Each source lies in its own folder as its publishers unpack it; docs/xemap_set.md shows the tree. What
is missing is left out and listed. Interrupt it at any time: the next run goes on with the sources that
are not finished. At the end stands what was made, beside Table 1 of the paper.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from xemap import cli


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = cli.make_parser(__doc__)
    parser.add_argument('--root', type=Path, required=True, metavar='DIR', help='folder of the sources')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='folder for annotation files and crops')
    parser.add_argument(
        '--data-root', type=Path, metavar='DIR',
        help='folder that image paths will be relative to (default: the innermost that holds both)',
    )  # fmt: skip
    parser.add_argument('--sources', nargs='+', metavar='NAME', help='prepare and merge only these (default: all)')
    parser.add_argument('--workers', type=_positive, metavar='N', help='sources at a time (default: one a CPU core)')
    parser.add_argument('--strict', action='store_true', help='fail a source at its first bad file or object')
    parser.add_argument(
        '--official-splits', action='store_true',
        help='divide DIOR, LoveDA and AerialImage as their publishers do, not as the counts of Table 1 imply',
    )  # fmt: skip
    parser.add_argument('--crop-dota', type=_positive, metavar='PIXELS', help='cut DOTA images into crops of this side')
    parser.add_argument('--templates', type=Path, metavar='FILE', help='your names and phrases for categories, JSON')
    parser.add_argument(
        '--expressions', action='store_true',
        help='make further queries of labels, with attributes, positions and relations',
    )  # fmt: skip
    parser.add_argument(
        '--wordings', type=_positive, default=1, metavar='N',
        help='queries per category and image of labels, in different words (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument('--seed', type=int, default=0, help='seed of wording and expressions (default: %(default)s)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the counts as JSON as well')
    return parser.parse_args(argv)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is no whole number above 0')
    return int(text)


def main(args: argparse.Namespace) -> int:
    from xemap.files import write_json
    from xemap.preparation.xemap_set import PrepareOptions, prepare
    from xemap.preparation.xemap_set.summary import config_lines, summary, tables
    from xemap.terminal import PlainConsole

    options = PrepareOptions(
        strict=args.strict,
        official_splits=args.official_splits,
        crop_dota=args.crop_dota,
        templates=str(args.templates) if args.templates else None,
        expressions=args.expressions,
        seed=args.seed,
        wordings=args.wordings,
    )
    prepared = prepare(
        args.root, args.out, data_root=args.data_root, names=args.sources, workers=args.workers,
        options=options, show_progress=True,
    )  # fmt: skip
    PlainConsole().print(tables(prepared))
    print('for a config:', *config_lines(prepared), sep='\n')  # not wrapped, so that it can be copied
    if args.json:
        write_json(args.json, summary(prepared))
    for name, outcome in prepared.failures.items():
        if args.debug:
            print(outcome.details, file=sys.stderr)
        print(f'error: {name}: {outcome.error.removeprefix(f"{name}: ")}', file=sys.stderr)
    return cli.USER_ERROR if prepared.failures else 0


if __name__ == '__main__':
    arguments = parse_args()
    sys.exit(cli.run(main, arguments))
