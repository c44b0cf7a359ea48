# The paper's split: 15,328 / 3,832 / 19,160 queries. All numbers of its tables belong to it.
# tools/data/convert_dataset.py dior-rsvg --division paper --data-root data --out data/dior_rsvg_40-10-50
_base_ = ['./mlcm_r50_bert_640_dior-rsvg.py']
train_dataloader = dict(dataset=dict(ann_file='dior_rsvg_40-10-50/train.arrow'))
val_dataloader = dict(dataset=dict(ann_file='dior_rsvg_40-10-50/val.arrow'))
test_dataloader = dict(dataset=dict(ann_file='dior_rsvg_40-10-50/test.arrow'))
