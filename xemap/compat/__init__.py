"""Adaptations to versions of third-party packages, one per file.

Each file says what is wrong where, and when it can go. :func:`setup` applies those that need torch;
:mod:`xemap.registry` calls it before it imports MMDetection, so users never have to.
"""

from __future__ import annotations

from functools import cache


@cache
def setup() -> None:
    """Apply all adaptations; further calls do nothing.

    Raises:
        ConfigError: mmcv is missing, broken, or of a version that MMDetection refuses.
    """
    from xemap.compat import checkpoint_loading, config_text, mmcv_ext, packages

    mmcv_ext.require_mmcv()
    packages.replace_pkg_resources()
    config_text.keep_laid_out_texts()
    checkpoint_loading.allow_mmengine_classes()
    checkpoint_loading.register_loaders()
