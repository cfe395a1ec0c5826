"""What messages of vLLM, its libraries, the kubelet and the API server mean, and which value changes it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """What a message means.

    Attributes:
        pattern: found in the message, in lower or upper case; `.` doesn't pass the end of a line.
        problem: one sentence without a full stop; {0}, {1}… are the pattern's groups.
        remedy: what to do, with the value to change.
    """

    pattern: str
    problem: str
    remedy: str


@dataclass(frozen=True)
class Meaning:
    """What one message means: the sentences of a `Reason` with the message's own words in them."""

    problem: str
    remedy: str


_DRIVER = (
    "The driver of the node's GPUs is older than the image's CUDA wants",
    "update the node's NVIDIA driver, or take the image for CUDA 12: image.tag with -cu129 at its end, where it exists",
)
_OFFLINE = (
    "let the pod reach huggingface.co (HTTPS_PROXY in engine.env), or bring the model another way: docs/models.md"
)

#: What a server or an init container has printed before it ended. The first that is found counts, so causes stand
#: before what follows from them.
LOG: tuple[Reason, ...] = (
    Reason(
        r"error: unrecognized arguments: (.+)",
        "vLLM doesn't know the argument {0}",
        "correct or remove it in engine.extraArgs; in engine.args it would have been checked before the installation",
    ),
    Reason(
        r"vllm(?: serve)?: error: (.+)",
        "vLLM refuses its arguments: {0}",
        "correct the flag in engine.args or engine.extraArgs",
    ),
    Reason(
        r"Warm-up failed: (.+)",
        "The first request of the warm-up failed: {0}",
        "correct warmup.request, or switch warmup.enabled off",
    ),
    Reason(
        r"(server\.apiKey\.keys\.\S+): (the .+)",
        "{0}: {1}",
        "write the API key into the Secret, without a dash in front, and delete the pod",
    ),
    Reason(
        r"Invalid credentials in Authorization header|Invalid user token",
        "Hugging Face refuses the token (401)",
        "put a valid token into the Secret that model.credentials names, and delete the pod",
    ),
    Reason(
        r"GatedRepoError|access (?:a )?gated repo\b|is a gated repository|Access to model \S+ is restricted",
        "The model is gated on Hugging Face, and the token has no access to it, or there is none",
        "accept the model's terms with the account of the token, and name the token's Secret in model.credentials",
    ),
    Reason(
        r"RepositoryNotFoundError|Repository Not Found for url|is not a valid model identifier",
        "Hugging Face has no such model, or hides it from this token",
        "correct model.uri; for a private model name a token's Secret in model.credentials",
    ),
    Reason(
        r"401 Client Error",
        "Hugging Face wants a valid token (401)",
        "name a valid token's Secret in model.credentials",
    ),
    Reason(
        r"RevisionNotFoundError|Revision Not Found for url|is not a valid git identifier",
        "The model has no such revision",
        "correct model.revision",
    ),
    Reason(
        r"(\S+ can't be fetched: .+)",
        "{0}",
        "correct the URI or its credentials in model: docs/models.md has a table",
    ),
    Reason(
        r"LocalEntryNotFoundError|couldn't connect to 'https://huggingface\.co'|outgoing traffic has been disabled|"
        r"OfflineModeIsEnabled",
        "The model is neither in the cache nor can it be fetched",
        _OFFLINE,
    ),
    Reason(
        r"(?:Temporary failure in name resolution|Name or service not known|Network is unreachable).*|"
        r"Failed to resolve '([^']+)'",
        "The pod reaches no server outside: a name isn't resolved, or there is no network",
        _OFFLINE,
    ),
    Reason(
        r"NoCredentialsError|InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied|Access Denied",
        "The object storage refuses the credentials",
        "name a Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or Google's key file, in model.credentials",
    ),
    Reason(
        r"No module named 'runai_model_streamer|pip install vllm\[runai\]|runai-model-streamer is not installed",
        "The image can't read object storage, as it lacks runai-model-streamer",
        "use an image with it (image.repository), or another source of the model",
    ),
    Reason(
        r"Invalid repository ID or local directory specified: '([^']*)'|no config file found",
        "There is no model in {0}: it has no config.json",
        "correct the folder in model.uri; for oci:// the files must lie at the image's root, or set model.copyFrom",
    ),
    Reason(
        r"CUDA driver version is insufficient|NVIDIA driver on your system is too old|cudaErrorInsufficientDriver|"
        r"forward compatibility was attempted|unsatisfied condition: cuda",
        *_DRIVER,
    ),
    Reason(
        r"Failed to infer device type|No CUDA GPUs are available|Found no NVIDIA driver|"
        r"libcuda\.so\S*: cannot open shared object",
        "vLLM finds no device in its pod",
        "set accelerator.type to the kind of the node's devices, and runtimeClassName (often nvidia) where the cluster "
        "needs it; without devices set accelerator.type to cpu",
    ),
    Reason(
        r"Free memory on device (\S+) \(([\d.]+)/([\d.]+) GiB\) on startup is less than desired GPU memory utilization "
        r"\(([\d.]+)",
        "Something else uses the device: {1} of {2} GiB are free, and gpu-memory-utilization is {3}",
        "end what else uses the device, or lower engine.args.gpu-memory-utilization",
    ),
    Reason(
        r"Available memory on node (\S+) \(([\d.]+)/([\d.]+) GiB\) on startup is less than desired CPU memory "
        r"utilization",
        "The node has too little free memory for vLLM's share of it: {1} of {2} GiB are free",
        "set VLLM_CPU_KVCACHE_SPACE in engine.env (GiB), or lower engine.args.gpu-memory-utilization, which counts on "
        "CPU, too",
    ),
    Reason(
        r"No available memory for the cache blocks",
        "Nothing is left for the KV cache beside the weights",
        "raise engine.args.gpu-memory-utilization (on CPU: VLLM_CPU_KVCACHE_SPACE in engine.env), lower max-num-seqs, "
        "quantize the model, or raise parallelism.tensor",
    ),
    Reason(
        r"max seq len \((\d+)\), \(?([\d.]+) GiB KV cache is needed.*available KV cache memory \(([\d.]+) GiB\)"
        r"(?:.*estimated maximum model length is (\d+))?",
        "The KV cache has {2} GiB, and one request of {0} tokens needs {1} GiB",
        "lower engine.args.max-model-len (vLLM estimates that {3} fit), or raise gpu-memory-utilization (on CPU: "
        "VLLM_CPU_KVCACHE_SPACE in engine.env)",
    ),
    Reason(
        r"(?:CUDA|HIP|XPU|NPU) out of memory.*|torch\.(?:cuda\.)?OutOfMemoryError.*",
        "The device's memory is full",
        "lower engine.args.max-num-seqs, max-num-batched-tokens or max-model-len; lower gpu-memory-utilization if it "
        "happened beside the KV cache; quantize the model, or raise parallelism.tensor",
    ),
    Reason(
        r"Insufficient space in /dev/shm.*",
        "Shared memory is too small",
        "give /dev/shm more by volume shm in extraVolumes, and count it in resources.limits.memory",
    ),
    Reason(
        r"User-specified max_model_len \((\d+)\) is greater than the derived max_model_len \(\w+=(\d+)",
        "engine.args.max-model-len is {0}, and the model is made for {1}",
        "set engine.args.max-model-len to {1} or less",
    ),
    Reason(
        r"Total number of attention heads \((\d+)\) must be divisible by tensor parallel size \((\d+)\)",
        "The model's {0} attention heads can't be shared by {1} devices",
        "set parallelism.tensor to a divisor of {0}, and use parallelism.pipeline for the rest",
    ),
    Reason(
        r"(Unknown quantization method: [^.]+|\S+ quantization is currently not supported in \S+|"
        r"The quantization method \S+ is not supported for the current GPU.*?\d+\.)",
        "{0}",
        "take another engine.args.quantization, or leave it out, as vLLM reads it from the model: docs/accelerators.md",
    ),
    Reason(
        r"LoRA rank (\d+) is greater than max_lora_rank (\d+)",
        "An adapter has rank {0}, and engine.args.max-lora-rank is {1}",
        "set engine.args.max-lora-rank to {0}",
    ),
    Reason(
        r"Model architectures? (\[.*?\]|\S+) (?:are|is) not supported",
        "This vLLM can't serve models of the kind {0}",
        "use a newer image (image.tag), or another model",
    ),
    Reason(
        r"trust_remote_code=True",
        "The model brings code of its own, which vLLM doesn't run unasked",
        "read that code; if you trust it, set engine.args.trust-remote-code to true and pin model.revision",
    ),
    Reason(
        r"No space left on device.*",
        "A volume is full",
        "raise cache.model.size or cache.compile.size, or keep the weights on a claim (cache.model.type)",
    ),
    Reason(
        r"(?:Permission denied|Read-only file system): '([^']+)'",
        "The server may not write to {0}",
        "mount a volume there by extraVolumes and extraVolumeMounts, or let group 0 write to the one that is mounted",
    ),
    Reason(
        r"address already in use",
        "The server's port is taken in its pod",
        "set server.port to another one, or change the container of podSpec that uses it",
    ),
    Reason(
        r"EngineDeadError|Engine core proc\S* died unexpectedly",
        "A process of vLLM's engine died",
        "look for its last words in the log; out of memory is the usual cause (resources.limits.memory)",
    ),
)

#: Why the API server lets no pod in.
REFUSED: tuple[Reason, ...] = (
    Reason(
        r'violates PodSecurity "([^"]+)": (.+)',
        "Pod Security {0} refuses the pod: {1}",
        "the chart's own defaults pass: take back what securityContext, podSecurityContext, podSpec, initContainers or "
        "extraVolumes say otherwise",
    ),
    Reason(
        r"exceeded quota: ([^,]+), requested: (.+), used: (.+), limited: (.+)",
        "Quota {0} is used up: the pod wants {1}, used are {2} of {3}",
        "free some, have the quota raised, or lower resources or replicas",
    ),
    Reason(
        r"failed quota: ([^:]+): must specify (.+)",
        "Quota {0} wants every pod to say its {1}",
        "set resources.requests and resources.limits",
    ),
    Reason(
        r"((?:maximum|minimum) \S+ (?:usage )?per \w+ is .+|\S+ (?:max|min) limit to request ratio .+)",
        "A LimitRange of the namespace refuses the pod: {0}",
        "change resources to fit, or have the LimitRange changed",
    ),
    Reason(
        r'serviceaccount "([^"]+)" not found',
        "Service account {0} isn't there",
        "make it, or set serviceAccount.create to true, or correct serviceAccount.name",
    ),
    Reason(
        r"no PriorityClass with name (\S+) was found",
        "There is no PriorityClass {0}",
        "correct priorityClassName; `kubectl get priorityclasses` lists what there is",
    ),
    Reason(
        r'RuntimeClass\D*"([^"]+)" not found',
        "There is no RuntimeClass {0}",
        "correct runtimeClassName; `kubectl get runtimeclasses` lists what there is",
    ),
    Reason(
        r'admission webhook "([^"]+)" denied the request: (.+)',
        "The cluster's policy {0} refuses the pod: {1}",
        "change the value that it names, or ask who owns the policy",
    ),
    Reason(
        r'failed calling webhook "([^"]+)"',
        "The cluster's webhook {0} doesn't answer, so that no pod is let in",
        "ask who owns it; it has nothing to do with this release",
    ),
)

#: Why the kubelet gets no image.
PULL: tuple[Reason, ...] = (
    Reason(
        r"ErrImageNeverPull|pull policy is Never|is not present with pull policy of Never",
        "The node has no image {image}, and it may not be pulled",
        "load it into the nodes, or set image.pullPolicy to IfNotPresent",
    ),
    Reason(
        r"InvalidImageName|couldn't parse image|invalid reference format",
        "{image} is no name of an image",
        "correct {value}",
    ),
    Reason(
        r"unauthorized|authorization failed|denied|forbidden|\b401\b|\b403\b|no basic auth",
        "The registry doesn't give out {image}: the pod has {secrets}",
        "correct {value} if it is misspelt; name a Secret of type kubernetes.io/dockerconfigjson in imagePullSecrets",
    ),
    Reason(
        r"not found|manifest unknown|name unknown|does not exist|no match for platform",
        "The registry has no {image}",
        "correct {value}; the tag needs its v, as in v0.32.0",
    ),
    Reason(
        r"toomanyrequests|429|rate limit",
        "The registry has given out too many images to this address",
        "wait, name a Secret in imagePullSecrets, or use a mirror by image.registry",
    ),
    Reason(
        r"x509|certificate",
        "The node doesn't trust the registry's certificate, from which it should pull {image}",
        "have the registry's authority installed on the nodes, or correct {value}",
    ),
    Reason(
        r"no such host|i/o timeout|connection refused|dial tcp|deadline exceeded|network is unreachable|EOF",
        "The node can't reach the registry of {image}",
        "correct the host in {value}, or let the nodes reach it",
    ),
)

#: What follows when a container can't be made; the kubelet's own words are in the message.
CONTAINER: tuple[Reason, ...] = (
    Reason(r"unsatisfied condition: cuda", *_DRIVER),
    Reason(
        r"image will run as root",
        "The image would run as root, which the pod forbids",
        "keep podSecurityContext.runAsUser, or set it, as securityPreset openshift leaves it to the cluster",
    ),
    Reason(
        r'configmap "([^"]+)" not found',
        "ConfigMap {0} isn't there",
        "make it, or correct the name in engine.env, engine.envFrom or extraVolumes",
    ),
    Reason(
        r"couldn't find key (\S+) in ConfigMap (\S+)",
        "ConfigMap {1} has no key {0}",
        "correct the key in engine.env, or add it to the ConfigMap",
    ),
    Reason(
        r'secret "([^"]+)" not found',
        "Secret {0} isn't there",
        "make it, or correct the name",
    ),
    Reason(
        r"couldn't find key (\S+) in Secret (\S+)",
        "Secret {1} has no key {0}",
        "correct the key, or add it to the Secret",
    ),
    Reason(
        r'exec: "cp": executable file not found',
        "The model's image has no cp, which model.copyFrom needs",
        "use an image with cp, or leave model.copyFrom out on a cluster with image volumes",
    ),
    Reason(
        r'exec: "([^"]+)": (?:executable file not found|stat)',
        "The image has no program {0}",
        "use an image whose entrypoint is `vllm serve`, as vLLM's own have, or correct the command in podSpec",
    ),
    Reason(
        r"nvidia-container-cli: (.+)",
        "The node's NVIDIA runtime fails: {0}",
        "look at the driver and the NVIDIA container toolkit of the node",
    ),
)

#: Why a volume isn't mounted.
MOUNT: tuple[Reason, ...] = (
    Reason(
        r"Multi-Attach error for volume (\S+)",
        "Another node still has the volume, which only one may mount",
        "set cache.model.accessModes (or cache.compile.accessModes) to [ReadWriteMany] with a class that has it; after "
        "a lost node it is freed in about 6 minutes",
    ),
    Reason(
        r'configmap "([^"]+)" not found',
        "ConfigMap {0} isn't there",
        "make it, or correct the name in extraVolumes; if it is the chart's own, run helm upgrade again",
    ),
    Reason(
        r'secret "([^"]+)" not found',
        "Secret {0} isn't there",
        "make it, or correct the name",
    ),
    Reason(
        r"references non-existent secret key: (\S+)",
        "A mounted Secret has no key {0}",
        "correct the key, or add it to the Secret",
    ),
)

#: What the scheduler says, for what isn't found by looking at the nodes.
SCHEDULER: tuple[Reason, ...] = (
    Reason(
        r"didn't match pod topology spread constraints",
        "No node keeps topologySpreadConstraints",
        "add nodes, or set whenUnsatisfiable to ScheduleAnyway in topologySpreadConstraints",
    ),
    Reason(
        r"didn't match pod (?:anti-)?affinity rules|existing pods anti-affinity",
        "No node keeps the affinity between pods",
        "add nodes, or make it preferred instead of required in affinity",
    ),
    Reason(
        r"volume node affinity conflict",
        "The volume of a claim lies on another node or in another zone than where the pod fits",
        "free room where the volume is, or take a new claim (cache.model.type claim) with a class that binds late",
    ),
    Reason(
        r"Too many pods",
        "The nodes have as many pods as they may",
        "add a node",
    ),
)

# What a message may carry that nobody else should read.
_PRIVATE = re.compile(
    r"\bhf_\w{6,}|\bsk-\w{6,}|(?<=Bearer )\S+|(?<=Signature=)\w+|(?<=://)[^/@\s:]+:[^/@\s]+(?=@)|"
    r"(?<=token=)[^\s&]+|(?<=password=)[^\s&]+|(?<=secret=)[^\s&]+",
    re.IGNORECASE,
)
_PREFIX = re.compile(r"^\([^)]*pid=\d+\) |^(?:ERROR|CRITICAL) \d\d-\d\d [\d:]+ (?:\[[^]]*\] )?")
# Errors that only say that there was another.
_EMPTY_WORDS = re.compile(r"See root cause above|See stack trace|Failed core proc|^\S+: *$|leaked|KeyboardInterrupt")
_ERROR_LINE = re.compile(
    r"^(?:[\w.]*(?:Error|Exception|Failed|Refused)\b|error\b|fatal\b|panic\b|Killed\b)", re.IGNORECASE
)


def masked(text: str) -> str:
    """The text without tokens, keys and passwords that it may hold."""
    return _PRIVATE.sub("***", text)


def meaning(reasons: Iterable[Reason], message: str, **words: str) -> Meaning | None:
    """What a message means, by the first reason that is found in it.

    Args:
        reasons: in the order in which they count.
        message: of any length.
        words: for the sentences, beside the pattern's groups.
    """
    for reason in reasons:
        if found := re.search(reason.pattern, message, re.IGNORECASE):
            groups = [masked(group or "?").strip().rstrip(".") for group in found.groups()]
            groups += ["?"] * 4  # for alternatives that have no group
            return Meaning(reason.problem.format(*groups, **words), reason.remedy.format(*groups, **words))
    return None


def last_error(log: str) -> str:
    """The line of a log that says why its program ended: the last error that doesn't point to another; may be empty."""
    error = ""
    for line in log.splitlines():
        bare = _PREFIX.sub("", _PREFIX.sub("", line.strip()))
        if _ERROR_LINE.search(bare) and not _EMPTY_WORDS.search(bare):
            error = bare
    return masked(error)[:300]
