from __future__ import annotations

import pytest
import torch
from mmengine.registry import DefaultScope

from xemap.models.retrieval import Vocabulary
from xemap.registry import MODELS
from xemap.structures import XeMapDataSample

TEXTS = [
    'river',
    'the storage tanks next to the river',
    'a parking lot between the river and the road',
    'red roofs beside the long winding gray road',
]
WORDS = Vocabulary.from_captions(TEXTS, min_count=1)

RESNET = dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, out_indices=(0, 1, 2, 3), norm_eval=False,
              style='pytorch', zero_init_residual=False)  # fmt: skip
SMALL = {
    'AMFMN': dict(backbone=RESNET, embed_dim=16, word_dim=12, gru_width=20, image_size=64),
    'VSEPP': dict(backbone=RESNET, embed_dim=16, word_dim=12, image_size=64),
    'SCAN': dict(backbone=RESNET, embed_dim=16, word_dim=12, image_size=64),
    'CAMP': dict(backbone=RESNET, embed_dim=16, word_dim=12, image_size=64),
    'LWMCR': dict(embed_dim=16, word_dim=12, image_size=64),
}


def build(kind: str, **options) -> torch.nn.Module:
    """A small model of a kind in eval mode, the same each time."""
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('xemap'):
        model = MODELS.build({'type': kind, 'vocabulary': WORDS, **SMALL[kind], **options})
        model.init_weights()
    return model.eval()


def images(count: int, size: int = 64, seed: int = 1) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def samples(texts: list[list[str]], indices: list[int] | None = None) -> list[XeMapDataSample]:
    made = []
    for i, captions in enumerate(texts):
        sample = XeMapDataSample(metainfo={'sample_idx': i if indices is None else indices[i], 'img_path': f'{i}.png'})
        sample.texts = captions
        made.append(sample)
    return made


@pytest.fixture(params=sorted(SMALL))
def kind(request) -> str:
    return request.param
