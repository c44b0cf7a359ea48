# LW-MCR (SeLo paper, Table V) on RSITMD; ImageNet's start: model.backbone_weights=torchvision://squeezenet1_1
_base_ = './amfmn_rsitmd.py'
model = dict(type='LWMCR')
