# SCAN with the cells of ResNet-18 as regions (SeLo paper, Table V) on RSITMD, text to image.
_base_ = './amfmn_rsitmd.py'
model = dict(type='SCAN')
