from __future__ import annotations

from tests.tools.test_infer import infer, model

__all__ = ['infer', 'model']
