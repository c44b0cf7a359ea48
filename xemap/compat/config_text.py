"""mmengine 0.10.7 lays a config's text out anew whenever it is asked for: five times at the start of each run and once
for each checkpoint, which takes from a third of a second to seconds. Here a text that was laid out is kept.

Can go when ``Config.pretty_text`` keeps its result.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from mmengine.config import config as mmengine_config

KEPT = 8
"""Texts; a program has one config, or a few that it compares."""


def keep_laid_out_texts() -> None:
    """``Config.pretty_text`` lays the same text out once."""
    lay_out = mmengine_config.FormatCode

    @lru_cache(KEPT)
    def kept(text: str, style: tuple[tuple[str, Any], ...], verify: bool) -> tuple[str, bool]:
        options = {'verify': True} if verify else {}  # newer versions of yapf do not know it
        return lay_out(text, style_config=dict(style), **options)

    def format_code(text: str, style_config: dict[str, Any], verify: bool = False) -> tuple[str, bool]:
        return kept(text, tuple(style_config.items()), verify)

    mmengine_config.FormatCode = format_code
