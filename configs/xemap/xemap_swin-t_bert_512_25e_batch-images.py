# The other reading of "batch 400": 400 images over ten GPUs, each with up to ten queries. Needs the memory of 400 pairs
# on each GPU; lower max_queries where there is less.
_base_ = ['xemap_swin-t_bert_512_25e.py']
train_dataloader = dict(batch_size=40, batch_sampler=None)
