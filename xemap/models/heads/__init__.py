from xemap.models.heads.hmsa_head import HMSAHead, pool_text

__all__ = ['HMSAHead', 'pool_text']
