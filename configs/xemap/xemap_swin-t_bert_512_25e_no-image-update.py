# Ablation: no cross-attention from text to image: image tokens never hear of the query.
_base_ = './xemap_swin-t_bert_512_25e.py'
model = dict(encoder=dict(fusion_layer_cfg=dict(update_image=False)))
