# VSE++ with ResNet-18 (SeLo paper, Table V) on RSITMD.
_base_ = './amfmn_rsitmd.py'
model = dict(type='VSEPP')
