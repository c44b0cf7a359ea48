"""What ``tools/infer.py`` does with its arguments."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from rich.table import Table

from xemap.cli import printable
from xemap.errors import ConfigError, DataError
from xemap.files import file_hash
from xemap.inference.inferencer import XeMapInferencer, check_queries
from xemap.inference.job import FAILED, InferenceJob
from xemap.inference.progress import ShownProgress, progress_bars
from xemap.inference.sources import find_images, read_lines
from xemap.language.decompose import Part, whole_and_parts
from xemap.terminal import PlainConsole

QUICKSTART = ('xemap_small_synthetic', Path(__file__).resolve().parents[2] / 'work_dirs/quickstart')


def infer(args: Namespace) -> None:
    """Run the command; arguments as :mod:`tools.infer` parses them.

    Raises:
        ConfigError: an argument does not fit.
        DataError: an image cannot be read; the others are finished.
        OutOfSpaceError: the disk is full; the images before are finished.
    """
    queries = check_queries([*args.query, *read_queries(args.queries_file)])
    for query in queries:
        if query != query.encode(errors='replace').decode():
            raise ConfigError(f'query "{printable(query)}" is no UTF-8 text; type it again')
    formats = [name.strip() for name in args.format.split(',')]
    parts: dict[str, list[Part]] = {}
    for name, value in (('decompose', args.decompose), ('levels', args.levels or None)):
        if value is not None and 'png' not in formats:
            raise ConfigError(f'--{name} draws pictures, --format is {args.format}; add png')
    if args.decompose is not None:
        queries, parts = whole_and_parts(queries, args.decompose)
    images = find_images(args.images, args.images_from)
    config, checkpoint = choose_model(args.config, args.checkpoint)
    if args.max_pixels is not None and args.max_pixels < 1:
        raise ConfigError(f'--max-pixels {args.max_pixels}; give a number of pixels, as 1e9')
    job = InferenceJob(
        args.out,
        formats,
        args.crs,
        args.threshold,
        'resume' if args.resume else 'overwrite' if args.overwrite else 'refuse',
        None if args.max_pixels is None else int(args.max_pixels),
        mode=args.mode,
        tile=args.tile,
        overlap=args.overlap,
        scales=args.scales,
        batch_size=args.batch_size,
        min_area=args.min_area,
        simplify=args.simplify,
        bands=args.bands,
        stretch=args.stretch,
        parts={query: [part.text for part in chosen] for query, chosen in parts.items()} or None,
        levels=args.levels or None,
    )
    model = {'config': _identity(config), 'checkpoint': _identity(checkpoint)}

    def make_inferencer() -> XeMapInferencer:
        return XeMapInferencer(config, checkpoint, args.device)

    with progress_bars() as bars:
        summary = job.run(
            make_inferencer, images, queries, model, lambda number, pixels: ShownProgress(number, pixels, bars)
        )
    if args.json:
        print(json.dumps(summary, indent=1, ensure_ascii=False))
    elif summary['images']:
        _show(summary, args.out)
    if failed := summary['failed']:
        for entry in failed[1:]:
            print(f'not done: {entry["error"]}', file=sys.stderr)
        done = len(summary['images'])
        rest = f'; {done} other images are finished, --resume does the rest' if done else ''
        more = f' (and {len(failed) - 1} more)' if len(failed) > 1 else ''
        raise DataError(f'{failed[0]["error"]}{more}; listed in {job.out / FAILED}{rest}')


def _show(summary: dict[str, Any], out: str | Path) -> None:
    table = Table('image', 'query', 'threshold', 'regions', 'best score')
    for record in summary['images']:
        for answer in record['queries']:
            regions = answer.get('regions', [])
            best = f'{regions[0]["score"]:.3f}' if regions else '-'
            threshold = f'{answer["threshold"]:.3f}' if 'threshold' in answer else '-'
            table.add_row(Path(record['image']).name, answer['query'], threshold, str(len(regions)), best)
    PlainConsole().print(table)
    unplaced = [record for record in summary['images'] if record['georeference'] != 'kept']
    if unplaced:
        first = unplaced[0]
        names = Path(first['image']).name + (f' and {len(unplaced) - 1} more' if len(unplaced) > 1 else '')
        print(f'{printable(names)}: {first["georeference"]}; see "coordinates_are" in GeoJSON files')
    size, seconds = summary['megapixels'], summary['seconds']
    speed = f'; {size:.2f} Mpx in {seconds:.1f} s, {size / max(seconds, 1e-9):.2f} Mpx/s' if summary['written'] else ''
    noted = [record for record in summary['images'] if record.get('notes')]
    if noted[1:]:
        print(f'notes about {len(noted)} images are in their result.json')
    print(f'{summary["written"]} images written, {summary["kept"]} kept, in {printable(str(out))}{speed}')


def read_queries(path: str | Path | None) -> list[str]:
    """Sentences of a text file, one per line; empty lines are left out.

    Raises:
        DataError: it is missing or no UTF-8 text.
    """
    return [] if path is None else read_lines(path, 'queries file', 'one query per line')


def choose_model(
    config: str | None, checkpoint: str | None, quickstart: tuple[str, Path] = QUICKSTART
) -> tuple[Any, str | None]:
    """Config and weights; without a config the one that the weights hold, without either those of the quickstart.

    Raises:
        ConfigError: only a config is given, or the quickstart was not run.
        CheckpointError: the checkpoint holds no config.
    """
    if config and checkpoint:
        return config, None if checkpoint == 'none' else checkpoint
    if checkpoint and checkpoint != 'none':
        from xemap.engine.saved_config import config_of_checkpoint

        return config_of_checkpoint(checkpoint), checkpoint
    if config or checkpoint:
        raise ConfigError('--config and --checkpoint belong together; give both ("--checkpoint none" = untrained)')
    name, folder = quickstart
    files = sorted(folder.glob('epoch_*.pth'), key=lambda file: (len(file.name), file.name))
    if not files:
        raise ConfigError(
            f'no model: {folder} has no epoch_*.pth; give --config and --checkpoint, or run tools/quickstart.sh'
        )
    return name, str(files[-1])


def _identity(source: Any) -> list | None:
    """Name and content of a config or checkpoint: another one under the same name is another model."""
    if source is None:
        return None
    if not isinstance(source, (str, Path)):  # a config that lies in its checkpoint
        return [Path(source.filename).name]
    return [Path(source).name, file_hash(source)]
