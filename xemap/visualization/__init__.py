from xemap.visualization.overlay import colorize, draw_outlines, overlay, scale_polygons, shrink
from xemap.visualization.panel import query_panel, save_panels, save_picture

__all__ = [
    'colorize',
    'draw_outlines',
    'overlay',
    'query_panel',
    'save_panels',
    'save_picture',
    'scale_polygons',
    'shrink',
]
