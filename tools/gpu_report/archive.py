"""What is kept of a report beside the steps' results: the machine, and one file to take away."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

from xemap.environment import describe_environment
from xemap.files import replacing, write_json

KEPT = ('.json', '.md', '.txt', '.xml', '.csv', '.log', '.py')
LARGEST = 2**22
"""Bytes of a file that is kept."""
LEFT_OUT = ('site', 'data')
"""Folders of a report that are not."""


def write_environment(folder: Path, device: str) -> None:
    """``FOLDER/environment.json``: device, versions, commit, and what ``nvidia-smi`` says where there is one."""
    described = describe_environment(device)
    try:
        done = subprocess.run(['nvidia-smi'], capture_output=True, text=True)
        described['nvidia_smi'] = done.stdout.splitlines()
    except OSError:
        described['nvidia_smi'] = None
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / 'environment.json', described)


def pack(folder: Path, archive: Path) -> list[str]:
    """Put results, logs, records and settings of a report into one file.

    Args:
        folder: folder of the report.
        archive: ``.tar.gz`` to write.

    Returns:
        names in the archive, relative to the folder.
    """
    kept = [
        path
        for path in sorted(folder.rglob('*'))
        if path.is_file() and path.suffix in KEPT and path.stat().st_size <= LARGEST
        and path.relative_to(folder).parts[0] not in LEFT_OUT
    ]  # fmt: skip
    names = [str(path.relative_to(folder)) for path in kept]
    with replacing(archive) as part, tarfile.open(part, 'w:gz') as file:
        for path, name in zip(kept, names):
            file.add(path, name)
    return names
