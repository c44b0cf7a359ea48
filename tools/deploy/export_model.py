#!/usr/bin/env python
"""A trained network as files that run without this package: torch.export and ONNX.

    python tools/deploy/export_model.py --out exported
    python tools/deploy/export_model.py --config CONFIG --checkpoint CHECKPOINT --out exported --format pt2

Writes OUT/model.pt2 (torch.export), model.onnx, image_encoder.onnx, query_decoder.onnx, tokenizer/, export.json, a
reference and an example without torch, and compares each with the model. Without --config and --checkpoint the
quickstart's model is used.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from xemap import cli


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = cli.make_parser(__doc__)
    parser.add_argument('--out', required=True, help='folder to write to')
    parser.add_argument('--config', help="path, or name of one of the project's (default: the quickstart's)")
    parser.add_argument('--checkpoint', help='weights; "none" = untrained (default: the quickstart\'s)')
    parser.add_argument('--format', help='some of pt2,onnx,image-onnx,query-onnx (default: all that the model has)')
    parser.add_argument('--size', type=int, nargs=2, metavar=('HEIGHT', 'WIDTH'),
                        help='size of the image in pixels (default: what the config resizes to)')  # fmt: skip
    parser.add_argument('--json', action='store_true', help='print the summary as JSON')
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    from rich.table import Table

    from xemap.errors import ConfigError
    from xemap.export import export_model
    from xemap.files import file_hash
    from xemap.inference.command import choose_model
    from xemap.models import build_localizer
    from xemap.terminal import PlainConsole

    config, checkpoint = choose_model(args.config, args.checkpoint)
    localizer = build_localizer(config, checkpoint)
    size = tuple(args.size) if args.size else localizer.input_size
    if size is None:
        raise ConfigError('the config has no image size; give --size HEIGHT WIDTH')
    formats = [name.strip() for name in args.format.split(',')] if args.format else None
    source = {
        'model': Path(config if isinstance(config, str) else config.filename).stem,
        'weights': Path(checkpoint).name if checkpoint else 'untrained',
        'weights_hash': file_hash(checkpoint) if checkpoint else None,
    }
    about = export_model(localizer, size, args.out, formats, source)
    if args.json:
        print(json.dumps(about, indent=1))
        return
    table = Table('file', 'MB', 'largest difference to the model')
    for file in about['files']:
        table.add_row(file['file'], f'{file["bytes"] / 1e6:.1f}', f'{file["max_difference"]:.2g}')
    PlainConsole().print(table)
    print(f'written to {args.out}; images {size[0]} x {size[1]} (height x width), see export.json')


if __name__ == '__main__':
    arguments = parse_args()
    sys.exit(cli.run(main, arguments))
