from xemap.models.localizers.base import Localizer, NetworkLocalizer, RawImages
from xemap.models.localizers.crobim import CroBIM
from xemap.models.localizers.lavt import LAVT
from xemap.models.localizers.mlcm import MLCM
from xemap.models.localizers.selo import SeLoLocalizer, SeLoV1Generator, SeLoV2Generator
from xemap.models.localizers.xemap_network import XeMapNetwork

__all__ = [
    'CroBIM',
    'LAVT',
    'Localizer',
    'MLCM',
    'NetworkLocalizer',
    'RawImages',
    'SeLoLocalizer',
    'SeLoV1Generator',
    'SeLoV2Generator',
    'XeMapNetwork',
]
