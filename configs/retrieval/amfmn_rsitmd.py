# AMFMN (SeLo paper, Table V) on RSITMD. The backbone starts from ImageNet; without a network give a file of
# torchvision's, model.backbone_weights=/path/to/resnet18-f37072fd.pth; None starts from random weights.
_base_ = [
    '../_base_/datasets/captions_256.py',
    '../_base_/tasks/retrieval.py',
    '../_base_/schedules/adam_50e.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='AMFMN',
    vocabulary=dict(ann_file=_base_.data_root + _base_.ann_file, min_count=5, drop_stop_words=True),
    backbone_weights='torchvision://resnet18',
    loss=dict(type='HardTripletLoss', margin=0.2),
)
default_hooks = dict(draw=dict(num_queries=0))  # no maps to draw
