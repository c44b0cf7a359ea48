# A small TransVG from scratch: the small MLCM without its decoder, as in ablation (a).
_base_ = ['./mlcm_small_synthetic.py']
model = dict(num_decoder_layers=0)
