# Ablation: no deformable self-attention among image tokens.
_base_ = './xemap_swin-t_bert_512_25e.py'
model = dict(encoder=dict(layer_cfg=dict(attention=False)))
