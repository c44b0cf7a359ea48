"""Find what the splits of a data set share: images, near-duplicate images, sentences.

Near-duplicates are compared by a perceptual hash and a thumbnail; only with --data-root, which says where the images
are. --write makes a division of the same queries in which no image is in two splits.

example:
  python tools/analysis/audit_dataset.py data/dior_rsvg/train.arrow data/dior_rsvg/val.arrow \\
      data/dior_rsvg/test.arrow --data-root data --write data/dior_rsvg_by_image
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from xemap import cli


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = cli.make_parser(__doc__)
    parser.add_argument('files', nargs='+', type=Path, metavar='FILE', help='annotation files, one for each split')
    parser.add_argument('--data-root', type=Path, metavar='DIR', help='folder that image paths are relative to')
    parser.add_argument(
        '--distance', type=int, default=6, metavar='BITS', help='differing bits of 64 in near-duplicates (default: 6)'
    )
    parser.add_argument('--write', type=Path, metavar='DIR', help='write an image-disjoint division to this folder')
    parser.add_argument('--seed', type=int, default=0, help='seed of that division (default: %(default)s)')
    parser.add_argument('--json', action='store_true', help='print JSON instead of tables')
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    from rich.progress import Progress

    from xemap.datasets.annotations import AnnotationFile
    from xemap.errors import ConfigError
    from xemap.preparation.reports.audit import audit, disjoint_paths, write_disjoint
    from xemap.preparation.reports.audit_tables import audit_tables
    from xemap.terminal import PlainConsole

    files = {}
    for path in args.files:
        if path.stem in files:
            raise ConfigError(f'{files[path.stem].path} and {path} are both named {path.stem}; rename one')
        files[path.stem] = AnnotationFile(path)
    if args.write is not None and args.data_root is None:
        raise ConfigError('--write without --data-root would leave near-duplicates in two splits; give --data-root')
    if args.write is not None:
        disjoint_paths(files, args.write)  # before minutes of reading
    with Progress(console=PlainConsole(stderr=True), transient=True) as progress:
        task = progress.add_task('images', total=None)
        report = audit(
            files, args.data_root, args.distance, lambda done, total: progress.update(task, completed=done, total=total)
        )
    content = report.as_dict()
    if args.write is not None:
        content['written'] = write_disjoint(files, report, args.write, args.seed)
    if args.json:
        print(json.dumps(content, indent=2, ensure_ascii=False))
    else:
        PlainConsole().print(audit_tables(content))


if __name__ == '__main__':
    arguments = parse_args()
    sys.exit(cli.run(main, arguments))
