#!/usr/bin/env python
"""Draw the synthetic data set.

    python tools/data/make_synthetic.py --out data/synthetic --train 600 --val 60 --test 100
    python tools/data/make_synthetic.py --out data/synthetic_captions --captions 5 --train 240 --val 15 --test 50

    python tools/data/make_synthetic.py --out data/synthetic --minimal-pairs 100

Writes OUT/images/SPLIT/*.jpg and OUT/SPLIT.arrow. With --captions it cuts tiles from the scenes and
writes OUT/images/SPLIT/*.jpg and OUT/dataset_synthetic.json, for training retrieval models. Minimal pairs
(OUT/pairs.arrow, scenes of their own) are two queries each that differ in one word or phrase. The last
line on stdout is JSON with the counts. A run that was interrupted goes on where it stopped; the same
options always give the same files.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from xemap.cli import ending_cleanly, make_parser, run

SPLITS = ('train', 'val', 'test')


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument('--out', type=Path, required=True, help='folder of the data set')
    for split in SPLITS:
        parser.add_argument(f'--{split}', type=int, default=0, metavar='N', help=f'scenes in the {split} split')
    parser.add_argument('--seed', type=int, default=0, help='seed of all splits; they never share a scene')
    parser.add_argument(
        '--sizes', type=int, nargs='+', metavar='PX',
        help='sides of scenes (default: 512 768 1024; with --captions: 1024 1536 2048)',
    )  # fmt: skip
    parser.add_argument('--minimal-pairs', type=int, default=0, metavar='N', help='scenes in the pairs split')
    parser.add_argument(
        '--needed-words', type=float, default=0.0, metavar='SHARE',
        help='share of the queries of more than a category that can do without none of their conditions, because '
        'each excludes another object of the category (default: as it comes)',
    )  # fmt: skip
    parser.add_argument(
        '--pairs-in-train', action='store_true',
        help='in the train split, minimal pairs follow the other queries of a scene, in the words of that split',
    )  # fmt: skip
    parser.add_argument('--captions', type=int, metavar='N', help='write tiles with N captions each')
    parser.add_argument('--tiles', type=int, default=10, metavar='N', help='with --captions: tiles of a scene')
    parser.add_argument('--pixels', type=int, default=128, metavar='PX', help='with --captions: side of stored tiles')
    parser.add_argument('--workers', type=int, help='processes (default: one per core, up to 8)')
    return parser.parse_args()


def main(args) -> None:
    from rich.table import Table

    from xemap.errors import ConfigError
    from xemap.preparation.synthetic.scene import SIZES
    from xemap.preparation.synthetic.writer import write_synthetic
    from xemap.structures import QUERY_KINDS
    from xemap.terminal import PlainConsole

    num_scenes = {split: getattr(args, split) for split in SPLITS if getattr(args, split)}
    if not num_scenes and not args.minimal_pairs:
        raise ConfigError('no scenes asked for; give --train, --val, --test or --minimal-pairs')
    if args.captions is not None:
        if args.minimal_pairs or args.needed_words or args.pairs_in_train:
            options = '--minimal-pairs, --needed-words and --pairs-in-train'
            raise ConfigError(f'--captions makes no queries; leave {options} out')
        write_tiles(args, num_scenes)
        return
    if args.pairs_in_train and not args.train:
        raise ConfigError('--pairs-in-train concerns the train split; give --train too')
    sizes = args.sizes or SIZES
    counts = {}
    for split, number in num_scenes.items():
        pairs = 'too' if split == 'train' and args.pairs_in_train else 'none'
        counts[split] = write_synthetic(
            args.out, split, number, args.seed, sizes, args.workers, args.needed_words, pairs
        )
    if args.minimal_pairs:
        counts['pairs'] = write_synthetic(
            args.out, 'pairs', args.minimal_pairs, args.seed, sizes, args.workers, minimal_pairs='only'
        )
    table = Table('', *counts, title=str(args.out))
    for name in ('images', 'drawn', 'queries', *QUERY_KINDS, 'single_ref', 'multi_ref'):
        values = (row['kinds'][name] if name in QUERY_KINDS else row[name] for row in counts.values())
        table.add_row(name, *map(str, values))
    PlainConsole().print(table)
    print(json.dumps({'out': str(args.out), 'splits': counts}))


def write_tiles(args, num_scenes: dict[str, int]) -> None:
    from rich.table import Table

    from xemap.preparation.synthetic.captions import SCENE_SIZES, write_captioned_tiles
    from xemap.terminal import PlainConsole

    counts = write_captioned_tiles(
        args.out, num_scenes, args.seed, args.tiles, args.pixels,
        sizes=args.sizes or SCENE_SIZES, captions=args.captions, workers=args.workers,
    )  # fmt: skip
    table = Table('', *counts, title=str(args.out))
    for name in ('scenes', 'images', 'captions'):
        table.add_row(name, *(str(row[name]) for row in counts.values()))
    PlainConsole().print(table)
    print(json.dumps({'out': str(args.out), 'splits': counts}))


if __name__ == '__main__':
    with ending_cleanly():
        sys.exit(run(main, parse_args()))
