from xemap.models.backbones.neck import build_neck
from xemap.models.backbones.timm_backbone import TimmBackbone

__all__ = ['TimmBackbone', 'build_neck']
