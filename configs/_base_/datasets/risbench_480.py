# RISBench, as RRSIS-D. tools/convert_dataset.py risbench --data-root data --out data/risbench --join-equal makes the
# files.
_base_ = './rrsis_d_480.py'
train_dataloader = dict(dataset=dict(ann_file='risbench/train.arrow'))
val_dataloader = dict(dataset=dict(ann_file='risbench/val.arrow'))
test_dataloader = dict(dataset=dict(ann_file='risbench/test.arrow'))
