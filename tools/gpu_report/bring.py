"""Install from a folder what this Python lacks, into a folder of its own: ``bring.py FOLDER SITE``.

Nothing but the standard library and pip is imported: the packages that the rest needs may be what is lacking. A
distribution that this Python has is left alone, in whatever version, so that a torch made for the machine stays.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path


def lacking(folder: Path) -> tuple[list[Path], list[Path]]:
    """Wheels, and unpacked packages, of a folder that are not installed."""
    present = {_plain(name) for package in metadata.distributions() if (name := package.metadata['Name'])}
    wheels = [wheel for wheel in sorted(folder.glob('*.whl')) if _plain(wheel.name.split('-')[0]) not in present]
    packages = [init.parent for init in sorted(folder.glob('*/__init__.py'))]
    return wheels, [package for package in packages if importlib.util.find_spec(package.name) is None]


def bring(folder: Path, site: Path) -> None:
    """Install what is lacking.

    Raises:
        subprocess.CalledProcessError: pip refuses a wheel, as one for another Python.
    """
    wheels, packages = lacking(folder)
    if wheels:
        options = ['--quiet', '--no-index', '--no-deps', '--no-compile', '--upgrade', '--target', str(site)]
        subprocess.run([sys.executable, '-m', 'pip', 'install', *options, *map(str, wheels)], check=True)
    for package in packages:
        shutil.copytree(package, site / package.name)
    print(
        f'brought: {" ".join([wheel.name.split("-")[0] for wheel in wheels] + [p.name for p in packages]) or "nothing"}'
    )


def _plain(name: str) -> str:
    return re.sub(r'[-_.]+', '-', name).lower()


if __name__ == '__main__':
    try:
        bring(Path(sys.argv[1]), Path(sys.argv[2]))
    except subprocess.CalledProcessError as error:
        print(
            f'error: the wheels of {sys.argv[1]} cannot be installed (pip ended with {error.returncode})',
            file=sys.stderr,
        )
        sys.exit(2)
