from xemap.models.losses.map_loss import BalancedMapL1Loss, MapL1Loss
from xemap.models.losses.mask_loss import BCEDiceLoss

__all__ = ['BCEDiceLoss', 'BalancedMapL1Loss', 'MapL1Loss']
