from xemap.models.losses.map_loss import BalancedMapCELoss, BalancedMapL1Loss, MapL1Loss, mass_on_others
from xemap.models.losses.mask_loss import BCEDiceLoss
from xemap.models.losses.phrase_loss import phrase_loss

__all__ = ['BCEDiceLoss', 'BalancedMapCELoss', 'BalancedMapL1Loss', 'MapL1Loss', 'mass_on_others', 'phrase_loss']
