"""Makes tiny models of the families that people use, with random weights, as the Hub lays them out.

    python -m tests.tiny_models FOLDER [NAME ...]

A model takes milliseconds, importing transformers for it seconds.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

SENTENCES = (
    "a dog barks at the helicopter",
    "rain falls on a tin roof",
    "the sound of a violin",
    "people are talking in a crowded room",
    "waves break on the beach, isn't it nice?",
)
LAYERS = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}


def make(name: str, folder: Path) -> Path:
    """Write the model ``name`` of ``MODELS`` into ``folder``, which is returned."""
    torch.manual_seed(len(name))
    model, *parts = MODELS[name]()
    with torch.no_grad():
        for parameter in model.parameters():  # as they begin, many are zero or one
            parameter.add_(torch.randn_like(parameter) * 0.02)
    for part in (model.eval(), *parts):
        part.save_pretrained(folder)
    if name == "sentence-transformers":
        modules = [
            {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for n, (path, kind) in enumerate(
                [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
            )
        ]
        (folder / "modules.json").write_text(json.dumps(modules))
        (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 16}')
        (folder / "1_Pooling").mkdir(exist_ok=True)
        (folder / "1_Pooling" / "config.json").write_text(
            json.dumps({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False})
        )
    return folder


def wordpiece() -> Any:
    """Return a tokenizer such as BERT's."""
    own = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    own.normalizer = normalizers.BertNormalizer()
    own.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=120, special_tokens=special, show_progress=False)
    own.train_from_iterator(SENTENCES, trainer)
    own.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = dict(zip(("pad", "unk", "cls", "sep", "mask"), special, strict=True))
    return fast(own, 64, names)


def byte_pairs(special: dict[str, str], *, max_length: int, begin: str, end: str) -> Any:
    """Return a tokenizer such as RoBERTa's or CLIP's.

    Args:
        special: Token by role.
        max_length: Of a text.
        begin: The role of the token that a text begins with.
        end: The role of that which it ends with.
    """
    own = Tokenizer(models.BPE(unk_token=None))
    own.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=list(dict.fromkeys(special.values())),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    own.train_from_iterator(SENTENCES, trainer)
    around = (special[begin], special[end])
    own.post_processor = processors.TemplateProcessing(
        single=f"{around[0]} $A {around[1]}",
        special_tokens=[(token, own.token_to_id(token)) for token in around],
    )
    return fast(own, max_length, special)


def fast(own: Tokenizer, max_length: int, special: dict[str, str]) -> Any:
    """Return a tokenizer as transformers has it."""
    names = {f"{role}_token": token for role, token in special.items()}
    return hf.PreTrainedTokenizerFast(tokenizer_object=own, model_max_length=max_length, **names)


def roberta_tokens(max_length: int = 77) -> Any:
    """Return a tokenizer such as RoBERTa's: padding is 1."""
    special = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>"}
    return byte_pairs(special, max_length=max_length, begin="bos", end="eos")


def clip() -> tuple[Any, ...]:
    """Return CLIP with its processor."""
    begin, end = "<|startoftext|>", "<|endoftext|>"
    special = {"bos": begin, "eos": end, "pad": end, "unk": end}
    tokens = byte_pairs(special, max_length=77, begin="bos", end="eos")
    ids = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1, "vocab_size": len(tokens)}
    config = hf.CLIPConfig(
        text_config={"max_position_embeddings": 77, "projection_dim": 16} | ids | LAYERS,
        vision_config={"image_size": 32, "patch_size": 8, "projection_dim": 16} | LAYERS,
        projection_dim=16,
    )
    pictures = hf.CLIPImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )
    return hf.CLIPModel(config), hf.CLIPProcessor(pictures, tokens)


def siglip() -> tuple[Any, ...]:
    """Return SigLIP with its processor."""
    tokens = roberta_tokens(64)
    ids = {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "vocab_size": len(tokens)}
    config = hf.SiglipConfig(
        text_config={"max_position_embeddings": 64, "projection_size": 32} | ids | LAYERS,
        vision_config={"image_size": 32, "patch_size": 8} | LAYERS,
    )
    pictures = hf.SiglipImageProcessor(size={"height": 32, "width": 32})
    return hf.SiglipModel(config), pictures, tokens


def dinov2() -> tuple[Any, ...]:
    """Return DINOv2 with its processor: a frame is cropped after it was scaled."""
    own = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    pictures = hf.BitImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 28, "width": 28}
    )
    return hf.Dinov2Model(hf.Dinov2Config(image_size=28, patch_size=14, **own)), pictures


def dinov3() -> tuple[Any, ...]:
    """Return DINOv3 with its processor."""
    config = hf.DINOv3ViTConfig(image_size=32, patch_size=16, num_register_tokens=4, **LAYERS)
    pictures = hf.DINOv3ViTImageProcessor(size={"height": 32, "width": 32})
    return hf.DINOv3ViTModel(config), pictures


def clap(*, is_fused: bool = False) -> tuple[Any, ...]:
    """Return CLAP with its processor."""
    tokens = roberta_tokens()
    ids = {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "vocab_size": len(tokens)}
    config = hf.ClapConfig(
        text_config={"max_position_embeddings": 79} | ids | LAYERS,
        audio_config={
            "patch_embeds_hidden_size": 16,
            "hidden_size": 64,
            "depths": [1, 1, 1],
            "num_attention_heads": [2, 2, 2],
            "num_hidden_layers": 3,
            "enable_fusion": is_fused,
            "num_classes": 5,
        },
        projection_dim=16,
    )
    sounds = hf.ClapFeatureExtractor(
        truncation="fusion" if is_fused else "rand_trunc", padding="repeatpad", frequency_min=50
    )
    return hf.ClapModel(config), hf.ClapProcessor(sounds, tokens)


def ast() -> tuple[Any, ...]:
    """Return an audio spectrogram transformer that hears 2.56 seconds."""
    config = hf.ASTConfig(max_length=256, num_mel_bins=128, **LAYERS)
    return hf.ASTModel(config), hf.ASTFeatureExtractor(max_length=256)


def whisper() -> tuple[Any, ...]:
    """Return Whisper, whose windows are of two seconds here."""
    config = hf.WhisperConfig(
        vocab_size=60,
        d_model=32,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_source_positions=100,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        decoder_start_token_id=0,
    )
    return hf.WhisperModel(config), hf.WhisperFeatureExtractor(chunk_length=2)


def bert() -> tuple[Any, ...]:
    """Return BERT with its tokenizer."""
    tokens = wordpiece()
    config = hf.BertConfig(vocab_size=len(tokens), max_position_embeddings=64, **LAYERS)
    return hf.BertModel(config), tokens


def roberta() -> tuple[Any, ...]:
    """Return RoBERTa with its tokenizer."""
    tokens = roberta_tokens()
    config = hf.RobertaConfig(
        vocab_size=len(tokens),
        max_position_embeddings=80,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        **LAYERS,
    )
    return hf.RobertaModel(config), tokens


def pe_av() -> tuple[Any, ...]:
    """Return PE-AV with its processors. Needs timm below 1.0.31, and torchvision."""
    special = {"cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]", "unk": "[UNK]", "mask": "[MASK]"}
    tokens = byte_pairs(special, max_length=64, begin="cls", end="sep")
    encoder = LAYERS | {"hidden_size": 64, "head_dim": 16}
    codec = {
        "downsampling_ratios": [2, 8, 10, 12],
        "encoder_hidden_size": 4,
        "codebook_dim": 8,
        "codebook_size": 16,
        "n_codebooks": 2,
        "hop_length": 1920,
        "sampling_rate": 48_000,
    }
    frames = {
        "architecture": "vit_pe_core_large_patch14_336",
        "do_pooling": True,
        "num_classes": 16,
        "global_pool": "map",
        "model_args": {
            "embed_dim": 32,
            "depth": 2,
            "num_heads": 4,
            "img_size": 28,
            "ref_feat_shape": (2, 2),
        },
    }
    text = {
        "model_type": "modernbert",
        "vocab_size": len(tokens),
        "max_position_embeddings": 64,
        "pad_token_id": 2,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "cls_token_id": 0,
        "sep_token_id": 1,
        "global_attn_every_n_layers": 2,
    }
    config = hf.PeAudioVideoConfig(
        text_config=text | LAYERS,
        audio_video_config={
            "audio_config": {"dac_config": codec} | encoder,
            "video_config": {"vision_config": frames} | encoder,
        }
        | encoder,
    )
    half = [0.5, 0.5, 0.5]
    video = hf.PeVideoVideoProcessor(
        size={"height": 28, "width": 28},
        image_mean=half,
        image_std=half,
        do_resize=True,
        do_rescale=True,
        do_normalize=True,
        do_sample_frames=False,
    )
    processor = hf.PeAudioVideoProcessor(hf.PeAudioFeatureExtractor(), video, tokens)
    return hf.PeAudioVideoModel(config), processor


MODELS: dict[str, Callable[[], tuple[Any, ...]]] = {
    "clip": clip,
    "siglip": siglip,
    "dinov2": dinov2,
    "dinov3": dinov3,
    "clap": clap,
    "clap-fused": lambda: clap(is_fused=True),
    "ast": ast,
    "whisper": whisper,
    "bert": bert,
    "roberta": roberta,
    "sentence-transformers": bert,
    "pe-av": pe_av,
}

if __name__ == "__main__":
    for each in sys.argv[2:] or MODELS:
        print(make(each, Path(sys.argv[1]) / each))
