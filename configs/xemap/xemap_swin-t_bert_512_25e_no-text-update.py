# Ablation: no cross-attention from image to text: text tokens never see the image.
_base_ = './xemap_swin-t_bert_512_25e.py'
model = dict(encoder=dict(fusion_layer_cfg=dict(update_text=False)))
