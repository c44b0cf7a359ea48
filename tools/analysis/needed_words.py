#!/usr/bin/env python
"""Measure where the words of a data set's queries can be lost, before a network is trained.

    python tools/analysis/needed_words.py data/synthetic --encoder minilm --grids 16 8 4

Three tables: how many queries need the words of their kind and how many can be answered without; how well a linear
classifier reads the words from the mean of a frozen text encoder's states; and what the true mask scores at the
resolutions of a network's feature levels.
"""

from __future__ import annotations

import sys
from pathlib import Path

from xemap.cli import make_parser, run


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument('data', type=Path, help='folder with train.arrow and test.arrow')
    parser.add_argument('--encoder', default='minilm', help='text encoder, as in a config (default: %(default)s)')
    parser.add_argument(
        '--grids', type=int, nargs='+', default=[64, 32, 16, 8], help='cells along each side (default: 64 32 16 8)'
    )
    parser.add_argument('--out', type=Path, help='JSON file to write')
    return parser.parse_args()


def main(args) -> None:
    from xemap.comparison.text_probe import probe_encoder
    from xemap.datasets.annotations import AnnotationFile
    from xemap.files import write_json
    from xemap.preparation.reports.needed_words import needed_shares, print_report, resolution_scores

    train, test = (AnnotationFile(args.data / f'{split}.arrow') for split in ('train', 'test'))
    report = {
        'needed': needed_shares(train),
        'text': probe_encoder(args.encoder, train, test),
        'resolution': resolution_scores(test, args.grids),
    }
    print_report(report)
    if args.out:
        write_json(args.out, report)


if __name__ == '__main__':
    sys.exit(run(main, parse_args()))
