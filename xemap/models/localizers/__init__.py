from xemap.models.localizers.selo import RawImages, SeLoLocalizer, SeLoV1Generator, SeLoV2Generator
from xemap.models.localizers.xemap_network import XeMapNetwork

__all__ = ['RawImages', 'SeLoLocalizer', 'SeLoV1Generator', 'SeLoV2Generator', 'XeMapNetwork']
