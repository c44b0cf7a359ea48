"""Finding the checkpoint to go on from."""

from __future__ import annotations

import re
from pathlib import Path

from mmengine.logging import print_log

from xemap.compat.checkpoint_loading import load_checkpoint_file
from xemap.errors import CheckpointError


def find_newest_checkpoint(work_dir: str | Path) -> Path | None:
    """The newest checkpoint of a run that can be read.

    Files that cannot be read are passed over with a warning; so is a ``last_checkpoint`` note that is
    empty or points nowhere. Best checkpoints do not count: they hold no optimizer state.

    Args:
        work_dir: folder of the run; checkpoints may lie elsewhere if ``last_checkpoint`` says so.

    Returns:
        its path, or None if there is no checkpoint at all.

    Raises:
        CheckpointError: there are checkpoints, and none of them can be resumed.
    """
    work_dir = Path(work_dir)
    checkpoints = {*work_dir.glob('epoch_*.pth'), *work_dir.glob('iter_*.pth')}
    named = _named_in(work_dir / 'last_checkpoint', work_dir)
    if named is not None:
        if (work_dir / named.name) in checkpoints:  # also where the folder was copied or renamed
            named = work_dir / named.name
        elif named.is_file():
            checkpoints.add(named)
    if not checkpoints:
        return None
    # Times alone do not tell: copying a folder mixes them up.
    for path in sorted(checkpoints, key=lambda p: (p == named, p.stat().st_mtime_ns, _number(p)), reverse=True):
        try:
            content = load_checkpoint_file(path, mmap=True)
        except CheckpointError as error:
            print_log(f'{error}; trying the one before', logger='current', level=30)
            continue
        if 'optimizer' in content and 'meta' in content:
            return path
        print_log(f'{path} holds no optimizer state, so it cannot be resumed', logger='current', level=30)
    raise CheckpointError(
        f'none of the {len(checkpoints)} checkpoints in {work_dir} can be resumed; give another one, or train anew '
        'in another folder (--work-dir)'
    )


def _named_in(note: Path, work_dir: Path) -> Path | None:
    """The path in a ``last_checkpoint`` note; None, with a warning where it is damaged, if it names none."""
    if not note.is_file():
        return None
    try:
        text = note.read_text().strip()
        Path(text).is_file()  # a name may be too long
        if '\0' not in text and '\n' not in text:
            return Path(text or work_dir)
    except (OSError, UnicodeDecodeError):
        pass
    print_log(f'{note} is damaged; looking at the checkpoints beside it', logger='current', level=30)
    return None


def _number(path: Path) -> int:
    digits = re.search(r'\d+$', path.stem)
    return int(digits.group()) if digits else -1
