# The paper's split: 15,328 / 3,832 / 19,160 queries. All numbers of its tables belong to it.
_base_ = ['./mlcm_r50_bert_640_dior-rsvg.py']
data_root = 'data/dior_rsvg_40-10-50/'
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = dict(dataset=dict(data_root=data_root))
