# Table III (b): the memory is the image at all levels. Pr@0.5 65.78 in print.
_base_ = ['./mlcm_r50_bert_640_dior-rsvg.py']
model = dict(memory=('scales',))
