# CAMP with the cells of ResNet-18 as regions (SeLo paper, Table V) on RSITMD.
_base_ = './amfmn_rsitmd.py'
model = dict(type='CAMP', loss=dict(_delete_=True, type='HardestBCELoss'))
