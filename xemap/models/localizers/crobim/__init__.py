"""CroBIM: referring segmentation by cross-modal bidirectional interaction (``docs/crobim.md``)."""

from xemap.models.localizers.crobim.aggregation import LanguageGuidedAggregation
from xemap.models.localizers.crobim.context_prompts import ContextPrompts
from xemap.models.localizers.crobim.crobim import CroBIM
from xemap.models.localizers.crobim.decoder import MutualInteractionDecoder
from xemap.models.localizers.crobim.deficit import DeficitCompensation, deficit_map
from xemap.models.localizers.crobim.mask_head import MaskHead
from xemap.models.localizers.crobim.prompted_text import PromptedTextEncoder

__all__ = [
    'ContextPrompts',
    'CroBIM',
    'DeficitCompensation',
    'LanguageGuidedAggregation',
    'MaskHead',
    'MutualInteractionDecoder',
    'PromptedTextEncoder',
    'deficit_map',
]
