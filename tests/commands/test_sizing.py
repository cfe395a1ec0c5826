"""`vllm-chart size`: the arithmetic agrees with public models and with vLLM, and the chart takes the file."""

from __future__ import annotations

import bisect
import dataclasses
import io
import json
import urllib.error
from pathlib import Path
from typing import Any

import pytest

from tests.lib.command_line import vllm_chart
from vllm_chart import accelerators
from vllm_chart.chart import DATA, app_version
from vllm_chart.check import checker
from vllm_chart.errors import InputError
from vllm_chart.render import go_yaml, helm
from vllm_chart.sizing import model_config, model_memory, placement
from vllm_chart.sizing.model_memory import GIB, Attention
from vllm_chart.sizing.placement import SizingRequest

MODELS: dict[str, dict[str, Any]] = go_yaml.load((Path(__file__).parent / "models.yaml").read_text(encoding="utf-8"))
GPUS = {name: gpu for item in accelerators.known().values() for name, gpu in item.gpus.items()}
LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
DEEPSEEK = "deepseek-ai/DeepSeek-V3"


def model(name: str, **change: Any) -> model_memory.Model:
    return model_memory.read(MODELS[name]["config"] | change, name)


# -- public models, by hand


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_those_of_the_models_page(name: str) -> None:
    assert model(name).parameters == pytest.approx(MODELS[name]["parameters"], rel=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_the_kv_cache_of_a_token_is_that_worked_by_hand(name: str) -> None:
    found, expected = model(name), MODELS[name]
    layers = sum(item.layers for item in found.attention)
    assert layers == found.layers
    assert layers * found.token() == expected["token"]
    assert eval(expected["sum"].replace("x", "*")) == expected["token"]  # noqa: S307 (a sum in a file of ours)
    full = {item.kind: item.layers for item in found.attention}
    assert bool(found.latent) is expected.get("latent", False)
    assert full.get("full", 0) == (0 if found.latent else expected.get("full", layers))


def test_ten_models_and_every_kind_of_attention_are_among_them() -> None:
    found = [model(name) for name in MODELS]
    assert len(found) >= 10
    kinds = {item.kind for each in found for item in each.attention}
    assert kinds == {"full", "sliding", "latent"}
    assert {each.kv_heads == each.heads for each in found if not each.latent} == {True, False}


@pytest.mark.parametrize(
    ("name", "quantization", "gigabytes"),
    [
        # the sizes of the checkpoints' files, in 10⁹ bytes, as their pages list them
        (LLAMA, {}, 16.06),
        ("Qwen/Qwen2.5-7B-Instruct", {"quant_method": "awq", "bits": 4, "group_size": 128}, 5.57),
        ("Qwen/Qwen2.5-72B-Instruct", {"quant_method": "gptq", "bits": 4, "group_size": 128}, 41.6),
        ("openai/gpt-oss-20b", {"quant_method": "mxfp4"}, 13.76),
        (LLAMA, {"quant_method": "compressed-tensors", "config_groups": {"a": {"weights": {"num_bits": 8}}}}, 9.08),
        (LLAMA, {"quant_method": "compressed-tensors", "config_groups": {"a": {"weights": {"num_bits": 4}}}}, 5.7),
    ],
)
def test_quantized_weights_take_what_their_files_do(name: str, quantization: dict[str, Any], gigabytes: float) -> None:
    found = model(name, quantization_config=quantization)
    assert found.weights / 1e9 == pytest.approx(gigabytes, rel=0.01)


def test_what_vllm_reports_for_the_small_model_is_what_is_reckoned() -> None:
    # vLLM 0.32.0 on CPU, VLLM_CPU_KVCACHE_SPACE=1, blocks of 128 tokens, --max-model-len 2048: "CPU KV cache size:
    # 46,592 tokens, Maximum concurrency for 2,048 tokens per request: 22.75x"; "Checkpoint size: 0.25 GiB"
    found = model("HuggingFaceTB/SmolLM2-135M-Instruct")
    blocks = GIB // (found.layers * found.token() * 128)
    assert blocks * 128 == 46592
    assert blocks * 128 / 2048 == 22.75
    assert round(found.weights / GIB, 2) == 0.25


# -- kinds of layers


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"sliding_window": 4096}, [Attention("sliding", 32, 4096)]),
        ({"sliding_window": 4096, "use_sliding_window": False}, [Attention("full", 32)]),
        ({"sliding_window": None}, [Attention("full", 32)]),
        ({"layer_types": ["full_attention", "linear_attention"] * 16}, [Attention("full", 16), Attention("state", 16)]),
        ({"layer_types": ["attention"] + ["mamba"] * 31}, [Attention("full", 1), Attention("state", 31)]),
        ({"full_attention_interval": 4}, [Attention("full", 8), Attention("state", 24)]),
        ({"attn_layer_period": 8, "attn_layer_offset": 4}, [Attention("full", 4), Attention("state", 28)]),
        ({"hybrid_override_pattern": "M-M*" * 8}, [Attention("full", 8), Attention("state", 24)]),
        (
            {"layer_types": ["chunked_attention"] * 24 + ["full_attention"] * 8, "attention_chunk_size": 8192},
            [Attention("full", 8), Attention("sliding", 24, 8192)],
        ),
    ],
)
def test_layers_are_told_apart_by_what_they_keep(config: dict[str, Any], expected: list[Attention]) -> None:
    assert list(model(LLAMA, **config).attention) == expected


def test_a_sliding_layer_keeps_its_window_and_the_batch() -> None:
    found = model("google/gemma-3-1b-it")
    # 4 full layers; 22 sliding ones in groups of 4, so 24; 512 - 1 + 16384 tokens in blocks of 16 and one more
    kept = (-(-16895 // 16) + 1) * 16
    assert found.request(32768) == (4 * 32768 + 24 * kept) * found.token()
    assert found.request(1024) == (4 * 1024 + 24 * 1040) * found.token()


def test_devices_share_heads_and_repeat_those_that_are_too_few() -> None:
    assert model(LLAMA).tensor_sizes(16) == [1, 2, 4, 8, 16]
    assert model(LLAMA).token(16) == model(LLAMA).token(8) == model(LLAMA).token(1) / 8
    assert model("Qwen/Qwen2.5-7B-Instruct").tensor_sizes(8) == [1, 2, 4]
    assert model(DEEPSEEK).token(8) == model(DEEPSEEK).token(1)
    assert placement.split(model("Qwen/Qwen2.5-7B-Instruct"), 8) == (4, 2)
    assert placement.split(model(LLAMA), 6) == (2, 3)
    assert placement.split(model(LLAMA, num_hidden_layers=2), 3) == (0, 0)


def test_over_several_nodes_each_layer_stays_on_one() -> None:
    assert placement.split(model(DEEPSEEK), 16) == (8, 2)
    assert placement.split(model(DEEPSEEK), 16, node=4) == (4, 4)
    assert placement.split(model("Qwen/Qwen2.5-7B-Instruct"), 16) == (4, 4)
    assert placement.split(model(LLAMA), 12) == (0, 0)
    found = placement.plan(model(DEEPSEEK), placement.gpu("H100"), SizingRequest(gpus=16), DEEPSEEK)
    assert (found.tensor, found.pipeline, found.nodes) == (8, 2, 2)
    assert placement.plan(model(LLAMA), placement.gpu("H100"), SizingRequest(gpus=8, node=4), LLAMA).nodes == 2


# -- plans


def test_the_fewest_gpus_that_do_are_proposed() -> None:
    for name, gpu, count in ((LLAMA, "L40S", 1), (LLAMA, "L4", 2), ("meta-llama/Llama-3.1-70B-Instruct", "H100", 4)):
        found = placement.plan(model(name), placement.gpu(gpu), SizingRequest(), name)
        assert found.gpus == count
        assert found.requests >= 8
        smaller = found.gpus // 2
        if smaller:
            with pytest.raises(InputError):
                placement.plan(model(name), placement.gpu(gpu), SizingRequest(gpus=smaller, context=8192), name)


def test_the_parts_fill_what_vllm_takes_and_the_longest_context_is_the_longest() -> None:
    found = placement.plan(model(LLAMA), placement.gpu("L40S"), SizingRequest(), LLAMA)
    assert found.usable == 46068 * 1024**2 * 0.92
    assert found.weights + found.runtime + found.free == pytest.approx(found.usable)
    assert found.requests * found.request <= found.free * 1.001
    longer = dataclasses.replace(found, request=model(LLAMA).request(found.context + 1024))
    assert longer.requests < 8


def test_a_context_is_never_longer_than_the_model_was_made_for() -> None:
    found = placement.plan(model("microsoft/phi-4"), placement.gpu("H200"), SizingRequest(), "microsoft/phi-4")
    assert found.context == 16384


def test_more_of_the_memory_is_taken_where_that_saves_gpus() -> None:
    tight = SizingRequest(gpus=1, context=4096, concurrency=1)
    devices = [placement.Gpu("made", size * GIB / 20) for size in range(300, 500)]
    device = devices[bisect.bisect_left(devices, True, key=lambda device: _plans(model(LLAMA), device, tight))]
    assert placement.plan(model(LLAMA), device, tight, LLAMA).utilization == placement.MOST_UTILIZATION


def _plans(found: model_memory.Model, device: placement.Gpu, asked: SizingRequest) -> bool:
    try:
        return bool(placement.plan(found, device, asked, LLAMA))
    except InputError:
        return False


def test_a_smaller_kv_cache_holds_twice_the_requests() -> None:
    device = placement.gpu("L40S")
    full = placement.plan(model(LLAMA), device, SizingRequest(gpus=1, context=8192), LLAMA)
    half = placement.plan(model(LLAMA), device, SizingRequest(gpus=1, context=8192, cache_bytes=1), LLAMA)
    assert half.requests == pytest.approx(2 * full.requests)


@pytest.mark.parametrize("name", GPUS)
def test_a_gpu_has_a_little_less_memory_than_is_sold_and_a_source(name: str) -> None:
    entry = GPUS[name]
    assert 0.9 * entry["sold"] * 1000 < entry["memory"] <= 1.024 * entry["sold"] * 1000 * 1.024
    assert entry["source"]
    assert placement.gpu(name.lower()).memory == entry["memory"] * 1024**2


def test_a_gpu_is_found_in_the_spellings_that_people_use() -> None:
    for text in ("h100", "NVIDIA H100", "H-100"):
        assert placement.gpu(text).name == "H100"
    assert placement.gpu("A100-80").name == "A100-80GB"
    assert placement.gpu("48GiB").memory == 48 * GIB


# -- the command


class Keyboard(io.StringIO):
    """What a person types on a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Run the command with options, and what is typed on a terminal; gives exit code and all that was printed."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))

    def call(typed: str | None = None, model: str = "", **options: str) -> tuple[int, str]:
        options = {"to": str(tmp_path / "values.yaml"), **options}
        words = [f"--{name.replace('_', '-')}={text}" for name, text in options.items()]
        monkeypatch.setattr("sys.stdin", io.StringIO() if typed is None else Keyboard(typed))
        code, out, errors = vllm_chart(capsys, "size", *words, *([model] if model else []))
        return code, out + errors

    return call


@pytest.fixture
def config(tmp_path: Path) -> Any:
    """Write a model's config; gives its path."""

    def write(name: str, **change: Any) -> str:
        path = tmp_path / "config.json"
        path.write_text(json.dumps(MODELS[name]["config"] | change))
        return str(path)

    return write


@pytest.mark.parametrize(
    ("name", "variables", "expected"),
    [
        (
            LLAMA,
            {"gpu": "L40S", "context_length": "16k", "concurrency": "4"},
            {"engine": {"args": {"max-model-len": 16384}}, "resources": {"cpu": 4, "memory": "16Gi"}},
        ),
        (
            LLAMA,
            {"gpu": "L4", "gpus": "2", "context_length": "8192", "exposure": "ingress:llm.example.com"},
            {
                "parallelism": {"tensor": 2},
                "engine": {"args": {"max-model-len": 8192}},
                "server": {"apiKey": {"keys": {"main": {"existingSecret": "vllm-api-key", "key": "key"}}}},
                "ingress": {"enabled": True, "hosts": {"llm.example.com": {}}},
                "resources": {"cpu": 6, "memory": "32Gi"},
            },
        ),
        (
            DEEPSEEK,
            {
                "gpu": "MI300X",
                "context_length": "8192",
                "concurrency": "2",
                "kv_cache_dtype": "fp8",
                "exposure": "gateway:net/public",
            },
            {
                "parallelism": {"tensor": 4},
                "accelerator": {"type": "amd"},
                "engine": {"args": {"max-model-len": 8192, "kv-cache-dtype": "fp8"}},
                "server": {"apiKey": {"keys": {"main": {"existingSecret": "vllm-api-key", "key": "key"}}}},
                "startup": {"timeoutSeconds": 7200},
                "httpRoute": {"enabled": True, "parentRefs": [{"name": "public", "namespace": "net"}]},
                "resources": {"cpu": 10, "memory": "64Gi"},
            },
        ),
        (
            DEEPSEEK,
            {"gpu": "H100", "gpus": "16", "context_length": "8192"},
            {
                "parallelism": {"tensor": 8, "pipeline": 2, "nodes": 2},
                "engine": {"args": {"max-model-len": 8192}},
                "startup": {"timeoutSeconds": 7200},
                "resources": {"cpu": 18, "memory": "128Gi"},
            },
        ),
    ],
)
def test_the_file_says_what_was_planned_and_the_chart_takes_it(  # noqa: PLR0917
    name: str, variables: dict[str, str], expected: dict[str, Any], terminal: Any, config: Any, tmp_path: Path
) -> None:
    code, output = terminal(model=name, config=config(name), **variables)
    assert code == 0, output
    values = go_yaml.load((tmp_path / "values.yaml").read_text(encoding="utf-8"))
    amounts = expected.pop("resources")
    assert (
        values == {"model": {"uri": f"hf://{name}"}, "resources": {"requests": amounts, "limits": amounts}} | expected
    )
    assert checker.check([tmp_path / "values.yaml"]).problems == ()
    assert "left for the KV cache" in output


def test_a_server_on_several_nodes_says_what_it_needs(terminal: Any, config: Any, tmp_path: Path) -> None:
    offer = terminal(model=DEEPSEEK, config=config(DEEPSEEK), gpu="H100")[1]
    assert offer.endswith("--gpus 16 on 2 nodes or --gpu H200 would do.\n")
    code, output = terminal(model=DEEPSEEK, config=config(DEEPSEEK), gpu="H100", gpus="16")
    assert code == 0, output
    assert "on each of 16 × H100: tensor 8 × pipeline 2, 8 in each of 2 pods" in output  # noqa: RUF001
    text = (tmp_path / "values.yaml").read_text(encoding="utf-8")
    assert "# The cluster needs LeaderWorkerSet (docs/multi-node.md), and each of the 2 pods fetches" in text
    objects = helm.render(go_yaml.load(text)).objects
    pods = [
        objects.one("LeaderWorkerSet").at("spec", "leaderWorkerTemplate", kind)
        for kind in ("leaderTemplate", "workerTemplate")
    ]
    for pod in pods:
        (server,) = pod["spec"]["containers"]
        assert server["resources"]["limits"]["nvidia.com/gpu"] == 8


def test_on_a_terminal_what_is_missing_is_asked_for(terminal: Any, config: Any, tmp_path: Path) -> None:
    typed = "L4\n2\n8192\n\ningress:llm.example.com\n"
    code, output = terminal(typed, model=LLAMA, config=config(LLAMA))
    assert code == 0, output
    asked = [
        "GPU (e.g. L40S or H100): ",
        "GPUs of one server",
        "Tokens of one request",
        "Such requests",
        "Reached from",
    ]
    assert [output.count(question) for question in asked] == [1] * len(asked)
    assert "Model (" not in output
    values = go_yaml.load((tmp_path / "values.yaml").read_text(encoding="utf-8"))
    assert values["parallelism"] == {"tensor": 2}
    assert values["engine"]["args"] == {"max-model-len": 8192}
    assert values["ingress"]["hosts"] == {"llm.example.com": {}}


def test_who_says_all_is_asked_for_nothing(terminal: Any, config: Any) -> None:
    code, output = terminal("", model=LLAMA, config=config(LLAMA), gpu="L40S")
    assert code == 0
    assert "?" not in output
    assert "GPUs of one server" not in output


def test_a_terminal_that_says_nothing_more_ends_it(terminal: Any, config: Any, tmp_path: Path) -> None:
    code, output = terminal("L4\n", model=LLAMA, config=config(LLAMA))
    assert code == 2
    assert output.endswith("✗ No answer to the question for --gpus. Nothing is written.\n")
    assert not (tmp_path / "values.yaml").exists()


def test_the_arithmetic_is_shown_with_numbers_that_add_up(terminal: Any, config: Any) -> None:
    code, output = terminal(model=LLAMA, config=config(LLAMA), gpu="L40S", context_length="8k")
    assert code == 0
    assert "8.03 billion parameters, 32 layers" in output
    numbers = [float(line.split()[0]) for line in output.splitlines() if line.startswith("  ") and " GiB  " in line]
    weights, usable, less_weights, less_runtime, free, request = numbers
    assert weights == -less_weights == 14.96
    assert usable + less_weights + less_runtime == pytest.approx(free, abs=0.02)
    assert request == 1.0  # 8192 tokens of 128 KiB
    assert f"{free / request:.1f}      such requests" in output


def test_a_folder_with_tensors_is_weighed(terminal: Any, config: Any, tmp_path: Path) -> None:
    config(LLAMA)
    index = {"metadata": {"total_size": 5 * GIB}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    code, output = terminal(model=str(tmp_path), gpu="L40S")
    assert code == 0
    assert "5.00 GiB  weights: the checkpoint's tensors" in output
    assert go_yaml.load((tmp_path / "values.yaml").read_text())["model"]["uri"] == f"file://{tmp_path}"


def test_a_model_of_the_hub_is_asked_for_there(terminal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def get(url: str) -> bytes:
        asked.append(url)
        if url.endswith("index.json"):
            raise urllib.error.HTTPError(url, 404, "none", {}, None)  # type: ignore[arg-type]
        return json.dumps(MODELS[LLAMA]["config"]).encode()

    monkeypatch.setattr(model_config, "_get", get)
    code, output = terminal(model=LLAMA, gpu="L40S")
    assert code == 0, output
    assert asked[0] == f"https://huggingface.co/{LLAMA}/resolve/main/config.json"


# -- bad input


@pytest.mark.parametrize(
    ("code", "words"),
    [(401, "requires a token"), (403, "requires its licence"), (404, "has no config.json"), (500, "answers 500")],
)
def test_a_model_that_the_hub_does_not_give_is_told(
    code: int, words: str, terminal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get(url: str) -> bytes:
        raise urllib.error.HTTPError(url, code, "no", {}, None)  # type: ignore[arg-type]

    monkeypatch.setattr(model_config, "_get", get)
    ended, output = terminal(model="a/b", gpu="L40S")
    assert ended == 2
    assert f"https://huggingface.co/a/b: {words}" in output
    assert "--config" in output


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"gpu": "L40S", "model": ""}, "Missing MODEL. Write e.g. `vllm-chart size Qwen/Qwen3-8B --gpu L40S`."),
        ({"gpu": "A1000"}, "--gpu A1000: unknown GPU. Write one of L4, "),
        ({"gpu": "L40S", "context_length": "lots"}, "--context-length lots: not a number. Write it as 32768,"),
        ({"gpu": "L40S", "context_length": "256k"}, "--context-length 262144: longer than meta-llama/Llama-3.1-8B-"),
        ({"gpu": "L40S", "utilization": "92%"}, "Invalid value for '--utilization': Input should be a valid number"),
        ({"gpu": "L40S", "utilization": "1.2"}, "Invalid value for '--utilization': Input should be less than"),
        ({"gpu": "L40S", "utilization": "nan"}, "Invalid value for '--utilization': Input should be"),
        ({"gpu": "L40S", "kv_cache_dtype": "int4"}, "Invalid value for '--kv-cache-dtype': 'int4' is not one of"),
        ({"gpu": "L40S", "exposure": "ingress"}, "--exposure ingress: unknown. Write cluster, ingress:"),
        ({"gpu": "L40S", "parameters": "many"}, "--parameters many: not a number"),
        (
            {"gpu": "L40S", "gpus": "37"},
            "--gpus 37: not a multiple of the 8 GPUs of a node. Write --gpus 32 or --gpus 40,",
        ),
        ({"gpu": "L40S", "gpus": "6", "node_gpus": "4"}, "--gpus 6: not a multiple of the 4 GPUs of a node. Write"),
        ({"gpu": "L40S", "config": "/nowhere/config.json"}, "/nowhere/config.json: no such file. Name the model's"),
        ({"gpu": "L40S", "no_such": "x"}, "No such option: --no-such (Possible options: --node-gpus). Run `vllm-chart"),
        (
            {"gpu": "L4", "gpus": "1", "context_length": "128k"},
            "L4: cannot hold meta-llama/Llama-3.1-8B-Instruct with 8 requests of 131072 tokens, as the KV cache needs",
        ),
    ],
)
def test_bad_input_is_refused_in_one_sentence(
    variables: dict[str, str], words: str, terminal: Any, config: Any, tmp_path: Path
) -> None:
    code, output = terminal(**{"model": LLAMA, "config": config(LLAMA), **variables})
    assert code == 2
    assert words in output
    assert len(output.strip().splitlines()) == 1
    assert not (tmp_path / "values.yaml").exists()


@pytest.mark.parametrize("name", ["./no-such-folder", "../no-such-folder", "/no-such-folder", "~/no-such-folder"])
def test_missing_model_folder_is_not_looked_for_on_hugging_face(
    name: str, terminal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_config, "_get", lambda url: pytest.fail(f"asked {url}"))
    code, output = terminal(model=name, gpu="L40S")
    assert (code, output) == (
        2,
        f"✗ {name}: no such folder. Name its folder, a model of Hugging Face, or a config.json with --config.\n",
    )


def test_a_context_that_does_not_fit_says_what_would() -> None:
    device = placement.gpu("L40S")
    asked = SizingRequest(gpus=1, context=131072, concurrency=2)
    with pytest.raises(InputError) as refusal:
        placement.plan(model(LLAMA), device, asked, LLAMA)
    text = str(refusal.value)
    assert "the KV cache needs 32.0 GiB on each, and 25.1 GiB are left" in text
    for offer in ("--context-length ", "--concurrency 1", "--kv-cache-dtype fp8", "--gpus 2", "--gpu A100-80GB"):
        assert offer in text
    context = int(text.partition("--context-length ")[2].split()[0])
    for change in ({"context": context}, {"concurrency": 1}, {"cache_bytes": 1}, {"gpus": 2}):
        assert placement.plan(model(LLAMA), device, dataclasses.replace(asked, **change), LLAMA)
    assert placement.plan(model(LLAMA), placement.gpu("A100-80GB"), asked, LLAMA)


def test_weights_that_do_not_fit_say_how_many_gpus_would() -> None:
    with pytest.raises(InputError, match=r"the weights take 156\.2 GiB .* --gpus 16 on 2 nodes or --gpu B200 would do"):
        placement.plan(model(DEEPSEEK, quantization_config={}), placement.gpu("H200"), SizingRequest(), DEEPSEEK)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "config.json: the config is not a JSON map"),
        ("[]", "config.json: the config is not a JSON map"),
        ("{}", "a/b: the config has no hidden_size, num_hidden_layers, num_attention_heads, vocab_size"),
        ('{"name": "\xe9"}', "config.json: the config is not a JSON map"),
        ('{"hidden_size": "4096"}', "a/b: hidden_size in the config is '4096', not a whole number"),
        ('{"text_config": "none"}', "a/b: the config is not one of a supported language model (AttributeError"),
    ],
)
def test_a_config_that_tells_nothing_is_refused(content: str, words: str, tmp_path: Path, terminal: Any) -> None:
    (tmp_path / "config.json").write_text(content, encoding="latin-1")
    code, output = terminal(model="a/b", gpu="L40S", config=str(tmp_path / "config.json"))
    assert code == 2
    assert words in output
    assert len(output.strip().splitlines()) == 1
    code, output = terminal(model=str(tmp_path / "nothing"), gpu="L40S")
    assert code == 2
    assert "--config" in output


def test_a_model_that_cannot_be_shared_so_says_over_how_many_it_can(terminal: Any, config: Any) -> None:
    few = config(LLAMA, num_hidden_layers=2)
    code, output = terminal(model=LLAMA, config=few, gpu="L40S", gpus="3")
    assert code == 2
    assert "--gpus 3: cannot share" in output
    assert "Its 32 heads and 2 layers split over 1, 2, 4, 8, 16." in output


def test_an_index_of_tensors_that_tells_nothing_is_passed_over(tmp_path: Path) -> None:
    for text in ("{", "[]", '{"metadata": null}', '{"metadata": {"total_size": "much"}}'):
        (tmp_path / "model.safetensors.index.json").write_text(text)
        assert model_config._stored(tmp_path) == 0


def test_the_default_share_of_memory_is_vllms() -> None:
    dump = json.loads((DATA / f"vllm-serve-args-{app_version()}.json").read_text())
    entry = next(item for item in dump["args"] if "--gpu-memory-utilization" in item["flags"])
    assert entry["default"] == placement.UTILIZATION
