from __future__ import annotations

from mmengine.config import Config
from mmengine.config import config as mmengine_config
from yapf.yapflib.yapf_api import FormatCode

from xemap.compat import config_text


def test_a_text_is_laid_out_once(monkeypatch):
    calls = []

    def counted(text: str, **options) -> tuple[str, bool]:
        calls.append(text)
        return FormatCode(text, **options)

    monkeypatch.setattr(mmengine_config, 'FormatCode', counted)
    cfg = Config(dict(model=dict(type='Net', depths=[1, 2]), lr=0.1))
    expected = cfg.pretty_text
    config_text.keep_laid_out_texts()
    assert [cfg.pretty_text for _ in range(3)] == [expected] * 3 and len(calls) == 2
    cfg.lr = 0.2
    assert cfg.pretty_text == expected.replace('0.1', '0.2') and len(calls) == 3
