"""Models: localizers and the parts they are made of."""

from xemap.compat import setup

setup()  # before anything imports mmdet.models

from xemap.models.backbones import TimmBackbone  # noqa: E402
from xemap.models.build import build_localizer, build_model  # noqa: E402
from xemap.models.fusion import FusionEncoder  # noqa: E402
from xemap.models.heads import HMSAHead  # noqa: E402
from xemap.models.localizers import Localizer, NetworkLocalizer, XeMapNetwork  # noqa: E402
from xemap.models.losses import BalancedMapL1Loss, MapL1Loss  # noqa: E402
from xemap.models.text_encoders import HuggingFaceTextEncoder  # noqa: E402

__all__ = [
    'BalancedMapL1Loss',
    'FusionEncoder',
    'HMSAHead',
    'HuggingFaceTextEncoder',
    'Localizer',
    'MapL1Loss',
    'NetworkLocalizer',
    'TimmBackbone',
    'XeMapNetwork',
    'build_localizer',
    'build_model',
]
