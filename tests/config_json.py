"""What publishers' config.json files say, for tests of model cards."""


def v4_layers(first: str, n_layers: int) -> list[str]:
    """DeepSeek-V4's kinds of layers: two of one kind, then few and many tokens an entry in turn."""
    after = ["compressed_sparse_attention", "heavily_compressed_attention"]
    return [first, first] + [after[layer % 2] for layer in range(n_layers - 2)]


# Each publisher's config.json, in its own words: what Hugging Face builds from it must hold as many numbers as we
# count. Only entries that differ from the defaults of transformers' class.
CONFIG_JSON = {
    # https://huggingface.co/meta-llama/Llama-2-7b-hf
    "llama-2-7b": ("LlamaConfig", {}),
    # https://huggingface.co/meta-llama/Llama-3.1-8B
    "llama-3.1-8b": (
        "LlamaConfig",
        {"vocab_size": 128256, "intermediate_size": 14336, "num_key_value_heads": 8},
    ),
    # https://huggingface.co/meta-llama/Llama-3.1-405B
    "llama-3.1-405b": (
        "LlamaConfig",
        {
            "vocab_size": 128256,
            "hidden_size": 16384,
            "intermediate_size": 53248,
            "num_hidden_layers": 126,
            "num_attention_heads": 128,
            "num_key_value_heads": 8,
        },
    ),
    # https://huggingface.co/google/gemma-2-27b
    "gemma-2-27b": (
        "Gemma2Config",
        {
            "hidden_size": 4608,
            "intermediate_size": 36864,
            "num_hidden_layers": 46,
            "num_attention_heads": 32,
            "num_key_value_heads": 16,
            "head_dim": 128,
        },
    ),
    # https://huggingface.co/mistralai/Mixtral-8x7B-v0.1
    "mixtral-8x7b": ("MixtralConfig", {}),
    # https://huggingface.co/mistralai/Mixtral-8x22B-Instruct-v0.1
    "mixtral-8x22b": (
        "MixtralConfig",
        {
            "vocab_size": 32768,
            "hidden_size": 6144,
            "intermediate_size": 16384,
            "num_hidden_layers": 56,
            "num_attention_heads": 48,
        },
    ),
    # https://huggingface.co/allenai/OLMoE-1B-7B-0924
    "olmoe-1b-7b": ("OlmoeConfig", {"intermediate_size": 1024}),
    # https://huggingface.co/Qwen/Qwen3-30B-A3B
    "qwen3-30b-a3b": ("Qwen3MoeConfig", {"num_hidden_layers": 48, "head_dim": 128}),
    # https://huggingface.co/Qwen/Qwen3-235B-A22B
    "qwen3-235b-a22b": (
        "Qwen3MoeConfig",
        {
            "hidden_size": 4096,
            "intermediate_size": 12288,
            "moe_intermediate_size": 1536,
            "num_hidden_layers": 94,
            "num_attention_heads": 64,
            "head_dim": 128,
        },
    ),
    # https://huggingface.co/openai/gpt-oss-20b
    "gpt-oss-20b": ("GptOssConfig", {"num_hidden_layers": 24, "num_local_experts": 32}),
    # https://huggingface.co/openai/gpt-oss-120b
    "gpt-oss-120b": ("GptOssConfig", {}),
    # https://huggingface.co/deepseek-ai/DeepSeek-V2-Lite
    "deepseek-v2-lite": (
        "DeepseekV2Config",
        {
            "hidden_size": 2048,
            "intermediate_size": 10944,
            "moe_intermediate_size": 1408,
            "num_hidden_layers": 27,
            "num_attention_heads": 16,
            "q_lora_rank": None,
            "n_routed_experts": 64,
            "num_experts_per_tok": 6,
            "first_k_dense_replace": 1,
        },
    ),
    # https://huggingface.co/deepseek-ai/DeepSeek-V2
    "deepseek-v2": (
        "DeepseekV2Config",
        {
            "hidden_size": 5120,
            "intermediate_size": 12288,
            "moe_intermediate_size": 1536,
            "num_hidden_layers": 60,
            "num_attention_heads": 128,
            "n_routed_experts": 160,
            "num_experts_per_tok": 6,
            "first_k_dense_replace": 1,
        },
    ),
    # https://huggingface.co/deepseek-ai/DeepSeek-V3
    "deepseek-v3": ("DeepseekV3Config", {}),
    # https://huggingface.co/deepseek-ai/DeepSeek-V3.2
    "deepseek-v3.2": ("DeepseekV32Config", {}),
    # https://huggingface.co/deepseek-ai/DeepSeek-V4-Flash: its compress_ratios are 0, 0, 4, 128, 4, ...
    "deepseek-v4-flash": ("DeepseekV4Config", {"layer_types": v4_layers("sliding_attention", 43)}),
    # https://huggingface.co/deepseek-ai/DeepSeek-V4-Pro: 128, 128, 4, 128, 4, ...
    "deepseek-v4-pro": (
        "DeepseekV4Config",
        {
            "hidden_size": 7168,
            "moe_intermediate_size": 3072,
            "num_hidden_layers": 61,
            "num_attention_heads": 128,
            "q_lora_rank": 1536,
            "o_groups": 16,
            "n_routed_experts": 384,
            "index_topk": 1024,
            "routed_scaling_factor": 2.5,
            "layer_types": v4_layers("heavily_compressed_attention", 61),
        },
    ),
    # https://huggingface.co/google/gemma-4-26B-A4B-it, text_config
    "gemma-4-26b-a4b": (
        "Gemma4TextConfig",
        {
            "hidden_size": 2816,
            "intermediate_size": 2112,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "num_global_key_value_heads": 2,
            "attention_k_eq_v": True,
            "hidden_size_per_layer_input": 0,
            "enable_moe_block": True,
            "num_experts": 128,
            "top_k_experts": 8,
            "moe_intermediate_size": 704,
        },
    ),
    # https://huggingface.co/zai-org/GLM-4.5
    "glm-4.5": (
        "Glm4MoeConfig",
        {
            "hidden_size": 5120,
            "intermediate_size": 12288,
            "moe_intermediate_size": 1536,
            "num_hidden_layers": 92,
            "head_dim": 128,
            "n_routed_experts": 160,
            "first_k_dense_replace": 3,
            "attention_bias": True,
            "use_qk_norm": True,
        },
    ),
    # https://huggingface.co/meta-llama/Llama-4-Scout-17B-16E-Instruct
    "llama-4-scout": (
        "Llama4Config",
        {
            "vision_config": {
                "hidden_size": 1408,
                "intermediate_size": 5632,
                "num_hidden_layers": 34,
                "num_attention_heads": 16,
                "image_size": 336,
                "vision_output_dim": 4096,
                "projector_input_dim": 4096,
                "projector_output_dim": 4096,
            }
        },
    ),
    # https://huggingface.co/MiniMaxAI/MiniMax-M2
    "minimax-m2": ("MiniMaxM2Config", {}),
    # https://huggingface.co/Qwen/Qwen3-Next-80B-A3B-Instruct
    "qwen3-next-80b-a3b": ("Qwen3NextConfig", {"intermediate_size": 5120}),
    # https://huggingface.co/moonshotai/Kimi-K2-Instruct
    "kimi-k2": (
        "DeepseekV3Config",
        {
            "vocab_size": 163840,
            "num_attention_heads": 64,
            "num_key_value_heads": 64,
            "n_routed_experts": 384,
            "first_k_dense_replace": 1,
            "n_group": 1,
            "topk_group": 1,
        },
    ),
}
