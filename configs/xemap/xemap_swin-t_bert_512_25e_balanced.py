# The paper's recipe with the error averaged over target and background separately.
_base_ = './xemap_swin-t_bert_512_25e.py'
model = dict(head=dict(loss=dict(_delete_=True, type='BalancedMapL1Loss')))
