from xemap.models.fusion.bi_attention import FusionBlock, ShortSideBiAttention
from xemap.models.fusion.deformable import DeformableAttention, DeformableEncoderLayer, sample_levels
from xemap.models.fusion.encoder import FusionEncoder

__all__ = [
    'DeformableAttention',
    'DeformableEncoderLayer',
    'FusionBlock',
    'FusionEncoder',
    'ShortSideBiAttention',
    'sample_levels',
]
