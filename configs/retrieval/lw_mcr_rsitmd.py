# LW-MCR (SeLo paper, Table V) on RSITMD.
_base_ = './amfmn_rsitmd.py'
model = dict(type='LWMCR', backbone_weights='torchvision://squeezenet1_1')
