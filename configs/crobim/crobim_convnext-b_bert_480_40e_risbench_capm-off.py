# Ours: BERT reads without prompts.
_base_ = './crobim_convnext-b_bert_480_40e_risbench.py'
model = dict(prompts=None)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'_delete_': True, 'decoder.level_embed': dict(decay_mult=0.0)}))
