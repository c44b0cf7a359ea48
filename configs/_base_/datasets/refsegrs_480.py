# RefSegRS, as RRSIS-D; tools/convert_dataset.py refsegrs --data-root data --out data/refsegrs makes the files.
_base_ = './rrsis_d_480.py'
train_dataloader = dict(dataset=dict(ann_file='refsegrs/train.arrow'))
val_dataloader = dict(dataset=dict(ann_file='refsegrs/val.arrow'))
test_dataloader = dict(dataset=dict(ann_file='refsegrs/test.arrow'))
