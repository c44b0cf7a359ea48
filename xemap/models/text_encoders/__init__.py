from xemap.models.text_encoders.huggingface import HuggingFaceTextEncoder

__all__ = ['HuggingFaceTextEncoder']
