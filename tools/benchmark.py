#!/usr/bin/env python
"""Measure how fast a config's parts are on this machine, and print the numbers as JSON.

    python tools/benchmark.py
    python tools/benchmark.py CONFIG --parts train infer --device cuda --out before.json
    python tools/benchmark.py configs/xemap/xemap_swin-t_bert_512_25e.py \\
        --cfg-options model.language_model.name=minilm train_dataloader.batch_sampler.pairs_per_batch=4

  train   pairs/s of whole training steps, and peak memory
  infer   queries/s at 1, 4, 9 and 32 queries per image, together and one by one
  naive   both against the same network composed naively from MMDetection's parts
  data    samples/s of the training pipeline on one core
  metric  seconds for the SeLo metrics of a large map

and on request:

  pairs     training steps of 1 to 64 pairs: pairs/s, memory per pair, share of what the device multiplies
  sampling  back ends of deformable sampling, forward and backward
  scenario  1,129 queries on 300 images of 2,000 px: the config's network against SeLo v1 and v2 on CLIP ViT-L/14
  large_sources  training samples of 10,000 px sources, decoded whole and at a fraction

    python tools/benchmark.py annotations [--help]

measures annotation files instead: building, opening and reading one of full size.

Images, texts and maps are made up; no data set, checkpoint or network is needed. The JSON goes to
stdout, progress and a table to stderr. --out has what is measured so far after each part, and after each row of
pairs; the same command with --resume goes on there.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks import DEVICES, NAIVE, OPTIONAL_PARTS, PARTS

from xemap.cli import make_parser, run

ANNOTATIONS = """Measure building, opening and reading an annotation file, and the targets (MCMG) of a sample.

    python tools/benchmark.py annotations
    python tools/benchmark.py annotations --file data/mine/train.arrow --workers 8 --out reading.json

Without --file a file of the size and mix of the paper's training set is made in a temporary folder (about
600 MB, some minutes). The JSON goes to stdout, progress and a table to stderr.
"""

CONFIG = Path(__file__).resolve().parents[1] / 'configs/xemap/xemap_small_synthetic.py'


def parse_args(argv: list[str] | None = None):
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ['annotations']:
        return parse_annotations_args(argv[1:])
    parser = make_parser(__doc__)
    parser.add_argument('config', nargs='?', default=str(CONFIG), help=f'config file (default: {CONFIG.name})')
    parser.add_argument(
        '--parts', nargs='+', choices=(*PARTS, *OPTIONAL_PARTS), default=PARTS,
        help=f'what to measure (default: {" ".join(PARTS)})',
    )  # fmt: skip
    parser.add_argument('--device', choices=DEVICES, default='auto', help='default: a GPU if there is one')
    parser.add_argument(
        '--image-size', nargs=2, type=int, metavar=('H', 'W'), help="pixels (default: the config's training size)"
    )
    parser.add_argument('--repeats', type=int, default=5, help='timed rounds, of which medians are taken (default: 5)')
    parser.add_argument('--threads', type=int, help="CPU threads (default: torch's)")
    parser.add_argument('--scenes', type=int, default=6, help='images of part data (default: 6)')
    parser.add_argument('--map-size', type=int, default=3000, help='side of the map of part metric (default: 3000)')
    parser.add_argument('--source-size', type=int, default=10000, help='side of large_sources (default: 10000)')
    parser.add_argument(
        '--queries', nargs='+', type=int, metavar='N', help='an image, in part infer (default: 1 4 9 32)'
    )
    parser.add_argument(
        '--naive', nargs='+', choices=NAIVE, default=NAIVE, help='what part naive compares (default: both)'
    )
    parser.add_argument(
        '--pairs', nargs='+', type=int, metavar='N', help='a training step, in part pairs (default: 1 2 4 8 16 32 64)'
    )
    parser.add_argument(
        '--scenario-images', nargs=2, type=int, metavar=('NETWORK', 'SELO'),
        help='images that are answered in part scenario, by the network and by each SeLo; times are extrapolated '
        'to 300 (default: 300 3)',
    )  # fmt: skip
    parser.add_argument('--scenario-side', type=int, metavar='PX', help='side of these images (default: 2000)')
    parser.add_argument('--out', metavar='FILE.json', help='write the JSON to this file too')
    parser.add_argument(
        '--resume', action='store_true',
        help='keep what --out has, if it is of the same code, settings and device, and measure the rest',
    )  # fmt: skip
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
        help='override config entries: key=value, a.b=1, key="[1,2]", list.0.key=value',
    )  # fmt: skip
    parser.set_defaults(measure=measure_config)
    return parser.parse_args(argv)


def parse_annotations_args(argv: list[str]):
    parser = make_parser(ANNOTATIONS, prog=f'{Path(sys.argv[0]).name} annotations')
    parser.add_argument('--file', metavar='FILE.arrow', help='measure this file (default: make one)')
    parser.add_argument('--images', type=int, default=86710, help='images of the made-up file (default: %(default)s)')
    parser.add_argument('--workers', type=int, default=4, help='processes of the data loader (default: %(default)s)')
    parser.add_argument('--samples', type=int, default=5000, help='records read one by one (default: %(default)s)')
    parser.add_argument('--repeats', type=int, default=20, help='timed rounds of MCMG (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='seed of everything random (default: %(default)s)')
    parser.add_argument('--out', metavar='FILE.json', help='write the JSON to this file too')
    parser.set_defaults(measure=measure_annotations)
    return parser.parse_args(argv)


def measure_config(args):
    import json
    from functools import partial

    from benchmarks import format_report, run_benchmark

    from xemap.errors import ConfigError
    from xemap.files import write_json

    if args.resume and not args.out:
        raise ConfigError('--resume: give the file to go on from with --out')
    before = None
    if args.resume and Path(args.out).is_file():
        before = json.loads(Path(args.out).read_text(encoding='utf-8'))
    given = {name: getattr(args, name) for name in ('queries', 'pairs', 'scenario_images', 'scenario_side')}
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
        source_size=args.source_size,
        naive=args.naive,
        before=before,
        **({'keep': partial(write_json, args.out)} if args.out else {}),
        **{name: value for name, value in given.items() if value is not None},
    )
    return report, format_report(report)


def measure_annotations(args):
    from benchmarks.annotations import format_annotations_report, run_annotations_benchmark

    report = run_annotations_benchmark(
        args.file,
        images=args.images,
        workers=args.workers,
        samples=args.samples,
        repeats=args.repeats,
        seed=args.seed,
    )
    return report, format_annotations_report(report)


def main(args) -> None:
    import json
    from contextlib import redirect_stdout

    with redirect_stdout(sys.stderr):  # the libraries' messages are no part of the JSON
        from xemap.files import write_text
        from xemap.terminal import PlainConsole

        report, table = args.measure(args)
    text = json.dumps(report, indent=2, allow_nan=False) + '\n'
    if args.out:
        write_text(args.out, text)
    print(text, end='')
    PlainConsole(stderr=True).print(table)


if __name__ == '__main__':
    sys.exit(run(main, parse_args()))
