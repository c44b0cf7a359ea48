"""Installs the package ``xemap``; the tools run from a checkout."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def requirements(name: str) -> list[str]:
    lines = (line.split('#')[0].strip() for line in (ROOT / name).read_text().splitlines())
    return [line for line in lines if line]


VERSION = re.search(r"^__version__ = '(.+)'", (ROOT / 'xemap/__init__.py').read_text(), re.MULTILINE).group(1)
RUNTIME = requirements('requirements.txt')

setup(
    name='xemap',
    version=VERSION,
    description='Contextual referring maps in large remote-sensing images: training, evaluation, data',
    long_description=(ROOT / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.10,<3.13',
    packages=[*find_packages(include=['xemap', 'xemap.*']), 'xemap.configs'],
    package_dir={'xemap.configs': 'configs'},
    package_data={'xemap': ['**/*.json'], 'xemap.configs': ['**/*.py']},
    # mmcv and mmcv-lite own the same folder, so neither may be pulled in beside the other.
    install_requires=[line for line in RUNTIME if not line.startswith('mmcv')],
    extras_require={
        'lite': [line for line in RUNTIME if line.startswith('mmcv')],
        'clip': ['open_clip_torch>=2.24'],
        'demo': ['gradio>=6.0'],
        'dev': requirements('requirements-dev.txt'),
    },
)
