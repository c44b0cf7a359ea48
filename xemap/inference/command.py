"""What ``tools/infer.py`` does with its arguments."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from xemap.errors import ConfigError, DataError
from xemap.inference.inferencer import XeMapInferencer, check_queries
from xemap.inference.job import InferenceJob
from xemap.inference.parts import PartsInferencer
from xemap.language.decompose import Part, whole_and_parts

QUICKSTART = ('xemap_small_synthetic', Path(__file__).resolve().parents[2] / 'work_dirs/quickstart')


def infer(args: Namespace) -> None:
    """Run the command; arguments as :mod:`tools.infer` parses them.

    Raises:
        ConfigError: an argument does not fit.
        DataError: an image cannot be read; the others are finished.
    """
    queries = check_queries([*args.query, *read_queries(args.queries_file)])
    formats = [name.strip() for name in args.format.split(',')]
    parts: dict[str, list[Part]] = {}
    if args.decompose is not None:
        if 'png' not in formats:
            raise ConfigError(f'--decompose draws pictures, --format is {args.format}; add png')
        queries, parts = whole_and_parts(queries, args.decompose)
    config, checkpoint = choose_model(args.config, args.checkpoint)
    job = InferenceJob(
        args.out,
        formats,
        args.crs,
        args.threshold,
        'resume' if args.resume else 'overwrite' if args.overwrite else 'refuse',
        mode=args.mode,
        tile=args.tile,
        overlap=args.overlap,
        scales=args.scales,
        batch_size=args.batch_size,
        min_area=args.min_area,
        simplify=args.simplify,
        bands=args.bands,
        stretch=args.stretch,
    )
    own = {query: [part.text for part in found] for query, found in parts.items()}
    model = {'config': str(config), 'checkpoint': _weights(checkpoint), 'parts': own or None}
    console = Console(stderr=True)
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        tasks: dict[str, int] = {}

        def progress(name: str, done: int, total: int) -> None:
            task = tasks.setdefault(name, bar.add_task(name, total=total)) if name not in tasks else tasks[name]
            bar.update(task, completed=done, total=total)  # type: ignore[arg-type]

        def make_inferencer() -> PartsInferencer:
            return PartsInferencer(XeMapInferencer(config, checkpoint, args.device), parts)

        summary = job.run(make_inferencer, args.images, queries, model, progress)
    if args.json:
        print(json.dumps(summary, indent=1, ensure_ascii=False))
    elif summary['images']:
        _show(summary, args.out)
    if failed := summary['failed']:
        done = len(summary['images'])
        rest = f'; {done} other images are finished, --resume does the rest' if done else ''
        more = f' (and {len(failed) - 1} more)' if len(failed) > 1 else ''
        raise DataError(f'{failed[0]["error"]}{more}{rest}')


def _show(summary: dict[str, Any], out: str | Path) -> None:
    table = Table('image', 'query', 'threshold', 'regions', 'best score')
    for record in summary['images']:
        for found in record['queries']:
            regions = found.get('regions', [])
            best = f'{regions[0]["score"]:.3f}' if regions else '-'
            table.add_row(
                Path(record['image']).name, found['query'], f'{found["threshold"]:.3f}', str(len(regions)), best
            )
    Console().print(table)
    unplaced = [record for record in summary['images'] if record['georeference'] != 'kept']
    if unplaced:
        first = unplaced[0]
        names = Path(first['image']).name + (f' and {len(unplaced) - 1} more' if len(unplaced) > 1 else '')
        print(f'{names}: {first["georeference"]}; see "coordinates_are" in GeoJSON files')
    print(f'{summary["written"]} images written, {summary["kept"]} kept, in {out}')


def read_queries(path: str | Path | None) -> list[str]:
    """Sentences of a text file, one a line; empty lines are left out.

    Raises:
        DataError: it is missing or no UTF-8 text.
    """
    if path is None:
        return []
    try:
        lines = Path(path).read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f'queries file {path} cannot be read ({error}); give UTF-8 text, one query a line') from error
    return [line.strip() for line in lines if line.strip()]


def choose_model(config: str | None, checkpoint: str | None) -> tuple[str, str | None]:
    """Config and weights; without either those of the quickstart.

    Raises:
        ConfigError: only one of them is given, or the quickstart was not run.
    """
    if config and checkpoint:
        return config, None if checkpoint == 'none' else checkpoint
    if config or checkpoint:
        raise ConfigError('--config and --checkpoint belong together; give both ("--checkpoint none" = untrained)')
    name, folder = QUICKSTART
    files = sorted(folder.glob('epoch_*.pth'), key=lambda file: (len(file.name), file.name))
    if not files:
        raise ConfigError(
            f'no model: {folder} has no epoch_*.pth; give --config and --checkpoint, or run tools/quickstart.sh'
        )
    return name, str(files[-1])


def _weights(checkpoint: str | None) -> list | None:
    """Path, size and time of the weights: training anew makes others under the same name."""
    if checkpoint is None:
        return None
    state = Path(checkpoint).stat() if Path(checkpoint).is_file() else None
    return [checkpoint, state.st_size, state.st_mtime_ns] if state else [checkpoint]
