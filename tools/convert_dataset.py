"""Convert a data set of your own to annotation files, one for each split.

  coco         COCO JSON with boxes or instance masks
  boxes-csv    a CSV file with one box or polygon a line
  color-masks  segmentation masks as images, with a table of colours

Each category in an image becomes one query. In test partitions drawn by hand, each expression is one:

  polygons       the project's own JSON
  labelme        one JSON of labelme an image, labels are expressions
  coco-captions  COCO JSON, captions or category names are expressions
  airslt         the test set of the SeLo papers

Expressions for single objects, with the publishers' splits:

  dior-rsvg      DIOR-RSVG in its published layout

Public data sets of the paper: tools/prepare_xemap_set.py. Images stay where they are; the annotation files hold
their paths relative to --data-root. Details and examples: `convert_dataset.py FORMAT --help`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xemap import cli

if TYPE_CHECKING:
    from xemap.preparation.converters import SplitRule

COCO = """COCO JSON with boxes, polygons or run-length codes.

example:
  python tools/convert_dataset.py coco --data-root data/mine --annotations instances.json \\
      --images images --out data/mine --val 0.1 --test 0.2
"""
BOXES_CSV = """A CSV file with a header line and one object a line. The geometry is a list of points, for example
"[(135, 522), (245, 522), (245, 600), (135, 600)]", in pixels.

example:
  python tools/convert_dataset.py boxes-csv --data-root data/airbus_aircraft \\
      --annotations annotations.csv --images images --map Truncated_airplane=Airplane \\
      --out data/airbus_aircraft --val 0.15
"""
COLOR_MASKS = """A folder of images and a folder of masks (RGB, indexed, or class numbers) with the same stems.
The class table is JSON, [{"color": "#3C1098", "name": "building"}, {"color": "#9B9B9B", "ignore": true}],
or CSV with the columns color, name, ignore; "id" replaces "color" for masks of class numbers.

example:
  python tools/convert_dataset.py color-masks --data-root data/dubai_seg --images image --masks mask \\
      --classes data/dubai_seg/class_table.json --out data/dubai_seg \\
      --val 0.12 --test 0.25 --group-regex 't(\\d+)\\.'
"""
POLYGONS = """Expressions with polygons in the project's own JSON; docs/xemap_set.md describes it.

example:
  python tools/convert_dataset.py polygons --data-root data/mine --annotations test.json --images images \\
      --out data/mine
"""
LABELME = """A folder of labelme's JSON files. The label of a polygon or rectangle is the expression; shapes with
the same label are one query; a flag or description multi_hop marks multi-hop expressions.

example:
  python tools/convert_dataset.py labelme --data-root data/mine --annotations marked --out data/mine
"""
COCO_CAPTIONS = """COCO JSON in which the "caption" of an annotation, or else its category's name, is the expression.

example:
  python tools/convert_dataset.py coco-captions --data-root data/mine --annotations instances.json \\
      --images images --out data/mine
"""
AIRSLT = """AIR-SLT in its published layout: annotations/anno.json and imgs.

example:
  python tools/convert_dataset.py airslt --data-root data --folder airslt --out data/airslt
"""
DIOR_RSVG = """DIOR-RSVG in its published layout: {train,val,test}.txt, Annotations/*.xml and JPEGImages/*.jpg. Each
expression is a query for one object, in the split in which the lists number that object.

example:
  python tools/convert_dataset.py dior-rsvg --data-root data --folder DIOR_RSVG --out data/dior_rsvg
"""


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = cli.make_parser(__doc__)
    formats = parser.add_subparsers(dest='format', required=True, metavar='FORMAT')

    coco = _add_format(formats, 'coco', COCO)
    coco.add_argument('--annotations', required=True, help='the JSON file')
    coco.add_argument('--images', default='.', help='folder that file_name is relative to (default: the data root)')
    coco.add_argument('--boxes-only', action='store_true', help='use boxes even where there are masks')
    _add_common(coco, min_area=0.0)
    _add_map(coco)

    boxes = _add_format(formats, 'boxes-csv', BOXES_CSV)
    boxes.add_argument('--annotations', required=True, help='the CSV file')
    boxes.add_argument('--images', required=True, help='folder of the images')
    boxes.add_argument('--image-column', default='image_id', help='column of the image name (default: %(default)s)')
    boxes.add_argument('--geometry-column', default='geometry', help='column of the points (default: %(default)s)')
    boxes.add_argument('--class-column', default='class', help='column of the class name (default: %(default)s)')
    boxes.add_argument('--image-suffix', default='', help='appended to image names that are listed without, e.g. .jpg')
    _add_common(boxes, min_area=0.0)
    _add_map(boxes)

    masks = _add_format(formats, 'color-masks', COLOR_MASKS)
    masks.add_argument('--images', required=True, help='folder of the images')
    masks.add_argument('--masks', required=True, help='folder of the masks')
    masks.add_argument('--classes', required=True, help='the class table, *.json or *.csv')
    masks.add_argument('--mask-suffix', default='', help="what a mask's stem has after the image's, e.g. _label")
    masks.add_argument(
        '--tolerance', type=float, default=0.0, metavar='D',
        help='take an unknown colour for the nearest class up to this distance in RGB, and count it (default: never)',
    )  # fmt: skip
    _add_common(masks, min_area=2e-4)

    polygons = _add_format(formats, 'polygons', POLYGONS)
    captions = _add_format(formats, 'coco-captions', COCO_CAPTIONS)
    for drawn in (polygons, captions):
        drawn.add_argument('--annotations', required=True, help='the JSON file')
        drawn.add_argument('--images', default='.', help='folder of the images (default: the data root)')
    captions.add_argument('--boxes-only', action='store_true', help='use boxes even where there are polygons')
    labelme = _add_format(formats, 'labelme', LABELME)
    labelme.add_argument('--annotations', default='.', help='folder of the JSON files (default: the data root)')
    airslt = _add_format(formats, 'airslt', AIRSLT)
    airslt.add_argument('--folder', default='airslt', help='where it lies (default: %(default)s)')
    for drawn in (polygons, captions, labelme, airslt):
        _add_common(drawn, min_area=None, split='test')
    rsvg = _add_format(formats, 'dior-rsvg', DIOR_RSVG)
    rsvg.add_argument('--folder', default='DIOR_RSVG', help='where it lies (default: %(default)s)')
    _add_common(rsvg, min_area=None, split=None)
    return parser.parse_args(argv)


def _add_format(formats, name: str, text: str) -> argparse.ArgumentParser:
    return formats.add_parser(name, description=text, formatter_class=argparse.RawDescriptionHelpFormatter)


def _add_common(parser: argparse.ArgumentParser, min_area: float | None, split: str | None = 'train') -> None:
    """Arguments of all formats; wording and size only with a ``min_area``, splits only with a ``split``."""
    where = parser.add_argument_group('where (annotations, images and masks are relative to the data root)')
    where.add_argument('--data-root', required=True, metavar='DIR', help='folder that image paths will be relative to')
    where.add_argument('--out', required=True, metavar='DIR', help='folder for train.arrow and so on')
    where.add_argument('--source', metavar='NAME', help='name of the data set (default: that of the data root)')
    if split is not None:
        _add_splits(parser, split)
    if min_area is not None:
        queries = parser.add_argument_group('queries')
        queries.add_argument('--templates', metavar='FILE', help='your names and phrases for categories, JSON')
        queries.add_argument(
            '--min-area', type=float, default=min_area, metavar='F',
            help='no query for a category with a smaller share of the image (default: %(default)s)',
        )  # fmt: skip
        queries.add_argument(
            '--expressions', action='store_true',
            help='ask for attributes, positions and relations of the labelled objects as well (docs/expressions.md)',
        )  # fmt: skip
    parser.add_argument('--skip-bad', action='store_true', help='count and leave out bad files instead of failing')
    parser.add_argument('--json', action='store_true', help='print the summary as JSON')
    parser.add_argument('--debug', action='store_true', default=argparse.SUPPRESS, help='show tracebacks of errors')


def _add_splits(parser: argparse.ArgumentParser, split: str) -> None:
    splits = parser.add_argument_group('splits')
    splits.add_argument(
        '--split', default=split, metavar='NAME', help='split of all images, or of the rest (default: %(default)s)'
    )
    splits.add_argument('--val', type=float, metavar='F', help='share of the images for val, e.g. 0.15')
    splits.add_argument('--test', type=float, metavar='F', help='share of the images for test')
    splits.add_argument(
        '--group-regex', metavar='RE',
        help='keep images together for which this finds the same text (of its first group), e.g. tiles of one scene',
    )  # fmt: skip
    splits.add_argument(
        '--split-file', action='append', default=[], metavar='NAME=FILE', type=_pair,
        help='a list of images, one a line, * allowed, for split NAME; repeat for more splits',
    )  # fmt: skip
    splits.add_argument('--seed', type=int, default=0, help='of the split and the wording (default: %(default)s)')


def _add_map(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--map', action='append', default=[], metavar='OLD=NEW', type=_pair,
        help='rename or join categories; OLD= drops one; repeat for more',
    )  # fmt: skip


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition('=')
    if not key or not equals:
        raise argparse.ArgumentTypeError(f'{text!r} is not of the form NAME=VALUE')
    return key, value


def main(args: argparse.Namespace) -> None:
    from rich.console import Console

    from xemap.preparation import converters
    from xemap.preparation.converters import airslt, polygons
    from xemap.preparation.expressions import ExpressionGenerator

    options: dict[str, Any] = {'skip_bad': args.skip_bad}
    if args.source is not None:
        options['source'] = args.source
    if 'templates' in args:
        options['phrases'] = converters.PhraseTable(args.templates, seed=args.seed)
        options['min_area'] = args.min_area
        options['expressions'] = ExpressionGenerator(seed=args.seed) if args.expressions else None
    splits = _split_rule(args) if 'split' in args else None
    converter: converters.Converter
    if args.format == 'coco':
        converter = converters.CocoConverter(
            args.data_root, args.annotations, args.images,
            boxes_only=args.boxes_only, category_map=dict(args.map), **options,
        )  # fmt: skip
    elif args.format == 'boxes-csv':
        converter = converters.BoxesCsvConverter(
            args.data_root, args.annotations, args.images,
            image_column=args.image_column, geometry_column=args.geometry_column, class_column=args.class_column,
            image_suffix=args.image_suffix, category_map=dict(args.map), **options,
        )  # fmt: skip
    elif args.format == 'color-masks':
        converter = converters.ColorMasksConverter(
            args.data_root, args.images, args.masks, converters.ClassTable(args.classes),
            mask_suffix=args.mask_suffix, tolerance=args.tolerance, **options,
        )  # fmt: skip
    elif args.format == 'polygons':
        converter = polygons.PolygonsConverter(args.data_root, args.annotations, args.images, **options)
    elif args.format == 'labelme':
        converter = polygons.LabelmeConverter(args.data_root, args.annotations, **options)
    elif args.format == 'coco-captions':
        converter = polygons.CocoCaptionsConverter(
            args.data_root, args.annotations, args.images, boxes_only=args.boxes_only, **options
        )
    elif args.format == 'airslt':
        converter = airslt.AirSltConverter(args.data_root, args.folder, **options)
    else:
        converter = converters.DiorRsvgConverter(args.data_root, args.folder, **options)
    report = converters.convert(converter, args.out, splits, show_progress=True)
    if args.json:
        print(json.dumps(report.as_dict(), indent=2))
    else:
        Console().print(report.tables())


def _split_rule(args: argparse.Namespace) -> SplitRule:
    from xemap.preparation.converters import SplitRule

    fractions = {'val': args.val, 'test': args.test}
    return SplitRule(
        name=args.split,
        fractions={name: share for name, share in fractions.items() if share is not None},
        files={name: Path(file) for name, file in args.split_file},
        seed=args.seed,
        group_regex=args.group_regex,
    )


if __name__ == '__main__':
    arguments = parse_args()
    sys.exit(cli.run(main, arguments))
