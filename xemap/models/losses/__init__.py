from xemap.models.losses.map_loss import BalancedMapCELoss, BalancedMapL1Loss, MapL1Loss, mass_on_others
from xemap.models.losses.mask_loss import BCEDiceLoss

__all__ = ['BCEDiceLoss', 'BalancedMapCELoss', 'BalancedMapL1Loss', 'MapL1Loss', 'mass_on_others']
