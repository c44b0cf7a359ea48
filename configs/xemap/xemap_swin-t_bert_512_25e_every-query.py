# An epoch that asks every query once: images with more than ten come up several times.
_base_ = ['xemap_swin-t_bert_512_25e.py']
train_dataloader = dict(dataset=dict(every_query=True))
