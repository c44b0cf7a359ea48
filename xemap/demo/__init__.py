"""The web page of ``tools/deploy/demo_app.py``.

====================  ==========================================================================
module                what it holds
====================  ==========================================================================
``uploads``           opening files of strangers: formats, limits
``request``           what a client may ask, checked
``answer``            from a file and queries to figures and files, without gradio
``model_process``     the process in which that happens, ended where it exceeds its bounds
``storage``           the folder of uploads and answers, bounded
``guard``             which requests reach the page at all
``figures``           HTML of maps over images
``app``               the page and its server (gradio, the extra "demo")
====================  ==========================================================================
"""

from __future__ import annotations

import importlib
from types import ModuleType

from xemap.errors import ConfigError


def load_app() -> ModuleType:
    """The module :mod:`xemap.demo.app`.

    Raises:
        ConfigError: gradio is not installed.
    """
    try:
        importlib.import_module('gradio')
    except ImportError as error:
        raise ConfigError(
            f'the page needs gradio ({error}); install the extra "demo": pip install xemap[demo]'
        ) from error
    return importlib.import_module('xemap.demo.app')
