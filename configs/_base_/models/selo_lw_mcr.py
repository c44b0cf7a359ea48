# LW-MCR, trained by configs/retrieval/lw_mcr_rsitmd.py; its checkpoint brings the vocabulary.
model = dict(type='SeLoLocalizer', retrieval=dict(type='LWMCR'))
