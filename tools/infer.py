#!/usr/bin/env python
"""Maps and polygons of queries in images of any size, georeferenced if the images are.

    python tools/infer.py scene.tif --query "the lake" --query "the road next to the lake" --out out
    python tools/infer.py scene.tif --queries-file queries.txt --out out --mode tile --format tif,geojson --crs wgs84
    python tools/infer.py *.jpg --query "the lake" --out out --config CONFIG --checkpoint CHECKPOINT
    python tools/infer.py FOLDER "more/**/*.tif" --images-from list.txt --query "the lake" --out out

Writes OUT/IMAGE/01_the-lake.{png,tif,geojson,npy,mask.png} and OUT/IMAGE/result.json; images that could not be done
are in OUT/failed.json. Without --config the one that the checkpoint holds is used, without --checkpoint the
quickstart's model.
"""

from __future__ import annotations

import argparse
import sys

from xemap import cli

FORMATS = 'png,tif,geojson,npy,mask'


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = cli.make_parser(__doc__)
    parser.add_argument(
        'images', nargs='*', metavar='IMAGE', help='a file, folder, quoted pattern, or GDAL name (/vsizip/a.zip/b.tif)'
    )
    parser.add_argument('--images-from', action='append', default=[], metavar='FILE', help='images, one per line')
    parser.add_argument('--query', action='append', default=[], metavar='TEXT', help='a sentence; repeat for more')
    parser.add_argument('--queries-file', metavar='FILE', help='sentences, one per line')
    parser.add_argument('--out', required=True, help='folder to write to')
    parser.add_argument('--config', help="path, or name of one of the project's (default: the checkpoint's own)")
    parser.add_argument('--checkpoint', help='weights; "none" = untrained (default: the quickstart\'s)')
    parser.add_argument('--mode', choices=['resize', 'tile'], default='resize',
                        help="the whole image at the model's size, or windows (default: %(default)s)")  # fmt: skip
    parser.add_argument('--tile', type=int, default=1024, help='side of a window in pixels (default: %(default)s)')
    parser.add_argument(
        '--overlap', type=float, default=0.25, metavar='SHARE', help='overlap of windows (default: %(default)s)'
    )
    parser.add_argument('--scales', type=_numbers, default=[1.0], metavar='S,…',
                        help='average passes with windows of S x TILE pixels, as 1,4 (default: 1)')  # fmt: skip
    parser.add_argument('--batch-size', type=int, default=8, help='windows at a time (default: %(default)s)')
    parser.add_argument('--bands', type=_whole_numbers, metavar='R,G,B', help='bands to see, from 1, three or one')
    parser.add_argument('--stretch', type=_numbers, metavar='LOW,HIGH',
                        help='percentiles that become black and white (default: 2,98, not for 8 bits)')  # fmt: skip
    parser.add_argument('--threshold', default='auto',
                        help='for regions: 0.5, otsu, q0.95; auto = otsu for maps, 0.5 for masks, any score for boxes '
                        '(default: %(default)s)')  # fmt: skip
    parser.add_argument(
        '--min-area', type=float, default=0, metavar='PIXELS', help='least area of a region (default: %(default)s)'
    )
    parser.add_argument(
        '--simplify', type=float, default=1, metavar='PIXELS', help='tolerance of outlines (default: %(default)s)'
    )
    parser.add_argument('--crs', default='image', help='CRS of polygons: image, wgs84, EPSG:… (default: %(default)s)')
    parser.add_argument('--format', default='png,geojson', help=f'some of {FORMATS} (default: %(default)s)')
    parser.add_argument('--decompose', nargs='*', metavar='PART',
                        help='picture each query beside its one-hop parts, found by rules or given')  # fmt: skip
    parser.add_argument('--levels', action='store_true', help="picture the sub-maps of the HMSA head's levels, too")
    parser.add_argument(
        '--max-pixels', type=float, metavar='N', help='largest image (default: 2.7e8; 6.9e10 if read by windows)'
    )
    parser.add_argument('--device', help='cpu, cuda, cuda:1 … (default: the GPU where there is one)')
    parser.add_argument('--json', action='store_true', help='print the summary as JSON')
    again = parser.add_mutually_exclusive_group()
    again.add_argument('--resume', action='store_true', help='skip finished images')
    again.add_argument('--overwrite', action='store_true', help='do finished images again')
    return parser.parse_args(argv)


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(',')]


def _whole_numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(',')]


_numbers.__name__, _whole_numbers.__name__ = 'numbers', 'whole numbers'  # argparse's messages show them


def main(args: argparse.Namespace) -> None:
    from xemap.inference.command import infer

    infer(args)


if __name__ == '__main__':
    arguments = parse_args()
    sys.exit(cli.run(main, arguments))
