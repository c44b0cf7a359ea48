from xemap.models.localizers.xemap_network import XeMapNetwork

__all__ = ['XeMapNetwork']
