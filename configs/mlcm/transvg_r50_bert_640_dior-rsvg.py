# TransVG, the baseline that ablation (a) is: no decoder, BERT's last layer, the token first, plain projections, a head
# of three layers with a sigmoid, plain L1 and GIoU; 90 epochs, 8 pairs per step on each of 8 GPUs. DETR's encoder
# does not initialize the fusion.
_base_ = ['./mlcm_r50_bert_640_dior-rsvg.py']
model = dict(
    num_decoder_layers=0,
    order='token-text-visual',
    fusion_activation=False,
    language_model=dict(layers=1),
    detr_fusion=False,
    head=dict(num_layers=3, activation='sigmoid', loss_reg=dict(type='mmdet.L1Loss', reduction='none')),
)
train_dataloader = dict(batch_sampler=dict(pairs_per_batch=8))
train_cfg = dict(max_epochs=90)
auto_scale_lr = dict(base_batch_size=64)
