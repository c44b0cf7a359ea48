"""Convert a data set to annotation files, one for each split.

Formats of your own data make one query of each category in an image: coco, boxes-csv, color-masks. In test
partitions drawn by hand each expression is one: polygons, labelme, coco-captions. The others are public data sets
in their published layout. A converter of your own is named as path/to/file.py:Class (docs/extend.md).

Images stay where they are; the annotation files hold their paths relative to --data-root. Arguments, details and
an example of each: `convert_dataset.py FORMAT --help`.
"""

from __future__ import annotations

import argparse
import json
import sys

from xemap import cli


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    argv = sys.argv[1:] if argv is None else argv
    parser = cli.make_parser(__doc__)
    formats = parser.add_subparsers(dest='format', required=True, metavar='FORMAT', title='formats')
    for name, converter in _converters(next((word for word in argv if not word.startswith('-')), None)).items():
        from xemap.preparation.converters import command

        sub = formats.add_parser(
            name,
            help=command.summary_of(converter),
            description=command.description_of(converter),
            epilog=f'example:\n  python tools/data/convert_dataset.py {name} {converter.example}',
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(sub, converter)
        sub.add_argument('--json', action='store_true', help='print the summary as JSON')
        sub.add_argument('--debug', action='store_true', default=argparse.SUPPRESS, help='show tracebacks of errors')
        sub.set_defaults(converter=converter)
    return parser.parse_args(argv)


def _converters(chosen: str | None) -> dict:
    """The converter that the command line names, or all for the list of formats."""
    from xemap.preparation.converters.registry import CONVERTERS, load_converter

    listed = chosen is None or chosen not in CONVERTERS and ':' not in chosen
    return {name: load_converter(name) for name in (CONVERTERS if listed else [chosen])}


def main(args: argparse.Namespace) -> None:
    from xemap.preparation.converters import command, convert
    from xemap.terminal import PlainConsole

    converter = command.make_converter(args.converter, args)
    report = convert(converter, args.out, command.make_split_rule(args.converter, args), show_progress=True)
    if args.json:
        print(json.dumps(report.as_dict(), indent=2))
    else:
        PlainConsole().print(report.tables())


if __name__ == '__main__':
    sys.exit(cli.run(lambda _: main(parse_args()), argparse.Namespace(debug='--debug' in sys.argv)))
