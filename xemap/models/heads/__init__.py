from xemap.models.heads.base import FusedTokens, Head, batch_targets, loss_per_pair, mean_over_pairs
from xemap.models.heads.hmsa_head import HMSAHead
from xemap.models.heads.pixel_head import PixelHead
from xemap.models.heads.pooling import TEXT_POOLINGS

__all__ = [
    'TEXT_POOLINGS',
    'FusedTokens',
    'HMSAHead',
    'Head',
    'PixelHead',
    'batch_targets',
    'loss_per_pair',
    'mean_over_pairs',
]
