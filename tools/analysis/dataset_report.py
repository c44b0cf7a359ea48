"""Histograms of annotation files, as in the paper's Figure 4: queries, multi-hop and multi-ref queries per
image, words per query. Writes OUT/histograms.png (one row per file), OUT/histograms.json and OUT/statistics.json
(words, vocabulary, categories, regions, pixels of all files together), prints tables, beside a source's published
numbers where they are known.

example:
  python tools/analysis/dataset_report.py data/mine/train.arrow data/mine/test.arrow --out work_dirs/mine/report
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from xemap import cli


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = cli.make_parser(__doc__)
    parser.add_argument('files', nargs='+', metavar='FILE', help='annotation file (*.arrow)')
    parser.add_argument('--out', required=True, type=Path, help='folder for picture and JSON')
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    from rich.progress import track

    from xemap.files import write_json
    from xemap.preparation.reports.histogram_figure import format_histograms, save_histograms
    from xemap.preparation.reports.histograms import count_histograms
    from xemap.preparation.reports.statistics import count_statistics, statistics_table
    from xemap.terminal import PlainConsole

    console = PlainConsole(stderr=True)
    described = [count_histograms(file) for file in track(args.files, 'files', console=console, transient=True)]
    write_json(args.out / 'histograms.json', described)
    save_histograms(args.out / 'histograms.png', described)
    statistics = count_statistics(args.files)
    write_json(args.out / 'statistics.json', statistics)
    PlainConsole().print(format_histograms(described))
    PlainConsole().print(statistics_table(statistics))
    print(f'wrote {args.out / "histograms.png"}, {args.out / "histograms.json"} and {args.out / "statistics.json"}')


if __name__ == '__main__':
    arguments = parse_args()
    sys.exit(cli.run(main, arguments))
