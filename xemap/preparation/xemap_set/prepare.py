"""All sources that are there, converted and merged; finished ones are kept."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from xemap.datasets.annotations import merge_annotations
from xemap.errors import ConfigError, DataError
from xemap.files import remove_parts, write_json
from xemap.parallel import Outcome, run_jobs
from xemap.preparation.converters import PhraseTable
from xemap.preparation.xemap_set.one_source import Job, PrepareOptions, prepare_source
from xemap.preparation.xemap_set.sources import SOURCES, SPLITS, Source
from xemap.terminal import PlainConsole, description_column

MERGED_FILE = 'merged.json'
"""Which merged files there are, and what they were made of; complete only after them."""


@dataclass
class Prepared:
    """What :func:`prepare` made.

    Args:
        data_root: folder that image paths are relative to.
        files: merged annotation file by split.
        test_sets: annotation file of each source with a test set of its own.
        sources: all that were requested.
        states: state of each source that is ready, see :func:`prepare_source`.
        failures: error of each other source that is there.
        absent: where each that is not there was expected.
    """

    data_root: Path
    files: dict[str, Path]
    sources: Mapping[str, Source]
    test_sets: dict[str, Path] = field(default_factory=dict)
    states: dict[str, dict] = field(default_factory=dict)
    failures: dict[str, Outcome] = field(default_factory=dict)
    absent: dict[str, Path] = field(default_factory=dict)


def prepare(
    root: str | Path,
    out: str | Path,
    *,
    data_root: str | Path | None = None,
    names: Sequence[str] | None = None,
    workers: int | None = None,
    options: PrepareOptions | None = None,
    show_progress: bool = False,
    sources: Mapping[str, Source] = SOURCES,
) -> Prepared:
    """Convert every source found below ``root``, and merge them to ``<out>/{train,val,test}.arrow``.

    A source that is finished and unchanged is not converted again. One that fails is left out of the merged
    files, and reported. An interruption leaves finished sources, and no half-written file under a final name.

    Args:
        root: folder of the sources, each in its ``default_folder``.
        out: folder to write to, below neither a source nor being ``root``.
        data_root: folder that holds both, and that image paths will be relative to; None = the innermost.
        names: sources to prepare and merge; None = all that are there.
        workers: processes at a time; None = one a CPU core.
        options: for all sources.
        show_progress: draw a bar for each source on stderr.
        sources: by name.

    Raises:
        ConfigError: a name or folder that does not fit.
        DataError: no source is there, one that was requested is not, the templates cannot be read, or another
            run works on ``out``.
    """
    root, out, options = Path(root).absolute(), Path(out).absolute(), options or PrepareOptions()
    PhraseTable(options.templates)  # one error for all sources
    base = _common_root(root, out, data_root)
    chosen = {name: sources[name] for name in _checked_names(names, sources)}
    prepared = Prepared(base, {}, chosen)
    jobs = {}
    for name, source in chosen.items():
        folder = source.find(root)
        if folder is None:
            prepared.absent[name] = root / source.load().default_folder
        else:
            jobs[name] = Job(name, source, folder, out, base, options)
    _check_folders(root, out, names is not None or options.strict, prepared, jobs)

    with _locked(out), _progress(list(jobs), show_progress) as (on_progress, on_end, on_merge):
        _merged_before(out)  # fails before the work, not after it
        remove_parts(out, below=False)
        outcomes = run_jobs(prepare_source, jobs, workers or os.cpu_count() or 1, on_progress, on_end)
        prepared.states = {name: outcome.value for name, outcome in outcomes.items() if outcome.error is None}
        prepared.failures = {name: outcome for name, outcome in outcomes.items() if outcome.error is not None}
        if prepared.states:  # where every source fails, what was merged before stays
            prepared.test_sets = {
                name: out / name / 'test.arrow'
                for name, state in prepared.states.items()
                if chosen[name].separate_test_set and 'test' in state['report']['splits']
            }
            prepared.files = _merge(out, prepared.states, prepared.test_sets, on_merge)
    return prepared


def _common_root(root: Path, out: Path, data_root: str | Path | None) -> Path:
    if not root.is_dir():
        raise DataError(f'--root {root} is no folder; give the folder that holds the sources')
    base = Path(data_root).absolute() if data_root else Path(os.path.commonpath([root, out]))
    for option, path in (('--root', root), ('--out', out)):
        if not path.is_relative_to(base):
            raise ConfigError(f'{option} {path} is not below --data-root {base}; give one that holds both')
    if root.is_relative_to(out):
        raise ConfigError(f'--out {out} holds --root {root}; give a folder of its own, such as {root / "xemap_set"}')
    return base


def _checked_names(names: Sequence[str] | None, sources: Mapping[str, Source]) -> list[str]:
    for name in names or ():
        if name not in sources:
            raise ConfigError(f'--sources names {name!r}; known are {", ".join(sources)}')
    return [name for name in sources if names is None or name in names]


def _check_folders(root: Path, out: Path, all_sources: bool, prepared: Prepared, jobs: Mapping[str, Job]) -> None:
    if all_sources and prepared.absent:
        name, folder = next(iter(prepared.absent.items()))
        raise DataError(f'{name}: {folder} does not exist; put the source there, or name in --sources those you have')
    if not jobs:
        expected = ', '.join(folder.name for folder in prepared.absent.values())
        raise DataError(f'--root {root} holds no source; expected folders are {expected} (docs/xemap_set.md)')
    for name, job in jobs.items():
        if out.is_relative_to(job.folder):
            raise ConfigError(f'--out {out} is inside the folder of {name}; give a folder of its own')


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Two runs would remove each other's temporary files."""
    out.mkdir(parents=True, exist_ok=True)
    with open(out / '.lock', 'w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(f'another run is working on {out}; wait for it or give another --out') from error
        yield


@contextmanager
def _progress(names: Sequence[str], show: bool) -> Iterator[tuple[Callable, Callable, Callable]]:
    columns = (
        description_column(),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn('{task.fields[state]}'),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=PlainConsole(stderr=True), disable=not show) as progress:
        tasks = {name: progress.add_task(name, start=False, total=None, state='waiting') for name in names}

        def on_progress(name: str, done: int, total: int) -> None:
            progress.start_task(tasks[name])
            progress.update(tasks[name], completed=done, total=total or None, state='' if total else 'reading')

        def on_end(name: str, outcome: Outcome) -> None:
            if outcome.error is not None:
                state = '[red]failed'
            else:
                state = 'unchanged' if outcome.value['unchanged'] else 'done'
                splits = outcome.value['report']['splits'].values()
                total = progress.tasks[tasks[name]].total or sum(split['images'] for split in splits)
                progress.update(tasks[name], completed=total, total=total)
            progress.update(tasks[name], state=state)
            progress.stop_task(tasks[name])

        def on_merge(split: str, done: bool) -> None:
            name = f'merge {split}'
            if not done:
                tasks[name] = progress.add_task(name, total=None, state='')
            else:
                progress.update(tasks[name], completed=1, total=1, state='done')

        yield on_progress, on_end, on_merge


def _merge(
    out: Path, states: Mapping[str, dict], test_sets: Mapping[str, Path], on_merge: Callable[[str, bool], None]
) -> dict[str, Path]:
    """``<out>/<split>.arrow`` of the sources' own, without test sets that stand alone, unless they are there."""
    parts = {
        split: [
            out / name / f'{split}.arrow'
            for name, state in states.items()
            if split in state['report']['splits'] and not (split == 'test' and name in test_sets)
        ]
        for split in SPLITS
    }
    files = {split: out / f'{split}.arrow' for split in SPLITS if parts[split]}
    made_of = {name: state['fingerprint'] for name, state in states.items()}
    old = _merged_before(out)
    if old == {'made_of': made_of, 'bytes': _sizes(files)}:
        return files
    splits = {split: 0 for split in (*old['bytes'], *files)}
    write_json(out / MERGED_FILE, {'made_of': {}, 'bytes': splits})
    for split in splits:
        if split in files:
            on_merge(split, False)
            merge_annotations(parts[split], files[split])
            on_merge(split, True)
        else:
            (out / f'{split}.arrow').unlink(missing_ok=True)
    write_json(out / MERGED_FILE, {'made_of': made_of, 'bytes': _sizes(files)})
    return files


def _merged_before(out: Path) -> dict:
    """Content of :data:`MERGED_FILE`.

    Raises:
        ConfigError: an annotation file is there that it does not name, so it would be lost.
    """
    try:
        content = json.loads((out / MERGED_FILE).read_text('utf-8'))
        old = {'made_of': dict(content['made_of']), 'bytes': dict(content['bytes'])}
    except (OSError, ValueError, KeyError, TypeError):
        old = {'made_of': {}, 'bytes': {}}
    for split in SPLITS:
        file = out / f'{split}.arrow'
        if file.exists() and split not in old['bytes']:
            raise ConfigError(f'{file} is there already and not of this tool; move it or give another --out')
    return old


def _sizes(files: Mapping[str, Path]) -> dict[str, int]:
    return {split: path.stat().st_size if path.is_file() else -1 for split, path in files.items()}
