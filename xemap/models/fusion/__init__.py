from xemap.models.fusion.bi_attention import FusionBlock, ShortSideBiAttention
from xemap.models.fusion.deformable import DeformableAttention, DeformableEncoderLayer
from xemap.models.fusion.encoder import FusionEncoder
from xemap.models.fusion.relation import RelationBlock
from xemap.models.fusion.sampling import sample_levels

__all__ = [
    'DeformableAttention',
    'DeformableEncoderLayer',
    'FusionBlock',
    'FusionEncoder',
    'RelationBlock',
    'ShortSideBiAttention',
    'sample_levels',
]
