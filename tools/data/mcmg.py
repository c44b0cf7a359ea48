"""Write the correlation map (MCMG) of every query of a data set as an 8-bit PNG.

Maps come from the annotation file alone and go to OUT/IMAGE/QUERY.png, listed in OUT/index.csv. An
interrupted run goes on where it stopped. Training does not need them: its pipeline makes the maps.

example:
  python tools/data/mcmg.py data/mine/train.arrow --out data/mine/maps --size 512
"""

from __future__ import annotations

import argparse
import sys

from xemap import cli


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = cli.make_parser(__doc__)
    parser.add_argument('file', help='annotation file (*.arrow)')
    parser.add_argument('--out', required=True, help='folder for the maps')
    parser.add_argument('--size', type=int, default=512, help='height and width of the maps (default: %(default)s)')
    parser.add_argument('--grids', type=int, nargs='+', metavar='CELLS', help="cells along each side (default: MCMG's)")
    parser.add_argument('--sigma', type=float, help="Gaussian, as a fraction of the side (default: MCMG's)")
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    from rich.progress import Progress

    from xemap.datasets.mcmg import GRIDS, SIGMA
    from xemap.preparation.reports.mcmg_export import export_maps

    grids, sigma = args.grids or GRIDS, SIGMA if args.sigma is None else args.sigma
    with Progress() as bar:
        task = bar.add_task('images', total=None)

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        counts = export_maps(args.file, args.out, args.size, grids, sigma, progress)
    print(f'{counts["written"]} maps written, {counts["kept"]} kept, in {args.out}')


if __name__ == '__main__':
    arguments = parse_args()
    sys.exit(cli.run(main, arguments))
