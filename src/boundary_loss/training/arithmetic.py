"""Sets how the network is computed: precision, memory layout, compilation, determinism. Losses stay in float32."""

import os
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from boundary_loss.command import Stop
from boundary_loss.experiment import Experiment
from boundary_loss.networks.outputs import Outputs, outputs
from boundary_loss.training.devices import keep_freed_memory
from boundary_loss.training.optimisers import LookaheadRAdam, grouped

_DTYPES = {"off": None, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass
class Arithmetic:
    """Applies these settings on one device."""

    device: torch.device
    dtype: torch.dtype | None
    """Of the network's autocast; None = float32 throughout."""
    channels_last: bool
    compiled: bool
    scaler: torch.amp.GradScaler = field(init=False)
    """Scales the loss of float16, whose small gradients would be zeros; does nothing otherwise."""

    def __post_init__(self) -> None:
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype is torch.float16)

    @classmethod
    def of(cls, experiment: Experiment, device: torch.device) -> "Arithmetic":
        last = experiment.layout == "last"
        return cls(device, _DTYPES[experiment.amp], channels_last=last, compiled=experiment.compiled)

    def prepare(self, net: nn.Module, *, alone: bool = True) -> None:
        """Bring a network, already on the device, into this layout; compile it where that was asked for.

        Its weights keep their names: what is saved does not depend on any of this.

        Args:
            alone: whether one process trains it. Several exchange the statistics of each norm during the forward pass.
        """
        if self.channels_last and not any(weight.ndim == 5 for weight in net.parameters()):  # 3D: none
            net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self.compiled:
            check_compiler(self.device)
            # CUDA graphs replay a small network's kernels without launching each: there the launches are the time.
            # They need NCCL's error watching off, so distributed runs compile without them
            net.compile(mode="reduce-overhead" if self.device.type == "cuda" and alone else "default")

    def outputs(self, net: nn.Module, *inputs: Tensor) -> Outputs:
        """Return the outputs by name, float32, ``logits`` (B, K, ...) first, of inputs such as images (B, C, ...)."""
        if self.channels_last:
            last = torch.channels_last
            inputs = tuple(given.contiguous(memory_format=last) if given.ndim == 4 else given for given in inputs)
        if self.compiled and self.device.type == "cuda":
            torch.compiler.cudagraph_mark_step_begin()  # the previous answer has been used and may be overwritten
        with self.autocast():
            answer = net(*inputs)
        return {name: output.float().contiguous() for name, output in outputs(answer).items()}

    def autocast(self) -> torch.autocast:
        """Return the context in which the network is computed."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None)


def configure(experiment: Experiment, device: torch.device) -> None:
    """Set what holds for the whole process; to be called before anything is computed on the device."""
    if device.type == "cpu":
        keep_freed_memory()
    torch.backends.cudnn.benchmark = (
        not experiment.deterministic
    )  # cuDNN's fastest algorithm, which may differ between runs
    if experiment.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when the first matrix is multiplied
        torch.backends.cudnn.deterministic = True
        torch.use_deterministic_algorithms(True)


def make_optimiser(experiment: Experiment, net: nn.Module, device: torch.device) -> torch.optim.Optimizer:
    """Return Adam (Kingma & Ba 2015), SGD or Lookahead for the network's weights, fused into one pass."""
    rate, fused = experiment.learning_rate, device.type in ("cpu", "cuda")
    weights = grouped(net, rate)
    if experiment.optimiser == "lookahead":
        return LookaheadRAdam(weights, lr=rate)
    if experiment.optimiser == "adam":
        return torch.optim.Adam(weights, lr=rate, betas=(0.9, 0.99), fused=fused)
    return torch.optim.SGD(weights, lr=rate, momentum=0.99, weight_decay=5e-4, fused=fused)


def check_compiler(device: torch.device) -> None:
    """Stop if torch.compile cannot work: it needs a C++ compiler on a CPU, Triton on a GPU."""
    try:
        torch.compile(torch.neg)(torch.ones(2, device=device))
    except Exception as error:  # the remedy is the same for all that the compiler raises
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise Stop(f"COMPILE=1 does not work here ({reason}); install a C++ compiler, or leave it out") from None
