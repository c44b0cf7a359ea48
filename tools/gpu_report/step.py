"""Steps that are run one after another within a time, and go on where the last call stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xemap.errors import ConfigError
from xemap.files import write_json

DONE, FAILED, INTERRUPTED, OUTDATED = 'done', 'failed', 'interrupted', 'outdated'
GRACE_S = 10.0
"""Between asking a command to end and ending it."""


@dataclass(frozen=True)
class Step:
    """Commands that belong together.

    Args:
        name: name of the step, of its record and its log.
        commands: run one after another in the checkout. A word ``@FILE`` stands for what is written in that file when
            the command is run.
        least_s: seconds that a call must have left for the step to be started.
        needs: names of steps that must be done before.
        environment: variables that are set for it.
        purpose: what it tells, for people.
        reads: file of another step, as the name of its newest checkpoint; the step waits until it is there, and a step
            that is done runs again when it is newer.
        outputs: files with its results, and folders of trainings, for the summary.
        timed: what the seconds of its commands stand for in the summary, in their order.
    """

    name: str
    commands: Sequence[Sequence[str]]
    least_s: float
    needs: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)
    purpose: str = ''
    reads: Path | None = None
    outputs: Sequence[Path] = ()
    timed: Sequence[str] = ()


def run_steps(
    steps: Sequence[Step],
    folder: Path,
    seconds: float,
    names: Collection[str] | None = None,
    after_each: Callable[[], object] = lambda: None,
) -> dict[str, dict[str, Any]]:
    """Run what is not done yet, as far as the time carries.

    A step that is done is passed over. One for which too little time is left, or a step that it needs is not done, is
    left for another call. One that runs until the time is over is ended; its commands run again at the next call and
    go on by themselves where they can, behind those that were done. One that failed is tried again behind all others.

    Args:
        steps: in their order.
        folder: ``FOLDER/steps/NAME.json`` is the record of a step, ``FOLDER/logs/NAME.txt`` what it printed.
        seconds: seconds of this call.
        names: names of the steps to run; None = all.
        after_each: called after each step that ran.

    Returns:
        the records of all steps that have one: ``state``, ``status`` of the last command, ``seconds`` over all
        ``calls``, ``commands``, ``command_seconds`` of each that is done (in the call that ended it), ``started``
        (when its first command was, seconds since 1970).

    Raises:
        ConfigError: an unknown name, or a step that needs more time than any such call has.
    """
    end = time.monotonic() + seconds
    if unknown := set(names or ()) - {step.name for step in steps}:
        raise ConfigError(
            f'--steps {" ".join(sorted(unknown))}: unknown; steps are {" ".join(step.name for step in steps)}'
        )
    chosen = [step for step in steps if names is None or step.name in names]
    for step in chosen:
        if step.least_s > seconds:
            raise ConfigError(
                f'step {step.name} needs {step.least_s / 60:.1f} minutes, a call has {seconds / 60:.1f}; give more '
                'with --minutes'
            )
    states = {step.name: state_of(step, folder) for step in chosen}
    for step in sorted(chosen, key=lambda step: states[step.name] == FAILED):
        missing = [name for name in step.needs if read_record(folder, name).get('state') != DONE]
        if step.reads and not step.reads.is_file():
            missing.append(str(step.reads))
        if state_of(step, folder) == DONE:
            print(f'{step.name}: done before', flush=True)
        elif missing:
            print(f'{step.name}: waits for {", ".join(missing)}', flush=True)
        elif end - time.monotonic() < step.least_s:
            print(f'{step.name}: left for the next call', flush=True)
        else:
            record = _run(step, folder, end)
            print(f'{step.name}: {record["state"]} after {record["seconds"]:.0f} s', flush=True)
            after_each()
    return {step.name: record for step in steps if (record := read_record(folder, step.name))}


def read_record(folder: Path, name: str) -> dict[str, Any]:
    """What is recorded of a step; empty where nothing is."""
    path = folder / 'steps' / f'{name}.json'
    return json.loads(path.read_text(encoding='utf-8')) if path.exists() else {}


def state_of(step: Step, folder: Path) -> str | None:
    """State of a step: None before it ran, ``'outdated'`` if it is done and the file that it reads is newer."""
    record = read_record(folder, step.name)
    state = record.get('state')
    return OUTDATED if state == DONE and _outdated(step, record) else state


def resolved(command: Sequence[str]) -> list[str]:
    """A command with the text of files in place of its words ``@FILE``."""
    return [Path(word[1:]).read_text(encoding='utf-8').strip() if word[:1] == '@' else word for word in command]


def _outdated(step: Step, record: dict[str, Any]) -> bool:
    return bool(step.reads and step.reads.is_file() and step.reads.stat().st_mtime > record['started'])


def _run(step: Step, folder: Path, end: float) -> dict[str, Any]:
    before, start = read_record(folder, step.name), time.monotonic()
    seconds: list[float] = []
    started = time.time()
    commands = [list(command) for command in step.commands]
    goes_on = before.get('state') in (FAILED, INTERRUPTED) and before['commands'] == commands
    if goes_on and not _outdated(step, before):
        seconds, started = before['command_seconds'], before['started']
    log = folder / 'logs' / f'{step.name}.txt'
    log.parent.mkdir(parents=True, exist_ok=True)
    state, status = DONE, 0
    with log.open('a', encoding='utf-8') as output:
        for command in map(resolved, commands[len(seconds) :]):
            output.write(f'$ {" ".join(command)}\n')
            output.flush()
            called = time.monotonic()
            ended, status = _call(command, {**os.environ, **step.environment}, output, end)
            if ended or status:
                state = INTERRUPTED if ended else FAILED
                break
            seconds.append(time.monotonic() - called)
    record = {
        'state': state,
        'status': status,
        'seconds': before.get('seconds', 0.0) + time.monotonic() - start,
        'calls': before.get('calls', 0) + 1,
        'commands': commands,
        'command_seconds': seconds,
        'started': started,
    }
    path = folder / 'steps' / f'{step.name}.json'
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, record)
    return record


def _call(command: Sequence[str], environment: dict[str, str], output: Any, end: float) -> tuple[bool, int]:
    """Whether a command was ended at the end of the time, and its status."""
    # A session of its own: data loaders end with it.
    process = subprocess.Popen(
        command, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        return False, process.wait(max(0.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
        return True, process.poll() or 0
    finally:
        with suppress(ProcessLookupError):  # nobody is left, mostly
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
