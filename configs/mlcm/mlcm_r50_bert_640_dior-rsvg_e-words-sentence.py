# Table III (e): words and sentence, no image. Pr@0.5 72.78 in print.
_base_ = ['./mlcm_r50_bert_640_dior-rsvg.py']
model = dict(memory=('words', 'sentence'))
