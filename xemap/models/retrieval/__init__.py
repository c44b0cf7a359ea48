"""Retrieval models: images and texts in one space, the similarity under SeLo.

====================  ==========================================================================
module                what it holds
====================  ==========================================================================
``base``              what all of them share: contract, training, evaluation
``vocabulary``        words and their numbers
``word_encoders``     word vectors with their vocabulary, GRU and text convolution
``regions``           images as regions and texts as words, for the last two of the next line
``amfmn``, ``lw_mcr``, ``vse_pp``, ``scan``, ``camp``   the models of the SeLo paper
``clip``              CLIP through open_clip or transformers
``losses``            triplet and contrastive loss
====================  ==========================================================================
"""

from xemap.models.retrieval.amfmn import AMFMN
from xemap.models.retrieval.base import RetrievalModel
from xemap.models.retrieval.camp import CAMP
from xemap.models.retrieval.clip import HFCLIPRetrieval, OpenCLIPRetrieval
from xemap.models.retrieval.losses import ContrastiveLoss, HardestBCELoss, HardTripletLoss
from xemap.models.retrieval.lw_mcr import LWMCR
from xemap.models.retrieval.scan import SCAN, ScanSimilarity
from xemap.models.retrieval.vocabulary import Vocabulary
from xemap.models.retrieval.vse_pp import VSEPP

__all__ = [
    'AMFMN',
    'CAMP',
    'LWMCR',
    'SCAN',
    'VSEPP',
    'ContrastiveLoss',
    'HFCLIPRetrieval',
    'HardTripletLoss',
    'HardestBCELoss',
    'OpenCLIPRetrieval',
    'RetrievalModel',
    'ScanSimilarity',
    'Vocabulary',
]
