#!/usr/bin/env python
"""Measure how fast a config's parts are on this machine, and print the numbers as JSON.

    python tools/benchmark.py
    python tools/benchmark.py CONFIG --parts train infer --device cuda --out before.json
    python tools/benchmark.py configs/xemap/xemap_swin-t_bert_512_25e.py \\
        --cfg-options model.language_model.name=minilm train_dataloader.batch_sampler.pairs_per_batch=4

  train   pairs/s of whole training steps, and peak memory
  infer   queries/s at 1, 4 and 9 queries an image, together and one by one
  data    samples/s of the training pipeline on one core
  metric  seconds for the SeLo metrics of a large map

Images, texts and maps are made up; no data set, checkpoint or network is needed. The JSON goes to
stdout, progress and a table to stderr.
"""

from __future__ import annotations

import sys
from pathlib import Path

from xemap.benchmark import DEVICES, PARTS
from xemap.cli import make_parser, run

CONFIG = Path(__file__).resolve().parents[1] / 'configs/xemap/xemap_small_synthetic.py'


def parse_args(argv: list[str] | None = None):
    parser = make_parser(__doc__)
    parser.add_argument('config', nargs='?', default=str(CONFIG), help=f'config file (default: {CONFIG.name})')
    parser.add_argument('--parts', nargs='+', choices=PARTS, default=PARTS, help='what to measure (default: all)')
    parser.add_argument('--device', choices=DEVICES, default='auto', help='of the model (default: a GPU if any)')
    parser.add_argument(
        '--image-size', nargs=2, type=int, metavar=('H', 'W'), help="pixels (default: the config's training size)"
    )
    parser.add_argument('--repeats', type=int, default=5, help='timed rounds, of which medians are taken (default: 5)')
    parser.add_argument('--threads', type=int, help="CPU threads (default: torch's)")
    parser.add_argument('--scenes', type=int, default=6, help='images of part data (default: 6)')
    parser.add_argument('--map-size', type=int, default=3000, help='side of the map of part metric (default: 3000)')
    parser.add_argument('--out', metavar='FILE.json', help='write the JSON to this file too')
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
        help='override config entries: key=value, a.b=1, key="[1,2]", list.0.key=value',
    )  # fmt: skip
    return parser.parse_args(argv)


def main(args) -> None:
    import json
    from contextlib import redirect_stdout

    with redirect_stdout(sys.stderr):  # the libraries' messages are no part of the JSON
        from rich.console import Console

        from xemap.benchmark import format_report, run_benchmark
        from xemap.files import write_text

        report = run_benchmark(
            args.config,
            args.cfg_options,
            parts=args.parts,
            device=args.device,
            image_size=args.image_size and tuple(args.image_size),
            repeats=args.repeats,
            threads=args.threads,
            scenes=args.scenes,
            map_size=args.map_size,
        )
    text = json.dumps(report, indent=2, allow_nan=False) + '\n'
    if args.out:
        write_text(args.out, text)
    print(text, end='')
    Console(stderr=True).print(format_report(report))


if __name__ == '__main__':
    sys.exit(run(main, parse_args()))
