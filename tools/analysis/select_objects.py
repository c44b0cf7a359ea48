#!/usr/bin/env python
"""Keep those objects of a detector or a segmentation that a query means.

    python tools/analysis/select_objects.py scene.jpg --map map.png --boxes detections.json --out results/scene
    python tools/analysis/select_objects.py scene.jpg --mask roads.png --statistic pixel --out results/roads \\
        --config configs/selo/selo_v1_s5_amfmn.py --checkpoint CHECKPOINT --query "the road along the river"

The map comes from a file, or from a config, its checkpoint and a query. Boxes are a COCO results JSON, a
mask is a gray or palette picture (0 = background; objects are areas of one value that touch).

  OUT.json          kept detections with their map_score; or the areas of the mask with score and kept
  OUT.mask.png      what is kept of the mask
  OUT.picture.png   outlines of what is kept, and the map
"""

from __future__ import annotations

import argparse
import sys

from xemap.cli import make_parser, run


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('image', help='image file that the objects were found in')
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument('--map', metavar='FILE', help='correlation map: 8-bit gray picture, or .npy in [0, 1]')
    source.add_argument('--config', help='config of the localizer that makes the map')
    parser.add_argument('--checkpoint', help='with --config: its weights (default: those the config starts with)')
    parser.add_argument('--query', help='with --config: the text; with --map: title of the picture')
    objects = parser.add_mutually_exclusive_group(required=True)
    objects.add_argument('--boxes', metavar='FILE.json', help='detections, a COCO results file')
    objects.add_argument('--mask', metavar='FILE', help='segmentation, a picture of the size of the image')
    parser.add_argument('--image-id', help='with --boxes: which image of the file, if it has several')
    parser.add_argument('--threshold', type=float, default=0.5, help='least score of what is kept (default: 0.5)')
    parser.add_argument(
        '--statistic', choices=['mean', 'max', 'pixel'], default='mean',
        help='score of an object from the map in it; pixel: cut a mask down to where the map is high (default: mean)',
    )  # fmt: skip
    parser.add_argument('--out', required=True, metavar='PREFIX', help='prefix of the files to write')
    parser.add_argument('--device', help='cpu, cuda, cuda:1 … (default: the GPU where there is one)')
    args = parser.parse_args(argv)
    if args.config and not args.query:
        parser.error('--config needs --query')
    return args


def main(args: argparse.Namespace) -> None:
    from xemap.inference.select_objects import select_objects
    from xemap.inference.selection import read_map

    def make_map(size):
        if args.map:
            return read_map(args.map, size)
        import numpy as np

        from xemap.inference import XeMapInferencer

        result = XeMapInferencer(args.config, args.checkpoint, args.device)(args.image, args.query)
        return np.nan_to_num(result.maps[0])  # nothing is kept where the image has no data

    kept, total = select_objects(
        args.image, make_map, args.out, boxes=args.boxes, image_id=args.image_id, mask=args.mask,
        threshold=args.threshold, statistic=args.statistic, title=args.query or str(args.map),
    )  # fmt: skip
    print(f'{kept} of {total} objects kept, in {args.out}.json; picture in {args.out}.picture.png')


if __name__ == '__main__':
    sys.exit(run(main, parse_args()))
