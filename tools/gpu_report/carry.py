"""The folders that a machine without a network is given."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from safetensors.torch import load_file, save_file

from xemap.errors import ConfigError
from xemap.files import write_json
from xemap.models.text_encoders.huggingface import PACKAGED, resolve_name

ROOT = Path(__file__).resolve().parents[2]
LACKING = (
    'mmengine', 'mmcv-lite', 'mmdet', 'shapely', 'pycocotools', 'rasterio', 'addict', 'termcolor', 'terminaltables',
    'yapf', 'affine', 'cligj', 'click-plugins', 'open_clip_torch', 'ftfy', 'wcwidth', 'sortedcontainers',
)  # fmt: skip
"""What an environment for torch and transformers usually has not."""
PLATFORMS = ('manylinux_2_28', 'manylinux_2_27', 'manylinux_2_24', 'manylinux_2_17', 'manylinux2014')


def fill(folder: Path, python: str) -> None:
    """Write ``FOLDER/wheels`` and ``FOLDER/encoder``, each a folder for ``--wheels``.

    The wheels are those of ``constraints.txt`` for Linux on x86-64. The encoder is the packaged MiniLM with its weights
    in half precision, 45 MB in place of 90; it is computed with in single precision.

    Args:
        folder: what to fill.
        python: version of the other machine's Python, as ``'3.12'``.

    Raises:
        ConfigError: a wheel is not to be had.
    """
    wheels = folder / 'wheels'
    wheels.mkdir(parents=True, exist_ok=True)
    platforms = [word for name in PLATFORMS for word in ('--platform', f'{name}_x86_64')]
    command = [
        sys.executable,
        '-m',
        'pip',
        'download',
        '--quiet',
        '--no-deps',
        '--only-binary=:all:',
        '-d',
        str(wheels),
    ]
    command += ['--python-version', python, '--implementation', 'cp', *platforms, *pinned(LACKING)]
    if status := subprocess.run(command).returncode:
        raise ConfigError(f'pip ended with {status}; --carry needs a package index, and wheels for Python {python}')
    write_half_encoder(folder / 'encoder')


def pinned(names: tuple[str, ...]) -> list[str]:
    """``name==version`` of each, as ``constraints.txt`` has it."""
    lines = (ROOT / 'constraints.txt').read_text(encoding='utf-8')
    versions = dict(re.findall(r'^([\w.-]+)==([^\s;]+)', lines, re.MULTILINE))
    return [f'{name}=={versions[name]}' for name in names]


def write_half_encoder(folder: Path) -> None:
    """The packaged text encoder as a package of the same name in ``folder``, its weights in half precision."""
    package, inner = PACKAGED['minilm']
    source, target = Path(resolve_name('minilm')), folder / package / inner
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns('model.safetensors'))
    (folder / package / '__init__.py').touch()
    weights = load_file(source / 'model.safetensors')
    halved = {name: value.half() if value.is_floating_point() else value for name, value in weights.items()}
    save_file(halved, target / 'model.safetensors', {'format': 'pt'})
    config = json.loads((source / 'config.json').read_text(encoding='utf-8'))
    config.pop('torch_dtype', None)
    write_json(target / 'config.json', {**config, 'dtype': 'float32'})
