# What makes a network from scratch read more of a sentence than its noun (docs/learning.md): positions in the attention
# between image and text, relation blocks on the 32 x 32 cells of stride 16, a learned logit scale, cross entropy, and a
# contrast between the queries of an image.
_base_ = 'xemap_swin-t_bert_512_25e.py'
model = dict(
    encoder=dict(fusion_layer_cfg=dict(with_positions=True), relation_cfg=dict(level=1)),
    head=dict(loss=dict(_delete_=True, type='BalancedMapCELoss'), logit_scale=5.0, contrast_weight=1.0),
)
