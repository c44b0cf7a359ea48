from xemap.models.losses.map_loss import BalancedMapL1Loss, MapL1Loss

__all__ = ['BalancedMapL1Loss', 'MapL1Loss']
