#!/usr/bin/env python
"""A web page: choose or upload an image, type queries, see maps, download GeoTIFF and GeoJSON.

    python tools/deploy/demo_app.py
    python tools/deploy/demo_app.py --config CONFIG --checkpoint CHECKPOINT --port 8000

Needs the extra "demo" (gradio). Listens on this machine only; --host 0.0.0.0 opens the page to the network, without
a password. Without --config and --checkpoint the quickstart's model is used.
"""

from __future__ import annotations

import argparse
import sys

from xemap import cli


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = cli.make_parser(__doc__)
    parser.add_argument('--config', help="path, or name of one of the project's (default: the quickstart's)")
    parser.add_argument('--checkpoint', help='weights; "none" = untrained (default: the quickstart\'s)')
    parser.add_argument('--device', help='cpu, cuda, cuda:1 … (default: the GPU where there is one)')
    parser.add_argument('--host', default='127.0.0.1', help='address to listen on (default: %(default)s)')
    parser.add_argument('--port', type=int, default=7860, help='0 = any free one (default: %(default)s)')
    parser.add_argument('--allow-host', action='append', default=[], metavar='NAME',
                        help='another name of the page, as behind a proxy; may be repeated')  # fmt: skip
    parser.add_argument('--max-mb', type=float, default=100, help='largest upload (default: %(default)s)')
    parser.add_argument('--max-megapixels', type=float, default=50, help='largest image (default: %(default)s)')
    parser.add_argument('--max-seconds', type=float, default=120, help='most time for a request (default: %(default)s)')
    parser.add_argument('--max-memory', type=float, default=6, help='GB of a request, beside the model\'s '
                        '(default: %(default)s)')  # fmt: skip
    parser.add_argument('--max-disk', type=float, default=4, help='GB of all files of the page (default: %(default)s)')
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    from xemap.demo import load_app

    app = load_app()
    from xemap.inference.command import choose_model

    config, checkpoint = choose_model(args.config, args.checkpoint)
    limits = {name: value for name, value in vars(args).items() if name.startswith('max_')}
    where = {'host': args.host, 'port': args.port, 'allow_hosts': args.allow_host}
    with cli.ending_cleanly(), app.serving(config, checkpoint, args.device, **where, **limits) as (url, page):
        print(f'open {url} (stop with Ctrl-C)', flush=True)
        page.block_thread()


if __name__ == '__main__':
    arguments = parse_args()
    sys.exit(cli.run(main, arguments))
