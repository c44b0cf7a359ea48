# AMFMN on RSICD, which has a validation split. Other models: model.type and what their configs on RSITMD set.
_base_ = './amfmn_rsitmd.py'
data_root = 'data/rsicd/'
ann_file = 'dataset_rsicd.json'
dataset = dict(data_root=data_root, ann_file=ann_file, img_dir='RSICD_images')
model = dict(vocabulary=dict(ann_file=data_root + ann_file))
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dict(split='val', **dataset))
test_dataloader = dict(dataset=dataset)
